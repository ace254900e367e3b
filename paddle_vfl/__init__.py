"""Varifocal loss for PaddleDetection as one fused operator. See README.md."""

import sys

from . import _ops  # noqa: F401  first: it imports Paddle the right way
from ._version import __version__
from .ppdet_plugin import disable, enable, status
from .runtime import build_info, get_num_threads, set_num_threads
from .varifocal_loss import VarifocalLoss, varifocal_loss

__all__ = [
    "VarifocalLoss",
    "__version__",
    "build_info",
    "disable",
    "enable",
    "get_num_threads",
    "set_num_threads",
    "status",
    "varifocal_loss",
]

# paddle.jit.to_static rewrites the Python code that it meets, shapes into tensors included: this code is written for
# static programs
_ops.paddle.jit.ignore_module([sys.modules[__name__], sys.modules[f"{__name__}.varifocal_loss"]])
