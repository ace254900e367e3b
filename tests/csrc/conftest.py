"""The CPU kernels compiled without Paddle, as setup.py compiles them."""

import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """The program of kernel_driver.cc, which runs one kernel."""
    program = tmp_path_factory.mktemp("driver") / "kernel_driver"
    # GCC 12 finds its own immintrin.h uninitialized
    flags = [
        "-std=c++17",
        "-O3",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-psabi",
        "-Wno-maybe-uninitialized",
        "-Wno-uninitialized",
        "-pthread",
    ]
    sources = [Path(__file__).with_name("kernel_driver.cc"), *sorted((CSRC / "cpu").glob("*.cc"))]
    done = subprocess.run(
        ["g++", *flags, "-o", str(program), *map(str, sources)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return program
