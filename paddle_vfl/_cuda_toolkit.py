"""The CUDA toolkit: where it is, and for which of our architectures it compiles.

For setup.py and for tools that run without Paddle: the standard library alone.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["ARCHITECTURES", "architectures", "missing_header", "toolkit"]

# compute capabilities, of Volta to Blackwell; CUDA 13 has no 70
ARCHITECTURES = ["70", "75", "80", "86", "89", "90", "100", "120"]

# what a folder has that is a toolkit
_PARTS = ["bin/nvcc", "include/cuda_runtime.h"]
# what the kernels and, in a CUDA build, Paddle's tensors include; CUDA 13 has thrust in a folder of its own
_HEADERS = ["cuda_fp16.h", "cuda_bf16.h", "thrust/complex.h"]
_INCLUDE = ["include", "include/cccl"]


def toolkit():
    """The folder of the toolkit, a Path, or None.

    The first of CUDA_HOME, CUDA_PATH, that of nvcc on the PATH, that of the installed packages nvidia-cuda-nvcc and
    nvidia-cuda-runtime, and /usr/local/cuda.
    """
    nvcc = shutil.which("nvcc")
    places = [
        os.environ.get("CUDA_HOME"),
        os.environ.get("CUDA_PATH"),
        nvcc and Path(nvcc).resolve().parents[1],
        *(package for folder in sys.path for package in sorted(Path(folder).glob("nvidia/cu*"))),
        "/usr/local/cuda",
    ]
    folders = [Path(place) for place in places if place]
    return next((folder for folder in folders if all((folder / part).exists() for part in _PARTS)), None)


def missing_header(folder):
    """The first header that the build needs and the toolkit in ``folder`` lacks, or None."""
    found = lambda header: any((folder / include / header).exists() for include in _INCLUDE)
    return next((header for header in _HEADERS if not found(header)), None)


def architectures(folder):
    """Those of ARCHITECTURES that the toolkit's nvcc compiles for."""
    command = [str(folder / "bin" / "nvcc"), "--list-gpu-arch"]
    known = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return [number for number in ARCHITECTURES if f"compute_{number}" in known]
