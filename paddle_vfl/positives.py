"""What a head's loss needs of its positives: how good each box is, and how many there are in all processes."""

import paddle

__all__ = ["SMALLEST", "averaged", "iou"]

SMALLEST = 1e-6  # score of a positive, which would be a negative at 0


@paddle.no_grad()
def iou(boxes, targets):
    """Intersection over union of each box with its target.

    Args:
        boxes, targets (Tensor): shape (..., 4), x1, y1, x2, y2.

    Returns:
        Tensor: shape (...), at least ``SMALLEST``; it has no gradient.
    """
    low, high = paddle.maximum(boxes[..., :2], targets[..., :2]), paddle.minimum(boxes[..., 2:], targets[..., 2:])
    common = (high - low).clip(min=0.0).prod(axis=-1)
    areas = [(box[..., 2:] - box[..., :2]).clip(min=0.0).prod(axis=-1) for box in (boxes, targets)]
    union = areas[0] + areas[1] - common
    return paddle.where(union > 0, common / union, paddle.zeros_like(union)).clip(min=SMALLEST)


@paddle.no_grad()
def averaged(count):
    """What a loss is divided by: a sum over the positives, the mean of all processes, at least 1."""
    if paddle.distributed.get_world_size() > 1:
        count = count.clone()
        paddle.distributed.all_reduce(count)
        count = count / paddle.distributed.get_world_size()
    return count.clip(min=1.0)
