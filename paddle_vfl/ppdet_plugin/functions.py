"""Functions of PaddleDetection that compute varifocal loss, and the registered classes that call them.

``varifocal_loss``, for the cost matrix of SimOTAAssigner, and ``varifocal_loss_with_logits``, for DETRLoss, DINOLoss
and their like: modules import them by name. The classes are found by their methods' code.
"""

import contextvars
import functools
import inspect
import types

from ..losses import varifocal_loss as fused
from .errors import ConfigError
from .loss_key import accept_loss
from .patches import ppdet_modules
from .probe import computes_the_same

__all__ = ["switch_functions"]


def varifocal_loss(pred, target, alpha=0.75, gamma=2.0, iou_weighted=True, use_sigmoid=True):
    """Takes the place of ``ppdet.modeling.losses.varifocal_loss.varifocal_loss``: probabilities are summed over axis
    1."""
    rows = not use_sigmoid and len(pred.shape) == 2
    options = {"alpha": alpha, "gamma": gamma, "iou_weighted": iou_weighted, **_options.get()}
    weight = options.pop("loss_weight", 1.0)
    loss = fused(pred, target, use_sigmoid=use_sigmoid, reduction="row" if rows else "none", **options)
    if not use_sigmoid and not rows:
        loss = loss.sum(axis=1)
    return loss if weight == 1 else weight * loss


def varifocal_loss_with_logits(pred_logits, gt_score, label, normalizer=1.0, alpha=0.75, gamma=2.0):
    """Takes the place of ``ppdet.modeling.transformers.utils.varifocal_loss_with_logits``: (N, queries, C), mean over
    the queries."""
    options = {"alpha": alpha, "gamma": gamma, **_options.get()}
    weight = options.pop("loss_weight", 1.0)
    loss = fused(pred_logits, gt_score, label, reduction="row", **options)
    # the sum over the classes and the mean over the queries commute
    loss = loss.mean(1).sum() / normalizer
    return loss if weight == 1 else weight * loss


# options of the object whose method is running: the functions are not given it
_options: contextvars.ContextVar = contextvars.ContextVar("paddle_vfl_options", default=types.MappingProxyType({}))
_ATTRIBUTE = "_paddle_vfl_options"
_FORMS = {varifocal_loss: "scores", varifocal_loss_with_logits: "logits"}


def switch_functions(patches, modules):
    """Switch the functions and let the classes that call them take ``loss``. Returns (call sites switched, left
    alone)."""
    switched, strange = [], []
    for ours, form in _FORMS.items():
        name = ours.__name__
        for theirs in _definitions(name):
            methods = {cls: _methods_that_call(cls, theirs, name) for cls in modules}
            callers = [cls for cls in modules if methods[cls]]
            sites = [f"{cls.__name__}: {name}" for cls in callers]
            if theirs is not ours:
                if not computes_the_same(theirs, ours, form):
                    strange += sites
                    continue
                patches.set_name(name, theirs, ours)
            for cls in callers:
                for base, method in methods[cls]:
                    _run_with_options(patches, base, method)
                accept_loss(patches, cls, modules[cls], _use, selected=_selected)
            switched += sites
    return switched, strange


def _definitions(name):
    """The functions that ppdet's modules have under that name, each once."""
    found = [vars(module)[name] for module in ppdet_modules() if inspect.isfunction(vars(module).get(name))]
    return list(dict.fromkeys(found))


def _methods_that_call(cls, function, name):
    """[(class, method name)] of the methods, own and inherited, to whose code ``name`` means the function."""
    methods = [
        (base, key, inspect.unwrap(value))
        for base in cls.__mro__
        for key, value in vars(base).items()
        if inspect.isfunction(value)
    ]
    return [
        (base, key)
        for base, key, value in methods
        if name in value.__code__.co_names and value.__globals__.get(name) is function
    ]


def _run_with_options(patches, cls, name):
    """Let a method run with its object's options."""
    method = vars(cls)[name]
    if hasattr(method, _ATTRIBUTE):
        return

    @functools.wraps(method)
    def wrapper(self, *args, **kwargs):
        token = _options.set(vars(self).get(_ATTRIBUTE, {}))
        try:
            return method(self, *args, **kwargs)
        finally:
            _options.reset(token)

    setattr(wrapper, _ATTRIBUTE, True)
    patches.set(cls, name, wrapper)


def _selected(owner):
    # SimOTA's cost matrix is not a loss: it takes other options only where its own key asks for them
    return getattr(owner, "use_focal_loss", False) and owner.use_vfl


def _use(owner, options):
    if not getattr(owner, "use_focal_loss", True):
        raise ConfigError(
            f"{type(owner).__name__}.loss: VarifocalLoss needs use_focal_loss: true, the sigmoid form of the loss"
        )
    setattr(owner, _ATTRIBUTE, options)
    owner.use_vfl = True
