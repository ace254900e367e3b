"""FCOSHead, whose FCOSLoss trains labels and centerness apart. The score is the IoU of the predicted distances, and
centerness has no part in training and ranking."""

import inspect
import types

import paddle
from paddle import nn

from ...positives import averaged, iou
from .site import CallSite, Place

__all__ = ["FCOS"]

ARGUMENTS = ["cls_logits", "bboxes_reg", "centerness", "tag_labels", "tag_bboxes", "tag_center"]


class FCOS(CallSite):
    def find(self, modules):
        for cls in modules:
            if cls.__name__ == "FCOSHead":
                yield Place(f"{cls.__name__}: loss", cls)

    def fits(self, place):
        from ppdet.modeling.losses import FCOSLoss

        rank = list(inspect.signature(place.cls._post_process_by_level).parameters)
        return list(inspect.signature(FCOSLoss.forward).parameters)[1:] == ARGUMENTS and rank[4] == "box_ctn"

    def apply(self, instance, loss):
        instance.fcos_loss = VarifocalFCOSLoss(instance.fcos_loss, loss)
        instance._post_process_by_level = types.MethodType(_rank_by_score, instance)


def _rank_by_score(self, locations, box_cls, box_reg, box_ctn, *args, **kwargs):
    certain = paddle.full_like(box_ctn, 1e4)  # a sigmoid of 1
    return type(self)._post_process_by_level(self, locations, box_cls, box_reg, certain, *args, **kwargs)


class VarifocalFCOSLoss(nn.Layer):
    """FCOSLoss with another classification loss and without centerness; its loss of the boxes is as it was.

    Args:
        theirs (FCOSLoss): PaddleDetection's.
        loss (LossSpec): the classification loss.
    """

    def __init__(self, theirs, loss):
        super().__init__()
        self.theirs = theirs
        self.loss = loss

    def forward(self, cls_logits, bboxes_reg, centerness, tag_labels, tag_bboxes, tag_center):
        """As ``FCOSLoss.forward``, lists of levels: logits (N, C, H, W), distances (N, 4, H, W), centerness (N, 1, H,
        W), and targets with the channels last; labels begin with 1, 0 is the background."""
        # their classification loss goes nowhere: one class is enough for it
        one_class = [logits[:, :1].detach() for logits in cls_logits]
        positive = [(labels > 0).astype(labels.dtype) for labels in tag_labels]
        losses = self.theirs(
            one_class, bboxes_reg, [level.detach() for level in centerness], positive, tag_bboxes, tag_center
        )
        # the layer of centerness keeps a gradient, of zeros: processes that train together wait for one
        unused = sum(level.sum() for level in centerness) * 0.0
        return {"loss_cls": self._loss_cls(cls_logits, bboxes_reg, tag_labels, tag_bboxes) + unused} | {
            name: loss for name, loss in losses.items() if name not in ("loss_cls", "loss_quality")
        }

    def _loss_cls(self, cls_logits, bboxes_reg, tag_labels, tag_bboxes):
        logits = _flat([level.transpose([0, 2, 3, 1]) for level in cls_logits])
        labels = _flat(tag_labels)[:, 0].astype("int64")
        boxes = _flat([level.transpose([0, 2, 3, 1]) for level in bboxes_reg]).detach()
        scores = iou(_around(boxes), _around(_flat(tag_bboxes)))
        count = averaged((labels > 0).astype("float32").sum())
        return self.loss.summed(logits, (labels - 1, scores)) / count


def _flat(levels):
    return paddle.concat([level.flatten(0, 2) for level in levels])


def _around(distances):
    """Distances (left, top, right, bottom) from a point as the box around 0."""
    return paddle.concat([-distances[:, :2], distances[:, 2:]], axis=-1)
