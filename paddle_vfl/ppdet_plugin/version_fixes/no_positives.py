"""Batches in which nothing is to be found."""

import functools
import importlib

import numpy as np
import paddle

from ..after_import import after_import

__all__ = ["fcos_without_boxes", "fcos_without_positives", "picodet_without_positives"]


def picodet_without_positives(patches):
    """PicoDet's losses become NaN or infinite at a batch without a box that it could find.

    PicoHeadV2 divides them by the sum of the scores, which is at least 1 in several processes only. A sum of 0 counts
    as 1 now.
    """
    from ppdet.modeling import heads

    head = getattr(heads, "PicoHeadV2", None)
    if head is None:
        return False
    patches.set(head, "get_loss", _at_least_finite(head.get_loss))
    return True


def fcos_without_boxes(patches):
    """FCOS does not train on an image without a box: ValueError: zero-size array to reduction operation minimum which
    has no identity

    Gt2FCOSTarget looks for the smallest box around each point. Where there is none, one outside of the image stands in
    while it looks.
    """

    def change(operators):
        target = getattr(operators, "Gt2FCOSTarget", None)
        if target is not None:
            patches.set(target, "__call__", _with_a_box(target.__call__))

    # which imports ppdet.modeling itself, and may be doing so
    patches.on_undo(after_import("ppdet.data.transform.batch_operators", change))
    return True


def _with_a_box(make_targets):
    @functools.wraps(make_targets)
    def make_all(self, samples, context=None):
        for sample in samples:
            if len(sample["gt_bbox"]) == 0:  # both keys are gone afterwards, with boxes too
                sample.update(gt_bbox=np.float32([[-2, -2, -1, -1]]), gt_class=np.int32([[0]]))
        return make_targets(self, samples, context)

    return make_all


def fcos_without_positives(patches):
    """FCOS's losses become NaN or infinite at a batch without a box that it could find.

    FCOSLoss divides them by the number of positives and by the sum of their centerness. Where there is no positive,
    there is one more point now: a positive at which everything is predicted as it should be, and the loss is 0.
    """
    losses = importlib.import_module("ppdet.modeling.losses")  # the attribute of that name is another module
    loss = getattr(losses, "FCOSLoss", None)
    if loss is None:
        return False
    patches.set(loss, "forward", _with_a_positive(loss.forward))
    return True


def _with_a_positive(forward):
    @functools.wraps(forward)
    def finite(self, cls_logits, bboxes_reg, centerness, tag_labels, tag_bboxes, tag_center):
        if paddle.in_dynamic_mode() and not any(bool((labels > 0).any()) for labels in tag_labels):
            sure, ones = 1e4, functools.partial(paddle.ones, dtype=cls_logits[0].dtype)
            logits = paddle.full([1, cls_logits[0].shape[1], 1, 1], -sure, cls_logits[0].dtype)
            logits[:, 0] = sure
            cls_logits, centerness = [*cls_logits, logits], [*centerness, ones([1, 1, 1, 1]) * sure]
            bboxes_reg, tag_bboxes = [*bboxes_reg, ones([1, 4, 1, 1])], [*tag_bboxes, ones([1, 1, 1, 4])]
            tag_labels = [*tag_labels, paddle.ones([1, 1, 1, 1], tag_labels[0].dtype)]
            tag_center = [*tag_center, ones([1, 1, 1, 1])]
        return forward(self, cls_logits, bboxes_reg, centerness, tag_labels, tag_bboxes, tag_center)

    return finite


def _at_least_finite(get_loss):
    @functools.wraps(get_loss)
    def finite(self, *args, **kwargs):
        loss_vfl, sums = self.loss_vfl, []

        def divided(pred, target, avg_factor):
            sums.append(avg_factor)
            return loss_vfl(
                pred, target, avg_factor=paddle.where(avg_factor == 0, paddle.ones_like(avg_factor), avg_factor)
            )

        self.__dict__["loss_vfl"] = divided  # before the layer of that name
        try:
            losses = get_loss(self, *args, **kwargs)
        finally:
            del self.__dict__["loss_vfl"]
        (total,) = sums
        return {
            name: loss if name == "loss_vfl" else paddle.where(total == 0, paddle.zeros_like(loss), loss)
            for name, loss in losses.items()
        }

    return finite
