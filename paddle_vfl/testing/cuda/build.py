"""Compiles the CUDA kernels with the C interface beside this file into a shared library."""

import concurrent.futures
import os
import shlex
import subprocess
from pathlib import Path

from ..._cuda_toolkit import toolkit

__all__ = ["build_emulated", "build_for_gpu", "toolkit"]

HERE = Path(__file__).resolve().parent
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-maybe-uninitialized"]


def build_for_gpu(csrc, folder):
    """The library for this machine's GPU, compiled by nvcc from the folder csrc/ into ``folder``. Returns its path.

    Raises:
        RuntimeError: what the compiler says.
    """
    nvcc = str(toolkit() / "bin" / "nvcc")
    return _build(csrc, folder, [nvcc], ["-std=c++17", "-O3", "-arch=native", "-lineinfo", "-Xcompiler", "-fPIC"], [])


def build_emulated(csrc, folder):
    """The library for the host, compiled by $CXX or g++ with the toolkit's headers and the emulator; else as
    :func:`build_for_gpu`."""
    # small slices, so that small inputs show that problems are cut right
    options = [f"-I{toolkit() / 'include'}", "-DVFL_SLICE_ELEMENTS=16384", "-include", str(HERE / "emulator.h")]
    flags = ["-std=c++17", "-O1", "-fPIC", *WARNINGS, *options, "-x", "c++"]
    return _build(csrc, folder, shlex.split(os.environ.get("CXX", "g++")), flags, [HERE / "emulator.cc"])


def _build(csrc, folder, compiler, flags, more):
    cuda = Path(csrc) / "cuda"
    sources = [*sorted(cuda.glob("*.cu")), HERE / "c_interface.cc", *more]

    def to_object(source):
        path = Path(folder) / (source.stem + ".o")
        _run([*compiler, *flags, f"-I{cuda}", "-c", str(source), "-o", str(path)])
        return str(path)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(to_object, sources))
    library = Path(folder) / "libvfl.so"
    _run([*compiler, "-shared", "-o", str(library), *objects])
    return library


def _run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stderr}")
