"""Heads that compute varifocal loss in a static method ``_varifocal_loss``, as PP-YOLOE does. They are found by that
method."""

import functools
import inspect

from ..losses import varifocal_loss
from .loss_key import accept_loss
from .probe import computes_the_same

__all__ = ["switch_static_methods"]

METHOD = "_varifocal_loss"


def fused_varifocal_loss(pred_score, gt_score, label, alpha=0.75, gamma=2.0, iou_weighted=True, loss_weight=1.0):
    """Takes the place of ``PPYOLOEHead._varifocal_loss``: probabilities, scores and 0/1 labels of shape (N, L, C),
    summed."""
    loss = varifocal_loss(
        pred_score,
        gt_score,
        label,
        alpha=alpha,
        gamma=gamma,
        iou_weighted=iou_weighted,
        use_sigmoid=False,
        reduction="sum",
    )
    return loss if loss_weight == 1 else loss_weight * loss


FUSED = staticmethod(fused_varifocal_loss)


def switch_static_methods(patches, modules):
    """Switch every registered class that has the method. Returns (call sites switched, call sites left alone)."""
    heads = {cls: schema for cls, schema in modules.items() if inspect.getattr_static(cls, METHOD, None) is not None}
    own = {cls for cls in heads if METHOD in vars(cls)}
    unfit = {cls for cls in own if not _fits(vars(cls)[METHOD])}
    switched, strange = [], []
    for cls, schema in heads.items():
        if any(base in unfit for base in cls.__mro__):
            strange.append(f"{cls.__name__}.{METHOD}")
            continue
        accept_loss(patches, cls, schema, _use, selected=_selected)
        switched.append(f"{cls.__name__}.{METHOD}")
    for cls in own - unfit:
        if vars(cls)[METHOD] is not FUSED:
            patches.set(cls, METHOD, FUSED)
    return switched, strange


def _fits(method):
    if method is FUSED:
        return True
    return isinstance(method, staticmethod) and computes_the_same(
        method.__func__, fused_varifocal_loss, "probabilities"
    )


def _selected(head):
    # PaddleYOLO's heads have no switch, and no other loss
    return getattr(head, "use_varifocal_loss", True)


def _use(head, options):
    head.use_varifocal_loss = True
    setattr(head, METHOD, functools.partial(fused_varifocal_loss, **options))
