"""The CUDA kernels as a shared library without Paddle, for a GPU or for the emulator, and calls of it from NumPy
arrays. They are compiled from ``csrc/`` of a checkout."""

from .build import build_emulated, build_for_gpu, toolkit
from .kernels import Kernels
from .memory import GpuMemory, HostMemory

__all__ = ["GpuMemory", "HostMemory", "Kernels", "build_emulated", "build_for_gpu", "toolkit"]
