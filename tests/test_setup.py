"""What setup.py says."""

import re
import subprocess
import sys
from pathlib import Path

import paddle
import pytest

ROOT = Path(__file__).resolve().parents[1]


def setup(environment):
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="Paddle has CUDA")
@pytest.mark.parametrize(
    "value, message",
    [
        ("1", "PADDLE_VFL_CUDA=1, but the installed Paddle .* is a CPU build"),
        ("yes", "PADDLE_VFL_CUDA is 'yes', expected 0 or 1"),
    ],
)
def test_a_wish_for_cuda_that_cannot_be_met_is_an_error(value, message):
    status, errors = setup({"PADDLE_VFL_CUDA": value})
    assert status == 1 and re.search(message, errors) and "Traceback" not in errors


@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="Paddle has CUDA")
@pytest.mark.parametrize("value", ["", "0"])
def test_a_cpu_build_needs_no_word(value):
    assert setup({"PADDLE_VFL_CUDA": value})[0] == 0


def test_a_build_without_paddle_is_one_sentence():
    code = (
        "import runpy, sys; sys.modules['paddle'] = None; sys.argv = ['setup.py', '--version']; "
        "runpy.run_path('setup.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "Install paddlepaddle, then: pip install --no-build-isolation paddle-vfl" in done.stderr


def test_what_was_built_before_is_not_taken_for_up_to_date():
    """It may be of other headers, or of another Paddle: installing again must compile again."""
    code = """
import distutils.core
build = distutils.core.run_setup("setup.py", ["build_ext"], stop_after="commandline").get_command_obj("build_ext")
build.ensure_finalized()
print("force:", build.force)
"""
    code = "import setuptools\n" + code  # which has distutils where Python has none
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "force: True" in done.stdout, done.stderr
