"""The kernels' use of memory and threads (kernel_checks.cc): AddressSanitizer and ThreadSanitizer on the portable
kernels. The AVX kernels are of the same source; guard pages have them all (test_cpu_kernels.py), and so has `make
sanitize`, which takes minutes longer, UndefinedBehaviorSanitizer besides."""

import platform
import shutil
import subprocess

import pytest

PORTABLE = "-DVFL_PORTABLE"
BUILDS = {
    "address": {"flags": ("-O0", "-fsanitize=address", PORTABLE)},
    "thread": {"flags": ("-O0", "-g", "-fsanitize=thread", PORTABLE)},
    "address, AVX": {"flags": ("-O1", "-fsanitize=address")},
    "undefined": {"flags": ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", PORTABLE)},
}
IN_CI = ("address", "thread")

pytestmark = pytest.mark.skipif(
    shutil.which("g++") is None or platform.system() != "Linux", reason="no g++, or not Linux"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build, what",
    [
        ("address", "bounds"),
        ("address", "threads"),
        ("address", "buffers"),
        ("thread", "threads"),
        ("thread", "buffers"),
        ("address, AVX", "bounds"),
        ("undefined", "bounds"),
        ("undefined", "threads"),
    ],
)
def test_kernel_checks(program, build, what, pytestconfig):
    if build not in IN_CI and not pytestconfig.getoption("--thorough"):
        pytest.skip("`make sanitize` runs it")
    # setarch: ThreadSanitizer does not know the address layouts of newer kernels
    command = ["setarch", platform.machine(), "-R"] if build == "thread" and shutil.which("setarch") else []
    checks = program("kernel_checks.cc", **BUILDS[build])
    done = subprocess.run([*command, checks, what], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_an_overrun_is_noticed(program):
    checks = program("kernel_checks.cc", **BUILDS["address"])
    assert subprocess.run([checks, "overrun"], capture_output=True).returncode != 0


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-g++") is None or shutil.which("qemu-aarch64") is None,
    reason="no compiler or no emulator for aarch64",
)
def test_kernel_checks_on_aarch64(program):
    checks = program("kernel_checks.cc", flags=("-O3", "-static"), compiler=("aarch64-linux-gnu-g++",))
    for what in ("bounds", "threads", "buffers"):
        subprocess.run(["qemu-aarch64", checks, what], check=True)
