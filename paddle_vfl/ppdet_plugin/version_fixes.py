"""What PaddleDetection needs to run on newer versions of what it depends on; each fix names the symptom it cures.

``zlib`` before ``paddle``, which has to come earlier than anything here, is at the top of paddle_vfl/_ops.py.
"""

import functools
import importlib.util
import inspect

import numpy as np
import paddle

__all__ = ["apply_after_import", "apply_before_import"]


def apply_before_import(patches):
    """Apply what ``import ppdet`` needs. Returns the names of the fixes applied."""
    return _apply((numpy_aliases,), patches)


def apply_after_import(patches):
    """Apply what changes ppdet itself. Returns the names of the fixes applied."""
    return _apply((integer_gt_labels, float_contrast_mask, pillow_textsize), patches)


def _paddle_3():
    return int(paddle.__version__.split(".")[0] or 0) >= 3


def _apply(fixes, patches):
    return [fix.__name__ for fix in fixes if fix(patches)]


def numpy_aliases(patches):
    """``AttributeError: module 'numpy' has no attribute 'bool'`` (int, float): NumPy 1.24 removed the aliases that
    paddledet uses."""
    if np.lib.NumpyVersion(np.__version__) < "1.24.0":
        return False
    for alias in (bool, int, float):
        if alias.__name__ not in vars(np):  # NumPy 2 has np.bool again
            patches.set(np, alias.__name__, alias)
    return True


def integer_gt_labels(patches):
    """``TypeError: Type promotion only support calculations between floating-point numbers ... x: int64, y: int32``.

    Paddle 3 no longer mixes int32 labels with int64 indices, which the assigners of paddledet 2.6.0 do.
    """
    if not _paddle_3():
        return False
    from ppdet.modeling import assigners

    for assigner in vars(assigners).values():
        forward = vars(assigner).get("forward") if inspect.isclass(assigner) else None
        if forward is not None and "gt_labels" in inspect.signature(forward).parameters:
            patches.set(assigner, "forward", _with_int64_labels(forward))
    return True


def _with_int64_labels(forward):
    signature = inspect.signature(forward)

    @functools.wraps(forward)
    def wrapper(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.arguments["gt_labels"] = bound.arguments["gt_labels"].cast("int64")
        return forward(*bound.args, **bound.kwargs)

    return wrapper


def float_contrast_mask(patches):
    """``TypeError: Type promotion only support calculations between floating-point numbers ... x: float32, y: bool``.

    The contrast loss of PPYOLOEContrastHead multiplies by a mask that ``paddle.equal`` made.
    """
    # PaddleYOLO has none
    if not _paddle_3() or importlib.util.find_spec("ppdet.modeling.losses.supcontrast") is None:
        return False
    from ppdet.modeling.losses import supcontrast

    patches.set(supcontrast, "paddle", _FloatEqual())
    return True


class _FloatEqual:
    """Paddle, but for ``equal``, whose mask is float32."""

    def __getattr__(self, name):
        return getattr(paddle, name)

    def equal(self, x, y):
        return paddle.equal(x, y).cast("float32")


def pillow_textsize(patches):
    """``AttributeError: 'ImageDraw' object has no attribute 'textsize'``: Pillow 10 removed it; paddledet 2.6.0 draws
    boxes with it."""
    from PIL.ImageDraw import ImageDraw

    if hasattr(ImageDraw, "textsize"):
        return False

    def textsize(self, text, *args, **kwargs):
        left, top, right, bottom = self.textbbox((0, 0), text, *args, **kwargs)
        return right, bottom

    patches.set(ImageDraw, "textsize", textsize)
    return True
