"""DETRLoss and DINOLoss of paddledet 2.6.0, which have a focal loss alone: the score of a query is the IoU of its box
with the box that it is matched with."""

import inspect
import types

import paddle

from ...positives import iou
from ..errors import ConfigError
from .probe import source_of
from .site import CallSite, Place, loss_of

__all__ = ["MatchedQueries"]

_BOXES = "_paddle_vfl_boxes"  # of the layers whose classes have yet to be asked for, and the boxes to find
# methods of DETRLoss, and what shows in which order they ask for the classes of the layers
ORDER = (
    ("forward", "self._get_loss_class(logits[-1]"),
    ("forward", "self._get_loss_aux(boxes[:-1]"),
    ("_get_loss_aux", "foraux_boxes,aux_logitsinzip(boxes,logits)"),
)


class MatchedQueries(CallSite):
    def find(self, modules):
        for cls, schema in modules.items():
            theirs = getattr(cls, "_get_loss_class", None)
            # a later one is given the IoU, and has varifocal loss
            if "use_focal_loss" in schema.schema and theirs and "iou_score" not in inspect.signature(theirs).parameters:
                yield Place(f"{cls.__name__}: loss", cls)

    def fits(self, place):
        return all(
            text in source_of(getattr(base, method))
            for base in place.cls.__mro__
            if "_get_loss_class" in vars(base)
            for method, text in ORDER
        )

    def apply(self, instance, loss):
        if not instance.use_focal_loss:
            raise ConfigError(f"{loss.path}: {loss.name} needs use_focal_loss: true, the sigmoid loss")
        instance.forward = types.MethodType(_forward, instance)
        instance._get_loss_class = types.MethodType(_get_loss_class, instance)


def _forward(self, *args, **kwargs):
    cls = type(self)
    given = inspect.signature(cls.forward).bind(self, *args, **kwargs).arguments
    layers = [
        layer
        for name in ("boxes", "dn_out_bboxes")
        if given.get(name) is not None
        for layer in _in_order(given[name], self.aux_loss)
    ]
    setattr(self, _BOXES, (iter(layers), given["gt_bbox"]))
    try:
        return cls.forward(self, *args, **kwargs)
    finally:
        delattr(self, _BOXES)


def _in_order(layers, all_of_them):
    """The layers of the decoder as DETRLoss asks for their losses: the last one, then those before it."""
    return [layers[-1], *(layers[:-1] if all_of_them else ())]


def _get_loss_class(self, logits, gt_class, match_indices, bg_index, num_gts, postfix=""):
    """As DETRLoss has it: logits of one layer, shape (N, queries, C), and ((queries), (boxes)) matched in each
    image."""
    if logits is None:
        return type(self)._get_loss_class(self, logits, gt_class, match_indices, bg_index, num_gts, postfix)
    layers, gt_bbox = getattr(self, _BOXES)
    boxes, queries = next(layers).detach(), logits.shape[1]
    labels = paddle.full([logits.shape[0] * queries], bg_index, "int64")
    scores = paddle.zeros(labels.shape)
    if sum(len(found) for found, _ in match_indices) > 0:
        index, classes = self._get_index_updates(queries, gt_class, match_indices)
        matched = self._get_src_target_assign(boxes, gt_bbox, match_indices)
        labels = paddle.scatter(labels, index, classes.flatten().astype("int64"))
        scores = paddle.scatter(scores, index, iou(*map(_corners, matched)))
    loss = loss_of(self).summed(logits, (labels.reshape([-1, queries]), scores.reshape([-1, queries])))
    return {f"loss_class{postfix}": self.loss_coeff["class"] * loss / num_gts}


def _corners(boxes):
    """(center x, center y, width, height) as (x1, y1, x2, y2)."""
    center, size = boxes.split(2, axis=-1)
    return paddle.concat([center - size / 2, center + size / 2], axis=-1)
