"""The CPU kernels on their own: they compile without Paddle and without a warning, and every one of them runs."""
import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from paddle_vfl._ops import extension

CSRC = Path(__file__).resolve().parents[2] / "csrc"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    program = tmp_path_factory.mktemp("driver") / "kernel_driver"
    # GCC 12 finds its own immintrin.h uninitialized
    flags = ["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-Wno-maybe-uninitialized", "-pthread"]
    sources = [Path(__file__).with_name("kernel_driver.cc"), *sorted((CSRC / "cpu").glob("*.cc"))]
    done = subprocess.run(["g++", *flags, "-o", str(program), *map(str, sources)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize("isa", extension.isa_supported())
def test_every_kernel_runs(driver, isa):
    choices = (["logits", "masked", "pair"], ["forward", "backward"], ["float32", "float64", "float16", "bfloat16"], ["2", "1.5", "1.7"])
    for form, direction, dtype, gamma in itertools.product(*choices):
        command = [driver, isa, form, direction, dtype, gamma, "7", "13", "2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and done.stdout.endswith(" ns an element\n"), (command, done.stderr)
