"""Threads of the operator, and what it was built from."""

import numbers

import paddle

from ._ops import extension
from ._version import __version__

__all__ = ["build_info", "get_num_threads", "set_num_threads"]


def set_num_threads(n):
    """Let the operator's CPU kernels use up to ``n`` threads; small inputs stay on one.

    At first it is ``PADDLE_VFL_NUM_THREADS``, else ``OMP_NUM_THREADS``, which Paddle sets to 1 where it is unset.
    Results do not depend on it.

    Args:
        n (int): at least 1.

    Raises:
        TypeError: ``n`` is not an integer.
        ValueError: ``n`` is less than 1.
    """
    if isinstance(n, bool) or not isinstance(n, numbers.Integral):
        raise TypeError(f"n is {n!r}, a {type(n).__name__}, expected an integer")
    if n < 1:
        raise ValueError(f"n is {n}, expected at least 1")
    extension.set_num_threads(int(n))


def get_num_threads():
    """The number of CPU threads that the operator may use."""
    return extension.get_num_threads()


def build_info():
    """What this build is.

    Returns:
        dict: ``version``; ``paddle_built`` and ``paddle_running``, Paddle's version at build time and now;
        ``compiler``; ``isa_compiled``, instruction sets compiled in, best first; ``isa``, the one in use (chosen by the
        machine, or by ``PADDLE_VFL_ISA``); ``cuda``, the version of CUDA built with, and ``cuda_archs``, GPU
        architectures: None in a build without CUDA.
    """
    return {
        "version": __version__,
        "paddle_built": extension.paddle_version,
        "paddle_running": paddle.__version__,
        "compiler": extension.compiler,
        "isa_compiled": extension.isa_list(),
        "isa": extension.get_isa(),
        "cuda": extension.cuda_version,
        "cuda_archs": extension.cuda_archs,
    }
