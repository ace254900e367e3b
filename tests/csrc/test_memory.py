"""The kernels' use of memory and threads (kernel_checks.cc): guard pages, AddressSanitizer and
UndefinedBehaviorSanitizer, ThreadSanitizer."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-Wno-maybe-uninitialized", "-Wno-uninitialized"]
BUILDS = {
    "guard pages": ["-O3"],
    "address, undefined": ["-O1", "-fsanitize=address", "-fno-sanitize-recover=all"],
    "thread": ["-O1", "-g", "-fsanitize=thread"],
}


def flags_of(build, source):
    """UndefinedBehaviorSanitizer sees the portable kernels: the others are of the same source, and take minutes."""
    undefined = ["-fsanitize=undefined"] if "undefined" in build and "avx" not in source.name else []
    return [*BUILDS[build], *undefined]


pytestmark = pytest.mark.skipif(
    shutil.which("g++") is None or platform.system() != "Linux", reason="no g++, or not Linux"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "build, what",
    [
        ("guard pages", "bounds"),
        ("address, undefined", "bounds"),
        ("address, undefined", "threads"),
        ("address, undefined", "buffers"),
        ("thread", "threads"),
        ("thread", "buffers"),
    ],
)
def test_kernel_checks(programs, build, what):
    # setarch: ThreadSanitizer does not know the address layouts of newer kernels
    command = ["setarch", platform.machine(), "-R"] if build == "thread" and shutil.which("setarch") else []
    done = subprocess.run([*command, programs(build), what], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A function of the build that compiles kernel_checks.cc with it and returns the program."""
    folder, done = tmp_path_factory.mktemp("checks"), {}

    def program(build):
        if build not in done:
            path = folder / str(len(done))
            sources = [HERE / "kernel_checks.cc", *sorted((CSRC / "cpu").glob("*.cc"))]
            objects = [path.with_suffix(f".{i}.o") for i in range(len(sources))]
            jobs = []
            for source, target in zip(sources, objects):
                command = [
                    "g++",
                    "-std=c++17",
                    *WARNINGS,
                    *flags_of(build, source),
                    "-pthread",
                    "-c",
                    str(source),
                    "-o",
                    str(target),
                ]
                jobs.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
                if len(jobs) % (os.cpu_count() or 1) == 0:
                    jobs[-1].wait()
            for job in jobs:
                errors = job.communicate()[1]
                assert job.returncode == 0, errors[-4000:]
            flags = flags_of(build, sources[0])
            subprocess.run(["g++", *flags, "-pthread", "-o", str(path), *map(str, objects)], check=True)
            done[build] = str(path)
        return done[build]

    return program


@pytest.mark.slow
@pytest.mark.parametrize("build", ["guard pages", "address, undefined"])
def test_an_overrun_is_noticed(programs, build):
    assert subprocess.run([programs(build), "overrun"], capture_output=True).returncode != 0


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-g++") is None or shutil.which("qemu-aarch64") is None,
    reason="no compiler or no emulator for aarch64",
)
def test_kernel_checks_on_aarch64(tmp_path):
    program = str(tmp_path / "checks")
    sources = [str(HERE / "kernel_checks.cc"), *map(str, sorted((CSRC / "cpu").glob("*.cc")))]
    subprocess.run(
        ["aarch64-linux-gnu-g++", "-std=c++17", "-O3", *WARNINGS, "-static", "-pthread", "-o", program, *sources],
        check=True,
    )
    for what in ("bounds", "threads", "buffers"):
        subprocess.run(["qemu-aarch64", program, what], check=True)
