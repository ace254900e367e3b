"""Tensors without dimensions, which Paddle 2.5 began to make."""

import paddle

from .paddle_versions import Namespace, is_tensor, paddle_is_at_least

__all__ = ["concat_of_scalars"]


def concat_of_scalars(patches):
    """A model concatenates elements of a tensor: ValueError: The axis is expected to be in range of [0, 0), but got 0

    Before Paddle 2.5 such an element, as the height in ``paddle.shape(x)[2]``, had the shape [1]; now it has none.
    """
    if not paddle_is_at_least(2, 5):
        return False
    patches.set_name("paddle", paddle, Namespace(paddle, concat=concat))
    return True


@paddle.jit.not_to_static
def concat(x=None, *args, **kwargs):
    """``paddle.concat``, to which a tensor without dimensions is one element."""
    if isinstance(x, (list, tuple)):
        return paddle.concat([_with_dimensions(part) for part in x], *args, **kwargs)
    if is_tensor(x) and x.ndim == 0:  # the list that a loop in a static graph fills has the shape of its elements
        return paddle.stack(x)
    return paddle.concat(**kwargs) if x is None else paddle.concat(x, *args, **kwargs)  # Paddle 3 also calls it tensors


def _with_dimensions(x):
    return x.reshape([1]) if is_tensor(x) and x.ndim == 0 else x
