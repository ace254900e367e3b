"""The whole path on real input: data set, training with `loss: VarifocalLoss`, COCO evaluation, pictures.

Run it with `make demo`, or with `python examples/digits_demo.py` where the plugin and PaddleDetection are installed.
"""
import sys
import time
from pathlib import Path

import paddle_vfl
from paddle_vfl.datasets import write_digits
from paddle_vfl.errors import UserError
from paddle_vfl.ppdet_plugin import commands

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "configs/ppyoloe_plus_digits.yml"
DATA = Path("dataset/digits")
OUTPUT = Path("output/demo")
RUN = OUTPUT / "ppyoloe_plus_digits"
AP_NAMES = ("AP 0.50:0.95", "AP 0.50", "AP 0.75", "AP small", "AP medium", "AP large")


def main():
    start = time.time()
    write_digits(DATA)
    if (RUN / "model_final.pdparams").exists():
        print(f"{RUN}/model_final.pdparams is there: not training again (delete {OUTPUT} to do so)")
    else:
        commands.train(CONFIG, [f"save_dir={OUTPUT}"], evaluate=True, seed=0)
    weights = f"weights={RUN / 'model_final'}"
    results = commands.evaluate(CONFIG, [weights])
    boxes = commands.detect(CONFIG, [weights], DATA / "val")
    draw_detections(boxes, OUTPUT / "detections.png")
    draw_curves(RUN / "history.jsonl", OUTPUT / "curves.png")

    print(f"\npaddle_vfl {paddle_vfl.__version__}: {CONFIG} on {DATA}/val, {time.time() - start:.0f} s")
    for name, value in zip(AP_NAMES, results["bbox"]):
        print(f"  {name:<14}{'none' if value < 0 else f'{value:.3f}'}")
    print(f"{OUTPUT}/detections.png\n{OUTPUT}/curves.png")


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
            axis.text(x, y - 1, f"{name} {score:.2f}", fontsize=7, color="white", va="bottom", bbox={"facecolor": "crimson", "edgecolor": "none", "pad": 1})
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

    from paddle_vfl.ppdet_plugin.history import read_history

    steps, evaluations = read_history(history)
    per_epoch = max(s["step"] for s in steps) + 1
    epochs = np.array([s["epoch"] + s["step"] / per_epoch for s in steps])
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for name in ("loss_cls", "loss_iou", "loss_dfl"):
        values = np.array([s["losses"][name] for s in steps])
        (line,) = left.plot(epochs, values, alpha=0.25, linewidth=0.8)
        left.plot(epochs, [values[max(0, i - 31):i + 1].mean() for i in range(len(values))], color=line.get_color(), label=name)
    left.set(xlabel="epoch", ylabel="loss (mean of 32 steps)", yscale="log", title="training losses")
    left.legend()
    for name, index in (("AP 0.50:0.95", 0), ("AP 0.50", 1), ("AP 0.75", 2)):
        right.plot([e["epoch"] + 1 for e in evaluations], [e["eval"]["bbox"][index] for e in evaluations], "o-", label=name)
    right.set(xlabel="epoch", ylim=(0, 1), title="validation")
    right.legend()
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    import os

    os.chdir(ROOT)
    try:
        main()
    except UserError as error:
        sys.exit(f"demo: {error}")
