"""Varifocal loss for PaddleDetection as one fused operator. See README.md.

Names are loaded when they are first used: the command line starts quickly, and the CUDA kernels can be tested where
there is no Paddle.
"""

import importlib

# before Paddle: on Paddle 2.6.2, a zlib loaded later (by cv2, by pandas) crashes in inflateReset2
import zlib  # noqa: F401

from ._version import __version__ as __version__

_HOMES = {
    "losses": ("MatchabilityAwareLoss", "QualityFocalLoss", "VarifocalLoss", "varifocal_loss"),
    "ppdet_plugin": ("disable", "enable", "status"),
    "runtime": ("build_info", "get_num_threads", "set_num_threads"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted([*_HOME_OF, "__version__"])


def __getattr__(name):
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
