"""Varifocal loss in float64 NumPy, written from the formula alone, element by element: independent of Paddle and of
csrc/."""

import numpy as np

__all__ = ["dense_target", "loss_and_grad"]


def loss_and_grad(x, q, y=None, *, alpha=0.75, gamma=2.0, iou_weighted=True, use_sigmoid=True):
    """(loss, d loss / d x), float64, of predictions x, scores q and an optional mask y of one shape."""
    x, q = np.asarray(x, np.float64), np.asarray(q, np.float64)
    with np.errstate(all="ignore"):
        if use_sigmoid:
            e = np.exp(-np.abs(x))
            p = np.where(x >= 0, 1 / (1 + e), e / (1 + e))
            dp = e / (1 + e) ** 2
            bce = np.maximum(x, 0) - x * q + np.log1p(e)
            dbce = np.where(x >= 0, (1 - q) - e / (1 + e), e / (1 + e) - q)  # p - q, where 1 does not swallow e
        else:
            p, dp = x, np.ones_like(x)
            bce = -(q * np.maximum(np.log(p), -100) + (1 - q) * np.maximum(np.log1p(-p), -100))
            dbce = (p - q) / np.maximum(p * (1 - p), 1e-12)
        d = p - q if y is None else p
        weight = alpha * np.abs(d) ** gamma
        steep = np.where(d == 0, 0, alpha * gamma * np.abs(d) ** (gamma - 1) * np.sign(d))
        positive = q if iou_weighted else np.ones_like(q)
        if y is None:
            weight, steep = np.where(q > 0, positive, weight), np.where(q > 0, 0, steep)
        else:
            weight, steep = weight * (1 - y) + positive * y, steep * (1 - y)
        return weight * bce, weight * dbce + steep * dp * bce


def dense_target(label, score, classes):
    """The dense target, of shape ``label.shape + (classes,)``, that class ids and scores of rows stand for."""
    label, score = np.asarray(label), np.asarray(score)
    rows, of_row = np.zeros((label.size, classes)), label.reshape(-1)
    inside = np.flatnonzero((of_row >= 0) & (of_row < classes))
    rows[inside, of_row[inside]] = score.reshape(-1)[inside]
    return rows.reshape(*label.shape, classes)
