"""Functions of PaddleDetection that compute varifocal loss, and the registered classes that call them.

``varifocal_loss``, for the cost matrix of SimOTAAssigner, and ``varifocal_loss_with_logits``, for DETRLoss, DINOLoss and their like: modules
import them by name. The classes are found by the names in their methods' code.
"""
import contextvars
import functools
import inspect
import sys

from ..varifocal_loss import varifocal_loss as fused
from .errors import ConfigError
from .loss_key import accept_loss
from .probe import computes_the_same

__all__ = ["switch_functions"]


def varifocal_loss(pred, target, alpha=0.75, gamma=2.0, iou_weighted=True, use_sigmoid=True):
    """Takes the place of ``ppdet.modeling.losses.varifocal_loss.varifocal_loss``: probabilities are summed over axis 1."""
    rows = not use_sigmoid and len(pred.shape) == 2
    options = {"alpha": alpha, "gamma": gamma, "iou_weighted": iou_weighted, **_options.get()}
    weight = options.pop("loss_weight", 1.0)
    loss = fused(pred, target, use_sigmoid=use_sigmoid, reduction="row" if rows else "none", **options)
    if not use_sigmoid and not rows:
        loss = loss.sum(axis=1)
    return loss if weight == 1 else weight * loss


def varifocal_loss_with_logits(pred_logits, gt_score, label, normalizer=1.0, alpha=0.75, gamma=2.0):
    """Takes the place of ``ppdet.modeling.transformers.utils.varifocal_loss_with_logits``: (N, queries, C), mean over the queries."""
    options = {"alpha": alpha, "gamma": gamma, **_options.get()}
    weight = options.pop("loss_weight", 1.0)
    loss = fused(pred_logits, gt_score, label, reduction="row", **options)
    # the sum over the classes and the mean over the queries commute
    loss = loss.mean(1).sum() / normalizer
    return loss if weight == 1 else weight * loss


# options of the object whose method is running: the functions are not given it
_options = contextvars.ContextVar("paddle_vfl_options", default={})
_ATTRIBUTE = "_paddle_vfl_options"
_INPUTS = {varifocal_loss: "scores", varifocal_loss_with_logits: "logits"}


def switch_functions(patches, modules):
    """Switch the functions and let the classes that call them take ``loss``. Returns (call sites switched, left alone)."""
    switched, strange = [], []
    for ours, inputs in _INPUTS.items():
        name = ours.__name__
        for theirs in _definitions(name):
            callers = {cls: schema for cls, schema in modules.items() if _methods_that_name(cls, name)}
            sites = [f"{cls.__name__}: {name}" for cls in callers]
            if theirs is not ours and not computes_the_same(theirs, ours, inputs):
                strange += sites
                continue
            if theirs is not ours:
                patches.set_name(name, theirs, ours)
            for cls, schema in callers.items():
                _give_options(patches, cls, name)
                accept_loss(patches, cls, schema, _use, selected=_selected)
            switched += sites
    return switched, strange


def _definitions(name):
    """The functions of that name that ppdet's modules have, each once."""
    modules = [module for path, module in sorted(sys.modules.items()) if path.split(".")[0] == "ppdet"]
    found = [vars(module)[name] for module in modules if inspect.isfunction(vars(module).get(name))]
    return list(dict.fromkeys(found))


def _methods_that_name(cls, function):
    """[(class, method name)] of the methods, own and inherited, whose code names the function."""
    return [
        (base, name) for base in cls.__mro__ for name, method in vars(base).items()
        if inspect.isfunction(method) and function in inspect.unwrap(method).__code__.co_names
    ]


def _give_options(patches, cls, function):
    """Let the methods that call the function run with their object's options."""
    for base, name in _methods_that_name(cls, function):
        method = vars(base)[name]
        if hasattr(method, _ATTRIBUTE):
            continue

        @functools.wraps(method)
        def wrapper(self, *args, method=method, **kwargs):
            token = _options.set(vars(self).get(_ATTRIBUTE, {}))
            try:
                return method(self, *args, **kwargs)
            finally:
                _options.reset(token)

        setattr(wrapper, _ATTRIBUTE, True)
        patches.set(base, name, wrapper)


def _selected(owner):
    # SimOTA's cost matrix is not a loss: it takes other options only where its own key asks for them
    return getattr(owner, "use_focal_loss", False) and owner.use_vfl


def _use(owner, options):
    if not getattr(owner, "use_focal_loss", True):
        raise ConfigError(f"{type(owner).__name__}.loss: VarifocalLoss needs use_focal_loss: true, the sigmoid form of the loss")
    setattr(owner, _ATTRIBUTE, options)
    owner.use_vfl = True
