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
from paddle_vfl.training import detect, evaluate, train
from paddle_vfl.training.drawing import AP_NAMES, draw_curves, draw_detections

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "ppyoloe_plus_digits.yml"


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
        train(config, [*options, f"save_dir={output}"], evaluate=True, seed=0)
    options = [*options, f"save_dir={output}", f"weights={run / 'model_final'}"]
    results = evaluate(config, options)
    draw_detections(detect(config, options, data / "val"), output / "detections.png")
    draw_curves(run / "history.jsonl", output / "curves.png")

    print(f"\npaddle_vfl {paddle_vfl.__version__}: {config} on {data}/val, {time.time() - start:.0f} s")
    for name, value in zip(AP_NAMES, results.get("bbox", ())):
        print(f"  {name:<14}{'none' if value < 0 else f'{value:.3f}'}")
    if "bbox" not in results:
        print("  nothing was found: train for more epochs")
    print(f"{output}/detections.png\n{output}/curves.png")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"train_on_your_data: {error}")
