"""Pictures of a run: detections and curves."""

from .history import read_history

__all__ = ["AP_NAMES", "draw_curves", "draw_detections"]

AP_NAMES = ("AP 0.50:0.95", "AP 0.50", "AP 0.75", "AP small", "AP medium", "AP large")


def draw_detections(boxes, path, columns=6, rows=4, threshold=0.4):
    """A grid of the first images with their boxes, class names and scores."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Rectangle

    figure, axes = plt.subplots(rows, columns, figsize=(2.6 * columns, 2.6 * rows), squeeze=False)
    for axis, (image, found) in zip(axes.flat, boxes.items()):
        axis.imshow(plt.imread(image))
        for name, score, (x, y, w, h) in found:
            if score < threshold:
                continue
            axis.add_patch(Rectangle((x, y), w, h, fill=False, color="crimson", linewidth=1.5))
            axis.text(
                x,
                y - 1,
                f"{name} {score:.2f}",
                fontsize=7,
                color="white",
                va="bottom",
                bbox={"facecolor": "crimson", "edgecolor": "none", "pad": 1},
            )
    for axis in axes.flat:
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def draw_curves(history, path):
    """Losses over the steps and AP over the epochs."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot as plt

    steps, evaluations = read_history(history)
    per_epoch = max(s["step"] for s in steps) + 1
    epochs = np.array([s["epoch"] + s["step"] / per_epoch for s in steps])
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for name in (name for name in steps[0]["losses"] if name != "loss"):
        values = np.array([s["losses"][name] for s in steps])
        (line,) = left.plot(epochs, values, alpha=0.25, linewidth=0.8)
        left.plot(
            epochs,
            [values[max(0, i - 31) : i + 1].mean() for i in range(len(values))],
            color=line.get_color(),
            label=name,
        )
    left.set(xlabel="epoch", ylabel="loss (mean of 32 steps)", yscale="log", title="training losses")
    left.legend()
    evaluations = [e for e in evaluations if e["eval"].get("bbox")]  # none where nothing was found
    for index, name in enumerate(AP_NAMES[:3]):
        right.plot(
            [e["epoch"] + 1 for e in evaluations], [e["eval"]["bbox"][index] for e in evaluations], "o-", label=name
        )
    right.set(xlabel="epoch", ylim=(0, 1), title="validation")
    right.legend()
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
