"""A guard against slower kernels that does not depend on how busy the machine is: instructions for each element,
counted by callgrind.

Valgrind has no AVX-512, whose kernels come from the same source as those counted here. ``pytest
tests/csrc/test_instructions.py -s`` prints the counts.
"""

import re
import shutil
import subprocess

import pytest

from paddle_vfl._ops import extension

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None or shutil.which("valgrind") is None, reason="no g++ or no valgrind"),
]

ROWS, CLASSES, REPEATS = 300, 80, 10
MARGIN = 1.1
# instruction set, target kind, pass, dtype, gamma or loss: instructions an element with g++ 12
COUNTS = {
    "avx2 dense forward float32 2": 7.62,
    "avx2 dense backward float32 2": 7.70,
    "avx2 masked forward float32 2": 7.90,
    "avx2 masked backward float32 2": 8.25,
    "avx2 pair forward float32 2": 7.47,
    "avx2 pair backward float32 2": 7.34,
    "portable dense forward float32 2": 25.04,
    "portable dense backward float32 2": 25.63,
    "portable masked forward float32 2": 26.83,
    "portable masked backward float32 2": 29.16,
    "portable pair forward float32 2": 24.04,
    "portable pair backward float32 2": 24.67,
    "avx2 dense forward float32 1.5": 10.64,
    "avx2 dense backward float32 1.5": 10.98,
    "avx2 dense forward float32 1.7": 19.77,
    "avx2 dense backward float32 1.7": 20.10,
    "avx2 dense forward float64 2": 21.76,
    "avx2 dense backward float64 2": 21.97,
    "avx2 dense forward float16 2": 7.60,
    "avx2 dense backward float16 2": 7.78,
    "avx2 dense forward bfloat16 2": 7.99,
    "avx2 dense backward bfloat16 2": 9.18,
    "avx2 dense forward float32 class-weighted": 8.61,
    "avx2 dense backward float32 class-weighted": 8.62,
    "avx2 pair forward float32 class-weighted": 8.46,
    "avx2 pair backward float32 class-weighted": 8.24,
    "avx2 pair forward float32 quality-focal": 10.78,
    "avx2 pair backward float32 quality-focal": 11.04,
    "avx2 masked forward float32 matchability-aware": 11.33,
    "avx2 masked backward float32 matchability-aware": 11.95,
}


def instructions(driver, kernel, repeats):
    command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        driver,
        *kernel.split(),
        ROWS,
        CLASSES,
        repeats,
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


@pytest.mark.parametrize("kernel", COUNTS)
def test_no_kernel_takes_more_instructions(driver, kernel):
    if kernel.split()[0] not in extension.isa_supported():
        pytest.skip("this machine has no " + kernel.split()[0])
    # less what the program does besides
    counted = (instructions(driver, kernel, REPEATS + 1) - instructions(driver, kernel, 1)) / (REPEATS * ROWS * CLASSES)
    print(f"\n    {kernel!r}: {counted:.2f},")
    assert counted <= COUNTS[kernel] * MARGIN
