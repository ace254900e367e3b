"""Heads that compute varifocal loss in a static method ``_varifocal_loss``, as PP-YOLOE does."""

import functools

from ...losses import varifocal_loss
from .probe import computes_the_same
from .site import CallSite, Place

__all__ = ["StaticMethod"]

METHOD = "_varifocal_loss"


def fused_varifocal_loss(
    pred_score, gt_score, label, alpha=0.75, gamma=2.0, iou_weighted=True, loss_weight=1.0, **options
):
    """Takes the place of ``PPYOLOEHead._varifocal_loss``: probabilities, scores and 0/1 labels of shape (N, L, C),
    summed. ``options``: of the other losses of the family."""
    loss = varifocal_loss(
        pred_score,
        gt_score,
        label,
        alpha=alpha,
        gamma=gamma,
        iou_weighted=iou_weighted,
        use_sigmoid=False,
        reduction="sum",
        **options,
    )
    return loss if loss_weight == 1 else loss_weight * loss


FUSED = staticmethod(fused_varifocal_loss)


class StaticMethod(CallSite):
    own_key = "use_varifocal_loss"

    def find(self, modules):
        for cls in modules:
            owner = next((base for base in cls.__mro__ if METHOD in vars(base)), None)
            if owner is not None:
                yield Place(f"{cls.__name__}.{METHOD}", cls, owner)

    def fits(self, place):
        method = vars(place.target)[METHOD]
        if not isinstance(method, staticmethod):
            return False
        return method is FUSED or computes_the_same(method.__func__, fused_varifocal_loss, "probabilities and mask")

    def install(self, patches, place):
        if vars(place.target)[METHOD] is not FUSED:
            patches.set(place.target, METHOD, FUSED)

    def selected(self, instance):
        # PaddleYOLO's heads have no switch, and no other loss
        return getattr(instance, self.own_key, True)

    def apply(self, instance, loss):
        setattr(instance, METHOD, functools.partial(fused_varifocal_loss, **loss.formula))
        instance.use_varifocal_loss = True
