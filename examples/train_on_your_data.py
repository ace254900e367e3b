"""Train a detector on a data set of your own, and report it: AP table, pictures of detections, curves.

    python examples/train_on_your_data.py my_data --epochs 30

``my_data`` is in COCO format: ``train/`` and ``val/`` hold the images, ``annotations/train.json`` and
``annotations/val.json`` the boxes. The model is the small PP-YOLOE+ of ``configs/ppyoloe_plus_digits.yml`` with `loss:
VarifocalLoss`; --config takes another one. `paddle-vfl digits my_data` writes a data set to try it with.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import paddle_vfl
from paddle_vfl.errors import UserError
from paddle_vfl.ppdet_plugin import commands

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "ppyoloe_plus_digits.yml"
AP_NAMES = ("AP 0.50:0.95", "AP 0.50", "AP 0.75", "AP small", "AP medium", "AP large")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of the data set")
    parser.add_argument("--config", default=str(CONFIG), help="default: %(default)s")
    parser.add_argument("--epochs", type=int, help="default: those of the config")
    parser.add_argument("--output", default="output/your_data", help="folder to write; default: %(default)s")
    args = parser.parse_args()
    train_and_report(args.config, Path(args.data), Path(args.output), options_of(Path(args.data), args.epochs))


def options_of(data, epochs=None):
    """The config's options for a data set."""
    annotations = data / "annotations" / "train.json"
    try:
        categories = json.loads(annotations.read_text())["categories"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{annotations}: expected COCO annotations ({type(error).__name__}: {error})") from error
    options = [f"num_classes={len(categories)}"] + ([] if epochs is None else [f"epoch={epochs}"])
    for key, part in (("TrainDataset", "train"), ("EvalDataset", "val"), ("TestDataset", "val")):
        options += [f"{key}.dataset_dir={data}", f"{key}.anno_path=annotations/{part}.json"]
        options += [] if key == "TestDataset" else [f"{key}.image_dir={part}"]
    return options


def train_and_report(config, data, output, options=()):
    """Train unless it is done already, evaluate, draw, and print the table."""
    start = time.time()
    run = output / Path(config).stem
    if (run / "model_final.pdparams").exists():
        print(f"{run}/model_final.pdparams is there: not training again (delete {output} to do so)")
    else:
        commands.train(config, [*options, f"save_dir={output}"], evaluate=True, seed=0)
    options = [*options, f"save_dir={output}", f"weights={run / 'model_final'}"]
    results = commands.evaluate(config, options)
    draw_detections(commands.detect(config, options, data / "val"), output / "detections.png")
    draw_curves(run / "history.jsonl", output / "curves.png")

    print(f"\npaddle_vfl {paddle_vfl.__version__}: {config} on {data}/val, {time.time() - start:.0f} s")
    for name, value in zip(AP_NAMES, results.get("bbox", ())):
        print(f"  {name:<14}{'none' if value < 0 else f'{value:.3f}'}")
    if "bbox" not in results:
        print("  nothing was found: train for more epochs")
    print(f"{output}/detections.png\n{output}/curves.png")


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

    from paddle_vfl.ppdet_plugin.history import read_history

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


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"train_on_your_data: {error}")
