"""Draw what the losses look like, from the operator itself: ``python tools/draw_loss.py`` writes docs/loss.png, of
varifocal loss, and docs/losses.png, of its family."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot

import paddle_vfl  # before paddle

import paddle

DOCS = Path(__file__).resolve().parents[1] / "docs"
FAMILY = {
    "varifocal": paddle_vfl.VarifocalLoss(),
    "varifocal, detached": paddle_vfl.VarifocalLoss(detach_weight=True),
    "quality focal": paddle_vfl.QualityFocalLoss(),
    "matchability-aware": paddle_vfl.MatchabilityAwareLoss(),
}


def varifocal(p, q, **options):
    """(loss, its derivative with respect to the logit) at the probabilities p."""
    logits = paddle.to_tensor(np.log(p / (1 - p)), dtype="float64", stop_gradient=False)
    loss = paddle_vfl.varifocal_loss(logits, paddle.full_like(logits, q), reduction="none", **options)
    loss.sum().backward()
    return loss.numpy(), logits.grad.numpy()


def focal(p, positive, alpha=0.25, gamma=2.0):
    """Focal loss (arXiv 1708.02002)."""
    return -alpha * (1 - p) ** gamma * np.log(p) if positive else -(1 - alpha) * p**gamma * np.log(1 - p)


def draw_family(path, score=0.7):
    """All losses of the family: a positive of this score, a negative, and the derivatives of both."""
    p = np.linspace(0.002, 0.998, 500).reshape(-1, 1)
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7.6), layout="constrained")
    for i, (name, layer) in enumerate(FAMILY.items()):
        for column, q in enumerate((score, 0.0)):
            for row, curve in enumerate(varifocal(p, q, **layer.formula)):
                # the detached losses differ in the derivative alone
                axes[row, column].plot(p, curve, f"C{i}" if "detached" not in name else "k--", label=name)
    for column, kind in enumerate((f"a positive with q = {score}", "a negative")):
        axes[0, column].set(title=kind, ylabel="loss", ylim=(0, 3))
        axes[1, column].axhline(0, color="gray", linewidth=0.8)
        axes[1, column].set(xlabel="predicted probability p", ylabel="derivative with respect to the logit")
    for axis in axes.flat:
        axis.legend(fontsize="small")
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=100)
    print(path)


def draw_varifocal(path):
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
    figure.savefig(path, dpi=100)
    print(path)


def main():
    draw_varifocal(DOCS / "loss.png")
    draw_family(DOCS / "losses.png")


if __name__ == "__main__":
    main()
