"""Operators between tensors of unlike types."""

import sys

from . import operators
from .paddle_versions import paddle_is_at_least
from .rewriting import rewrite_operators

__all__ = ["operators_on_unlike_types"]


def operators_on_unlike_types(patches):
    """A model computes with int32 and int64, or float32 and bool: TypeError: Type promotion only support calculations
    between floating-point numbers

    Paddle 2 converted the right operand to the type of the left one, and PaddleDetection counts on it for labels, masks
    and indices. Paddle 3 refuses.
    """
    if not paddle_is_at_least(3, 0):
        return False
    for path, module in sorted(sys.modules.items()):
        if path.startswith("ppdet.modeling.") and module is not None:
            rewrite_operators(patches, module, operators)
    return True
