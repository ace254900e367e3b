"""Varifocal loss in float64 NumPy, written from the formula alone, element by element: independent of Paddle and of
csrc/."""

import numpy as np

__all__ = ["dense_target", "loss_and_grad"]


def loss_and_grad(
    x,
    q,
    y=None,
    *,
    alpha=0.75,
    gamma=2.0,
    iou_weighted=True,
    use_sigmoid=True,
    target_power=1.0,
    positive_weight="score",
    detach_weight=False,
    class_weight=None,
):
    """(loss, d loss / d x), float64, of predictions x, scores q and an optional mask y of one shape."""
    x, q = np.asarray(x, np.float64), np.asarray(q, np.float64)
    with np.errstate(all="ignore"):
        t = np.where(q > 0, np.maximum(q, 0) ** target_power, q)
        if use_sigmoid:
            e = np.exp(-np.abs(x))
            p = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
            dp = e / (1 + e) ** 2
            bce = np.maximum(x, 0) - x * t + np.log1p(e)
            dbce = np.where(x >= 0, (1 - t) - e / (1 + e), e / (1 + e) - t)  # p - q, where 1 does not swallow e
        else:
            p, dp = x, np.ones_like(x)
            bce = -(t * np.maximum(np.log(p), -100) + (1 - t) * np.maximum(np.log1p(-p), -100))
            dbce = (p - t) / np.maximum(p * (1 - p), 1e-12)
        d = p - q if y is None else p
        weight, steep = (alpha * factor for factor in _power_and_slope(d, gamma))
        if positive_weight == "modulated":
            positive, positive_steep = _power_and_slope(p - q, gamma)
        else:
            positive = q if iou_weighted and positive_weight == "score" else np.ones_like(q)
            positive_steep = np.zeros_like(q)
        if y is None:
            weight, steep = np.where(q > 0, positive, weight), np.where(q > 0, positive_steep, steep)
        else:
            weight, steep = weight * (1 - y) + positive * y, steep * (1 - y) + positive_steep * y
        steep = 0 if detach_weight else steep
        factor = 1 if class_weight is None else np.asarray(class_weight, np.float64)
        return factor * weight * bce, factor * (weight * dbce + steep * dp * bce)


def _power_and_slope(d, gamma):
    """|d|^gamma and its derivative, which counts as 0 at d = 0."""
    return np.abs(d) ** gamma, np.where(d == 0, 0, gamma * np.abs(d) ** (gamma - 1) * np.sign(d))


def dense_target(label, score, classes):
    """The dense target, of shape ``label.shape + (classes,)``, that class ids and scores of rows stand for."""
    label, score = np.asarray(label), np.asarray(score)
    rows, of_row = np.zeros((label.size, classes)), label.reshape(-1)
    inside = np.flatnonzero((of_row >= 0) & (of_row < classes))
    rows[inside, of_row[inside]] = score.reshape(-1)[inside]
    return rows.reshape(*label.shape, classes)
