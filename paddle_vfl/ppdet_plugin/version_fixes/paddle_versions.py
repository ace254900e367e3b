"""Which Paddle this is, and a name for it with some of its functions replaced."""

import paddle

__all__ = ["Namespace", "is_tensor", "paddle_is_at_least"]

# the values of a program that is being built are no tensors
_TENSORS = (paddle.Tensor, paddle.pir.Value) if hasattr(paddle, "pir") else (paddle.Tensor,)


def paddle_is_at_least(*version):
    """Whether Paddle's version is that or newer. Builds of its development branch, 0.0.0, are."""
    numbers = tuple(int(part) for part in paddle.__version__.split(".")[:2] if part.isdigit())
    return numbers == (0, 0) or numbers >= version


def is_tensor(value):
    return isinstance(value, _TENSORS)


class Namespace:
    """A module, but for the names given."""

    def __init__(self, module, **names):
        vars(self).update(names, _module=module)

    def __getattr__(self, name):
        return getattr(self._module, name)
