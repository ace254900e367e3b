"""Functions of PaddleDetection that compute varifocal loss, and the registered classes that call them.

``varifocal_loss``, for the cost matrix of SimOTAAssigner, and ``varifocal_loss_with_logits``, for DETRLoss, DINOLoss
and their like: modules import them by name. The classes are found by their methods' code.
"""

import contextvars
import functools
import inspect

from ...losses import varifocal_loss
from ..errors import ConfigError
from ..patches import ppdet_modules
from .probe import computes_the_same
from .site import CallSite, Place, loss_of

__all__ = ["VARIFOCAL_LOSS", "VARIFOCAL_LOSS_WITH_LOGITS"]

# the object whose method is running: the functions are not given it
_caller: contextvars.ContextVar = contextvars.ContextVar("paddle_vfl_caller", default=None)


def fused_scores(pred, target, alpha=0.75, gamma=2.0, iou_weighted=True, use_sigmoid=True):
    """Takes the place of ``ppdet.modeling.losses.varifocal_loss.varifocal_loss``: probabilities are summed over axis
    1."""
    options, weight = _options(alpha=alpha, gamma=gamma, iou_weighted=iou_weighted)
    rows = not use_sigmoid and len(pred.shape) == 2
    loss = varifocal_loss(pred, target, use_sigmoid=use_sigmoid, reduction="row" if rows else "none", **options)
    if not use_sigmoid and not rows:
        loss = loss.sum(axis=1)
    return loss if weight == 1 else weight * loss


def fused_logits(pred_logits, gt_score, label, normalizer=1.0, alpha=0.75, gamma=2.0):
    """Takes the place of ``ppdet.modeling.transformers.utils.varifocal_loss_with_logits``: (N, queries, C), mean over
    the queries."""
    options, weight = _options(alpha=alpha, gamma=gamma)
    loss = varifocal_loss(pred_logits, gt_score, label, reduction="row", **options)
    # the sum over the classes and the mean over the queries commute
    loss = loss.mean(1).sum() / normalizer
    return loss if weight == 1 else weight * loss


def _options(**given):
    """The options of a call, and the weight of its result: those of the caller's loss go before those given."""
    caller = _caller.get()
    loss = None if caller is None else loss_of(caller)
    options = {**given, **({} if loss is None else loss.formula)}
    return options, options.pop("loss_weight", 1.0)


class Function(CallSite):
    """A function ``name`` in whose place ``fused`` goes; ``inputs``: what it takes, as in probe.py."""

    own_key = "use_vfl"

    def __init__(self, name, fused, inputs):
        self.name, self.fused, self.inputs = name, fused, inputs

    def find(self, modules):
        functions = (vars(module).get(self.name) for module in ppdet_modules())
        for theirs in dict.fromkeys(function for function in functions if inspect.isfunction(function)):
            for cls in modules:
                methods = [
                    (base, key)
                    for base in cls.__mro__
                    for key, value in vars(base).items()
                    if inspect.isfunction(value) and self._calls(inspect.unwrap(value), theirs)
                ]
                if methods:
                    yield Place(f"{cls.__name__}: {self.name}", cls, (theirs, methods))

    def _calls(self, method, function):
        return self.name in method.__code__.co_names and method.__globals__.get(self.name) is function

    def fits(self, place):
        theirs, _ = place.target
        return theirs is self.fused or computes_the_same(theirs, self.fused, self.inputs)

    def install(self, patches, place):
        theirs, methods = place.target
        if theirs is not self.fused:
            patches.set_name(self.name, theirs, self.fused)
        for cls, name in methods:
            if not hasattr(vars(cls)[name], "_names_the_caller"):
                patches.set(cls, name, _naming_the_caller(vars(cls)[name]))

    def selected(self, instance):
        # SimOTA's cost matrix is not a loss: it takes other options only where its own key asks for them
        return getattr(instance, "use_focal_loss", False) and instance.use_vfl

    def apply(self, instance, loss):
        if not getattr(instance, "use_focal_loss", True):
            raise ConfigError(f"{loss.path}: {loss.name} needs use_focal_loss: true, the sigmoid loss")
        instance.use_vfl = True


VARIFOCAL_LOSS = Function("varifocal_loss", fused_scores, "scores")
VARIFOCAL_LOSS_WITH_LOGITS = Function("varifocal_loss_with_logits", fused_logits, "logits and mask")


def _naming_the_caller(method):
    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        token = _caller.set(self)
        try:
            return method(self, *args, **kwargs)
        finally:
            _caller.reset(token)

    wrapper._names_the_caller = True
    return wrapper
