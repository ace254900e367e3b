"""The CPU kernels on their own: they compile without Paddle and without a warning, every one runs, and none takes
more instructions than it did, which does not depend on how busy the machine is.

Callgrind counts them. It has no AVX-512, whose kernels come from the same source as those counted here. ``pytest
tests/csrc/test_cpu_kernels.py -s`` prints the counts.
"""

import itertools
import re
import shutil
import subprocess

import pytest

from paddle_vfl._ops import extension

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")]

ROWS, CLASSES = 300, 80
MARGIN = 1.1
# instruction set, target kind, pass, dtype, gamma or loss: instructions an element with g++ 12
COUNTS = {
    "avx2 dense forward float32 2": 8.01,
    "avx2 dense backward float32 2": 7.77,
    "avx2 masked forward float32 2": 8.30,
    "avx2 masked backward float32 2": 8.67,
    "avx2 pair forward float32 2": 7.62,
    "avx2 pair backward float32 2": 7.50,
    "avx2 dense one-pass float32 2": 8.91,
    "avx2 masked one-pass float32 2": 9.69,
    "avx2 pair one-pass float32 2": 8.53,
    "avx2 dense scale float32 2": 0.99,
    "avx2 dense one-pass float32 1.5": 12.07,
    "avx2 dense one-pass float16 2": 9,
    "avx2 dense one-pass bfloat16 2": 9,
    "avx2 dense scale float16 2": 1,
    "avx2 dense scale bfloat16 2": 2,
    "portable dense forward float32 2": 25.33,
    "portable dense backward float32 2": 26.15,
    "portable masked forward float32 2": 27.62,
    "portable masked backward float32 2": 30.43,
    "portable pair forward float32 2": 24.32,
    "portable pair backward float32 2": 25.17,
    "avx2 dense forward float32 1.5": 11.18,
    "avx2 dense backward float32 1.5": 11.18,
    "avx2 dense forward float32 1.7": 20.31,
    "avx2 dense backward float32 1.7": 20.31,
    "avx2 dense forward float64 2": 22.29,
    "avx2 dense backward float64 2": 22.40,
    "avx2 dense forward float16 2": 7.88,
    "avx2 dense backward float16 2": 7.89,
    "avx2 dense forward bfloat16 2": 8.12,
    "avx2 dense backward bfloat16 2": 9.53,
    "avx2 dense forward float32 class-weighted": 8.99,
    "avx2 dense backward float32 class-weighted": 8.76,
    "avx2 pair forward float32 class-weighted": 8.59,
    "avx2 pair backward float32 class-weighted": 8.50,
    "avx2 pair forward float32 quality-focal": 10.91,
    "avx2 pair backward float32 quality-focal": 11.17,
    "avx2 masked forward float32 matchability-aware": 12.07,
    "avx2 masked backward float32 matchability-aware": 12.58,
}


def test_the_compiler_warns_of_nothing(kernel_warnings):
    assert kernel_warnings == ""


def test_every_kernel_runs(driver, isa):
    choices = (
        ["dense", "masked", "pair"],
        ["forward", "backward", "one-pass", "scale"],
        ["float32", "float64", "float16", "bfloat16"],
        ["2", "1.5", "1.7"],
    )
    lines = [f"{isa} {' '.join(words)} 7 13 2" for words in itertools.product(*choices)]
    done = subprocess.run([driver], input="\n".join(lines), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count(" ns an element\n") == len(lines), done.stderr


def test_no_kernel_leaves_its_arrays(program):
    """They end, and begin, at pages that may not be touched (kernel_checks.cc)."""
    checks = program("kernel_checks.cc")
    done = subprocess.run([checks, "bounds"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    assert subprocess.run([checks, "overrun"], capture_output=True).returncode != 0


@pytest.fixture(scope="module")
def counted(driver, tmp_path_factory):
    """Instructions an element of the kernels that this machine can run."""
    if shutil.which("valgrind") is None:
        pytest.skip("no valgrind")
    folder = tmp_path_factory.mktemp("callgrind")
    lines = [f"{kernel} {ROWS} {CLASSES} 1" for kernel in COUNTS if kernel.split()[0] in extension.isa_supported()]
    command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={folder}/out", driver]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    parts = [path.read_text() for path in folder.glob("out.*")]
    found = [
        (re.search(r"desc: Trigger: Client Request: (.*)", part), re.search(r"summary: (\d+)", part)) for part in parts
    ]
    return {line[1].rsplit(" ", 3)[0]: int(total[1]) / (ROWS * CLASSES) for line, total in found if line}


@pytest.mark.parametrize("kernel", COUNTS)
def test_no_kernel_takes_more_instructions(counted, kernel):
    if kernel.split()[0] not in extension.isa_supported():
        pytest.skip("this machine has no " + kernel.split()[0])
    print(f"\n    {kernel!r}: {counted[kernel]:.2f},")
    assert 0.1 < counted[kernel] <= COUNTS[kernel] * MARGIN
