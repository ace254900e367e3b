"""The CPU kernels on their own: they compile without Paddle and without a warning, and every one of them runs."""

import itertools
import shutil
import subprocess

import pytest

from paddle_vfl._ops import extension

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")]


@pytest.mark.parametrize("isa", extension.isa_supported())
def test_every_kernel_runs(driver, isa):
    choices = (
        ["dense", "masked", "pair"],
        ["forward", "backward"],
        ["float32", "float64", "float16", "bfloat16"],
        ["2", "1.5", "1.7"],
    )
    for kind, direction, dtype, gamma in itertools.product(*choices):
        command = [driver, isa, kind, direction, dtype, gamma, "7", "13", "2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and done.stdout.endswith(" ns an element\n"), (command, done.stderr)
