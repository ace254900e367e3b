"""Is a function of PaddleDetection the one that the fused operator takes the place of?"""

import inspect

import paddle

from ... import reference

__all__ = ["computes", "computes_the_same", "names_in", "source_of"]

_PROBABILITIES = [[[0.1, 0.9, 0.4], [0.6, 0.2, 0.7]]]
_SCORES = [[[0.0, 0.8, 0.0], [0.0, 0.0, 0.3]]]
# (predictions, scores, labels) of shape (1, 2, 3) -> arguments of the function, and what it should make of them
_INPUTS = {
    "probabilities and mask": lambda p, x, q, y: (
        (p, q, y),
        reference.varifocal_loss(p, q, y, use_sigmoid=False, reduction="sum"),
    ),
    "logits and mask": lambda p, x, q, y: ((x, q, y), reference.varifocal_loss(x, q, y, reduction="row").mean(1).sum()),
    "scores": lambda p, x, q, y: ((x[0], q[0]), reference.varifocal_loss(x[0], q[0])),
    # not varifocal loss, but another of soft scores, which it may take the place of
    "probabilities and scores of a focal loss": lambda p, x, q, y: (
        (p, q),
        reference.varifocal_loss(p, q, use_sigmoid=False, alpha=1, positive_weight="modulated", reduction="sum"),
    ),
}


def computes_the_same(theirs, ours, inputs):
    """Whether ``theirs`` takes the first parameters of ``ours``, with the same defaults, and computes varifocal loss.

    Args:
        theirs, ours (Callable): the functions.
        inputs (str): what they take, as in :func:`computes`.
    """
    parameters = [[(p.name, p.default) for p in inspect.signature(f).parameters.values()] for f in (theirs, ours)]
    return parameters[0] == parameters[1][: len(parameters[0])] and computes(theirs, inputs)


def computes(theirs, inputs, **options):
    """Whether a function makes of its inputs what is expected of them.

    Args:
        theirs (Callable): the function.
        inputs (str): what it takes: "probabilities and mask" or "logits and mask", with scores, of shape (N, L, C);
            "scores", logits and scores of shape (N, C); or "probabilities and scores of a focal loss", (N, L, C).
        options: arguments that it is given besides.
    """
    if not paddle.in_dynamic_mode():  # nothing can be computed now
        return True
    try:
        with paddle.no_grad():
            # in the CPU's memory: whoever switches the loss may not have chosen a device yet
            p, q = (paddle.to_tensor(v, dtype="float32", place=paddle.CPUPlace()) for v in (_PROBABILITIES, _SCORES))
            args, expected = _INPUTS[inputs](p, paddle.log(p / (1 - p)), q, (q > 0).cast("float32"))
            actual = theirs(*args, **options)
        return actual.shape == expected.shape and bool(paddle.allclose(actual, expected, rtol=1e-4))
    except Exception:  # whatever it is, it is not what is replaced here
        return False


def source_of(function):
    """Its source without white space; nothing where there is none."""
    try:
        return "".join(inspect.getsource(function).split())
    except (OSError, TypeError):
        return ""


def names_in(function):
    """The names that the code of a function uses, decorators taken off; none where it has no code."""
    return getattr(getattr(inspect.unwrap(function), "__code__", None), "co_names", ())
