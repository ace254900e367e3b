"""Varifocal loss composed from Paddle's own operators.

It computes what the fused operator computes, the slow way: the oracle of the tests, the peer of the benchmarks, and the
way to differentiate with respect to the target.
"""

import paddle
import paddle.nn.functional as F

__all__ = ["varifocal_loss"]


def varifocal_loss(
    pred,
    target,
    label=None,
    *,
    alpha=0.75,
    gamma=2.0,
    iou_weighted=True,
    use_sigmoid=True,
    reduction="none",
    target_power=1.0,
    positive_weight="score",
    detach_weight=False,
    class_weight=None,
):
    """Same arguments, result and dtypes as :func:`paddle_vfl.varifocal_loss`, arguments unchecked."""
    compute = "float64" if pred.dtype == paddle.float64 else "float32"
    pred = pred.cast(compute)
    if isinstance(target, (tuple, list)):
        target = dense_target(*target, num_classes=pred.shape[-1], dtype=compute)
    target = target.cast(compute)
    label = None if label is None else label.cast(compute)

    truth = target
    if target_power != 1:
        positive = target > 0
        # not the power of 0, whose derivative may be infinite
        truth = paddle.where(
            positive, paddle.where(positive, target, paddle.ones_like(target)).pow(target_power), target
        )
    prob = F.sigmoid(pred) if use_sigmoid else pred
    if use_sigmoid:
        positive_part = F.relu(pred)
        # -|x| as x - 2 max(x, 0), whose derivative at 0 is the one that fits that of max(x, 0): the gradient is p - q
        # there too
        bce = positive_part - pred * truth + F.softplus(pred - 2 * positive_part)
    else:
        bce = F.binary_cross_entropy(prob, truth, reduction="none")
    if positive_weight == "modulated":
        of_positive = (target - prob).abs().pow(gamma)
    else:
        of_positive = target if iou_weighted and positive_weight == "score" else paddle.ones_like(target)
    if label is None:
        positive = target > 0
        weight = paddle.where(positive, of_positive, alpha * (prob - target).abs().pow(gamma))
    else:
        weight = alpha * prob.pow(gamma) * (1 - label) + of_positive * label
    loss = (weight.detach() if detach_weight else weight) * bce
    if class_weight is not None:
        given = hasattr(class_weight, "stop_gradient")
        loss = loss * (class_weight.cast(compute) if given else paddle.to_tensor(class_weight, dtype=compute))
    if reduction == "row":
        return loss.sum(axis=-1)
    return {"none": lambda x: x, "sum": paddle.sum, "mean": paddle.mean}[reduction](loss)


def dense_target(label, score, num_classes, dtype="float32"):
    """The dense target of shape ``label.shape + [num_classes]`` that a pair (label, score) stands for."""
    background = paddle.logical_or(label < 0, label >= num_classes)
    clean = paddle.where(background, paddle.zeros_like(label), label)
    score = paddle.where(background, paddle.zeros_like(score), score).cast(dtype)
    return F.one_hot(clean.cast("int64"), num_classes).cast(dtype) * score.unsqueeze(-1)
