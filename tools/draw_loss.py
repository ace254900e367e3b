"""Draw what varifocal loss looks like, from the operator itself: ``python tools/draw_loss.py`` writes docs/loss.png."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot

import paddle_vfl  # before paddle

import paddle

PATH = Path(__file__).resolve().parents[1] / "docs" / "loss.png"


def varifocal(p, q, **options):
    """(loss, its derivative with respect to the logit) at the probabilities p."""
    logits = paddle.to_tensor(np.log(p / (1 - p)), dtype="float64", stop_gradient=False)
    loss = paddle_vfl.varifocal_loss(logits, paddle.full_like(logits, q), reduction="none", **options)
    loss.sum().backward()
    return loss.numpy(), logits.grad.numpy()


def focal(p, positive, alpha=0.25, gamma=2.0):
    """Focal loss (arXiv 1708.02002)."""
    return -alpha * (1 - p) ** gamma * np.log(p) if positive else -(1 - alpha) * p**gamma * np.log(1 - p)


def main():
    p = np.linspace(0.002, 0.998, 500).reshape(-1, 1)
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(14, 4.2), layout="constrained")
    for i, q in enumerate((0.25, 0.5, 0.75, 1.0)):
        left.plot(p, varifocal(p, q)[0], color=f"C{i}", label=f"q = {q}")
    left.plot(p, focal(p, True), "k--", linewidth=1, label="focal loss")
    left.set(title="positives: q BCE(p, q)", ylim=(0, 3))
    for i, gamma in enumerate((1.0, 1.5, 2.0, 3.0)):
        middle.plot(p, varifocal(p, 0.0, gamma=gamma)[0], color=f"C{i}", label=f"gamma = {gamma}")
    middle.plot(p, focal(p, False), "k--", linewidth=1, label="focal loss, gamma = 2")
    middle.set(title="negatives: alpha p^gamma BCE(p, 0)", ylim=(0, 3))
    for i, q in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
        right.plot(p, varifocal(p, q)[1], color=f"C{i}", label=f"q = {q}")
    right.axhline(0, color="gray", linewidth=0.8)
    right.set(title="derivative with respect to the logit")
    for axis in (left, middle, right):
        axis.set_xlabel("predicted probability p")
        axis.legend(fontsize="small")
        axis.grid(alpha=0.3)
    figure.savefig(PATH, dpi=100)
    print(PATH)


if __name__ == "__main__":
    main()
