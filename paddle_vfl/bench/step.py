"""What every peer makes from a case, and the one thing that peers on both devices share."""

from typing import Callable, NamedTuple

__all__ = ["LeftOut", "Step", "torch_loss"]


class LeftOut(Exception):
    """A peer cannot take part in a case, for the reason that the message says."""


class Step(NamedTuple):
    """One forward and backward pass.

    ``passes`` is what is timed: lists of calls, one for each set of inputs, by the name of the pass; None is the name
    of forward and backward together. ``whole`` is forward and backward once, for the peak of memory; it returns the
    gradient, and ``drop`` forgets what it keeps of it.
    """

    passes: dict
    whole: Callable
    drop: Callable = lambda: None


def torch_loss(case, compiled, dim=None):
    """The formula in PyTorch's operators, for logits and dense scores: function(pred, target) that gives the sum over
    ``dim``, by default over everything."""
    import torch

    def loss(pred, target):
        pred, target = (pred, target) if pred.dtype == torch.float64 else (pred.float(), target.float())
        p = torch.sigmoid(pred)
        weight = torch.where(target > 0, target, 0.75 * (p - target).abs().pow(case.gamma))
        return (weight * torch.nn.functional.binary_cross_entropy_with_logits(pred, target, reduction="none")).sum(dim)

    return torch.compile(loss, dynamic=False) if compiled else loss
