"""Python's operators as Paddle 2 had them for tensors of unlike types, by their names in the module ``operator``."""

import operator

import paddle

from .paddle_versions import is_tensor

__all__ = ["NAMES", "beside"]

# by the names in Python's syntax tree
NAMES = {
    "Add": "add",
    "Sub": "sub",
    "Mult": "mul",
    "Div": "truediv",
    "FloorDiv": "floordiv",
    "Mod": "mod",
    "Pow": "pow",
    "BitAnd": "and_",
    "BitOr": "or_",
    "BitXor": "xor",
    "Eq": "eq",
    "NotEq": "ne",
    "Lt": "lt",
    "LtE": "le",
    "Gt": "gt",
    "GtE": "ge",
}
_FLOATING = (paddle.float16, paddle.bfloat16, paddle.float32, paddle.float64)


@paddle.jit.not_to_static
def beside(left, right):
    """``right``, of the type of ``left`` where Paddle 3 refuses to compute with the two as they are."""
    if is_tensor(left) and is_tensor(right) and left.dtype != right.dtype:
        promoted = left.ndim == 0 or right.ndim == 0 or (left.dtype in _FLOATING and right.dtype in _FLOATING)
        return right if promoted else right.astype(left.dtype)
    return right


def _with_unlike_types(function):
    @paddle.jit.not_to_static
    def operate(left, right):
        return function(left, beside(left, right))

    return operate


globals().update({name: _with_unlike_types(getattr(operator, name)) for name in NAMES.values()})
