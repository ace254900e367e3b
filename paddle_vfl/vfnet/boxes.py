"""Intersection over union of pairs of boxes."""

import paddle

__all__ = ["iou"]


def iou(boxes, others):
    """Intersection over union of each box with the one at the same place.

    Args:
        boxes, others (Tensor): shape (..., 4), x1, y1, x2, y2.

    Returns:
        Tensor: shape (...), 0 where both are empty.
    """
    corner = paddle.maximum(boxes[..., :2], others[..., :2])
    opposite = paddle.minimum(boxes[..., 2:], others[..., 2:])
    intersection = (opposite - corner).clip(min=0).prod(axis=-1)
    areas = [(b[..., 2:] - b[..., :2]).prod(axis=-1) for b in (boxes, others)]
    return intersection / (areas[0] + areas[1] - intersection).clip(min=1e-10)
