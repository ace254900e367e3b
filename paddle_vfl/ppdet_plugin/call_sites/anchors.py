"""Heads that hand the logits and labels of the chosen anchors to ``loss_class``: RetinaHead and YOLOFHead.

The score of a positive is the IoU of its decoded box with its target.
"""

import itertools
import types

import paddle

from ...positives import averaged, iou
from .lent import while_it_has
from .probe import names_in, source_of
from .site import CallSite, Place, loss_of

__all__ = ["Anchors"]

CALL = "self.loss_class(cls_pred,cls_tar,reduction='sum')"


class Anchors(CallSite):
    def find(self, modules):
        for cls, schema in modules.items():
            if {"loss_class", "bbox_assigner"} <= set(schema.schema) and _positives_of(cls) is not None:
                yield Place(f"{cls.__name__}: loss", cls)

    def fits(self, place):
        return CALL in source_of(place.cls.get_loss)

    def apply(self, instance, loss):
        instance.get_loss = types.MethodType(_get_loss, instance)


def _get_loss(self, head_outs, targets):
    """The head's ``get_loss`` with another ``loss_class``."""
    cls = type(self)
    assign, positives_of = self.bbox_assigner, _positives_of(cls)
    qualities, images = [], itertools.count()

    def assign_and_note(*args):
        assigned = assign(*args)
        boxes = positives_of(self, head_outs, next(images), args, assigned)
        if len(boxes[0]) > 0:
            qualities.append(iou(*boxes))
        return assigned

    def loss_class(logits, labels, reduction):
        return _loss(self, logits, labels, qualities)

    with while_it_has(self, bbox_assigner=assign_and_note, loss_class=loss_class):
        return cls.get_loss(self, head_outs, targets)


def _loss(self, logits, labels, qualities):
    """The sum over the chosen anchors. ``qualities``, of the positives of each image, are in their order."""
    scores = paddle.zeros(labels.shape)
    if qualities:
        scores = paddle.scatter(scores, paddle.nonzero(labels < self.num_classes).flatten(), paddle.concat(qualities))
    loss = loss_of(self).summed(logits, (labels, scores))
    if paddle.distributed.get_world_size() > 1 and "reduce_mean" not in names_in(type(self).get_loss):
        count = (labels < self.num_classes).astype("float32").sum()
        loss = loss * (count.clip(min=1.0) / averaged(count))  # the head divides it by its own count
    return loss


@paddle.no_grad()
def _of_retina(self, head_outs, image, args, assigned):
    from ppdet.modeling.bbox_utils import delta2bbox

    (anchors, targets), (matches, labels) = args, assigned
    positive = paddle.nonzero(labels == 1).flatten()
    deltas = paddle.concat([level[image].transpose([1, 2, 0]).reshape([-1, 4]) for level in head_outs[1]])
    if len(positive) == 0:
        return deltas[:0], deltas[:0]
    boxes = delta2bbox(deltas.gather(positive), anchors.gather(positive), self.weights)
    return boxes.reshape([-1, 4]), targets.gather(matches.gather(positive))


@paddle.no_grad()
def _of_yolof(self, head_outs, image, args, assigned):
    (boxes, _, targets), labels = args, assigned[0]
    positive = paddle.nonzero(labels >= 0).flatten()
    if len(positive) == 0:
        return boxes[:0], boxes[:0]
    return boxes.gather(positive), targets.gather(labels.gather(positive))


def _positives_of(cls):
    """The function that gives the boxes of the positives of an image and their targets; None for other heads."""
    names = names_in(getattr(cls, "get_loss", cls))
    return _of_yolof if "delta2bbox_v2" in names else _of_retina if "bbox2delta" in names else None
