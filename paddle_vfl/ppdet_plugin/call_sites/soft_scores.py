"""Heads that hand soft scores to a loss of their own: TOODHead, FCOSRHead, and PaddleYOLO's YOLOv8Head and
YOLOv7uHead."""

import functools
import types

import paddle
import paddle.nn.functional as F

from ...losses import FamilyLoss
from ...positives import SMALLEST, averaged
from .lent import while_it_has
from .probe import computes, names_in
from .site import CallSite, Place

__all__ = ["ScoresAndLogits", "ScoresAndProbabilities"]

# static method -> the arguments with which it is quality focal loss
METHODS = {"_focal_loss": {"alpha": -1, "gamma": 2.0}, "_qfocal_loss": {"gamma": 2.0, "reduction": "sum"}}


def summed_loss(loss, score, label, **of_the_focal_loss):
    """Takes the place of ``TOODHead._focal_loss``: probabilities and scores of shape (N, L, C), summed."""
    return loss.summed(score, label, use_sigmoid=False)


class ScoresAndProbabilities(CallSite):
    """Heads with one of the static ``METHODS``, but for those of PP-YOLOE's kind, which have varifocal loss too."""

    def find(self, modules):
        for cls in modules:
            method = next((name for name in METHODS if isinstance(_static(cls, name), staticmethod)), None)
            if method is not None and not hasattr(cls, "_varifocal_loss"):
                yield Place(f"{cls.__name__}: loss", cls, method)

    def fits(self, place):
        theirs = _static(place.cls, place.target).__func__
        return computes(theirs, "probabilities and scores of a focal loss", **METHODS[place.target])

    def apply(self, instance, loss):
        for method in METHODS:
            if _static(type(instance), method) is not None:
                setattr(instance, method, functools.partial(summed_loss, loss))
        if hasattr(instance, "static_assigner"):
            instance.get_loss = types.MethodType(_get_loss_of_ious, instance)


def _static(cls, name):
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _get_loss_of_ious(self, head_outs, gt_meta):
    """TOOD's ``get_loss``. Its first epochs, of ATSSAssigner, have no scores: there they are the IoU of the boxes."""
    boxes, strides = head_outs[1].detach(), head_outs[4]
    assign, focal_loss = self.static_assigner, self._focal_loss

    def assign_ious(*args, **kwargs):
        labels, targets, scores, *rest = assign(*args, **kwargs, pred_bboxes=boxes * strides)
        # the head divides its IoU loss by their sum
        least = F.one_hot(labels, self.num_classes + 1)[..., : self.num_classes] * SMALLEST
        return labels, targets, paddle.maximum(scores, least), *rest

    def over_all_processes(score, label, **options):
        count = label.sum()
        return focal_loss(score, label, **options) * (count.clip(min=1.0) / averaged(count))

    there = {"static_assigner": assign_ious}
    if paddle.distributed.get_world_size() > 1:  # the head divides by the sum of the scores of its own
        there["_focal_loss"] = over_all_processes
    with while_it_has(self, **there):
        return type(self).get_loss(self, head_outs, gt_meta)


class ScoresAndLogits(CallSite):
    """Heads that call ``self.bce(logits, scores).sum()`` and do not read their key ``use_varifocal_loss``."""

    own_key = "use_varifocal_loss"

    def find(self, modules):
        for cls, schema in modules.items():
            if self.own_key in schema.schema and "bce" in names_in(getattr(cls, "get_loss", cls)):
                yield Place(f"{cls.__name__}: loss", cls)

    def fits(self, place):
        return "BCEWithLogitsLoss" in names_in(place.cls.__init__) and self.own_key not in names_in(place.cls.get_loss)

    def selected(self, instance):
        return getattr(instance, self.own_key)

    def apply(self, instance, loss):
        layer = loss.layer()
        layer.use_sigmoid, layer.reduction = True, "sum"
        instance.bce = layer
        instance.use_varifocal_loss = True

    def loss(self, instance):
        return instance.bce if isinstance(instance.bce, FamilyLoss) else None
