"""The CPU kernels compiled without Paddle, as setup.py compiles them, or otherwise."""

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest

from paddle_vfl._cxx_flags import cxx_flags

HERE = Path(__file__).parent
KERNELS = sorted((HERE.parents[1] / "csrc" / "cpu").glob("*.cc"))
# GCC 12 finds its own immintrin.h uninitialized
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-Wno-maybe-uninitialized", "-Wno-uninitialized")
CXX = tuple(shlex.split(os.environ.get("CXX", "g++")))


def flags_of_the_build():
    """Those of setuptools, setup.py and Paddle, in their order: a compiler cache has the kernels from the build."""
    of_python = shlex.split(f"{sysconfig.get_config_var('CFLAGS')} {sysconfig.get_config_var('CCSHARED')}")
    return (*of_python, *cxx_flags(HERE), "-w")


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """A function that compiles a source of this folder and the kernels, these once for the same flags, and returns the
    program."""
    done = {}

    def program(name, flags=None, compiler=CXX):
        flags = flags_of_the_build() if flags is None else ("-std=c++17", *WARNINGS, *flags, "-pthread")
        key = flags, compiler
        if key not in done:
            folder = tmp_path_factory.mktemp("kernels")
            done[key] = folder, compiled(KERNELS, folder, *key)
        folder, kernels = done[key]
        path = folder / name.replace(".", "_")
        objects = [*compiled([HERE / name], folder, *key), *kernels]
        subprocess.run([*compiler, *flags, "-o", path, *objects], check=True)
        return str(path)

    return program


def compiled(sources, folder, flags, compiler):
    """Object files of the sources, made by a compiler on each core."""
    objects, jobs = [], []
    for source in sources:
        objects.append(folder / (source.stem + ".o"))
        command = [*compiler, *flags, "-c", source, "-o", objects[-1]]
        jobs.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        if len(jobs) % (os.cpu_count() or 1) == 0:
            jobs[-1].wait()
    for job in jobs:
        errors = job.communicate()[1]
        assert job.returncode == 0, errors[-4000:]
    return objects


@pytest.fixture
def kernel_warnings():
    """What the compiler says of the sources as it reads them; `make sanitize` sees what it finds as it optimizes."""
    commands = [[*CXX, "-std=c++17", *WARNINGS, "-fsyntax-only", source] for source in KERNELS]
    return "".join(subprocess.run(command, capture_output=True, text=True).stderr for command in commands)


@pytest.fixture(scope="session")
def driver(program):
    """The program of kernel_driver.cc, which runs one kernel."""
    return program("kernel_driver.cc")
