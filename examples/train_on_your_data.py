"""Train a detector on a data set of your own, and report it: AP table, pictures of detections, curves.

    python examples/train_on_your_data.py my_data

``my_data`` is in COCO format: ``train/`` and ``val/`` hold the images, ``annotations/train.json`` and
``annotations/val.json`` the boxes. The model is the PP-YOLOE+ for photographs of ``configs/ppyoloe_plus_photos.yml``,
with `loss: VarifocalLoss`. It begins with weights that PaddleDetection publishes; where they cannot be had, the smaller
one of ``configs/ppyoloe_plus_photos_small.yml`` begins from scratch. The number of epochs follows from the number of
images.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple, Optional

if hasattr(os, "sched_getaffinity"):  # Paddle would compute on one core
    os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))

import paddle_vfl
from paddle_vfl.errors import UserError
from paddle_vfl.training import detect, evaluate, train
from paddle_vfl.training.checkpoints import find
from paddle_vfl.training.drawing import AP_NAMES, draw_curves, draw_grid

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
PUBLISHED = "https://paddledet.bj.bcebos.com/models/ppyoloe_plus_crn_t_auxhead_320_300e_coco.pdparams"


class Recipe(NamedTuple):
    """How a data set is trained on."""

    config: str
    batch: int
    seen: Optional[int] = None  # training images times epochs


FROM_WEIGHTS = Recipe(str(CONFIGS / "ppyoloe_plus_photos.yml"), 8, 2400)
FROM_SCRATCH = Recipe(str(CONFIGS / "ppyoloe_plus_photos_small.yml"), 4, 8400)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of the data set")
    parser.add_argument("--config", help="default: one for photographs")
    parser.add_argument("--weights", help="what to begin with: a file, an URL or `none`; default: those published")
    parser.add_argument("--epochs", type=int, help="default: what the number of images asks for")
    parser.add_argument("--output", default="output/your_data", help="folder to write; default: %(default)s")
    args = parser.parse_args()
    data = Path(args.data)
    images, classes = _count(data / "annotations" / "train.json")
    weights = _weights(args.weights) if args.weights or not args.config else None
    recipe = Recipe(args.config, 8) if args.config else FROM_WEIGHTS if weights else FROM_SCRATCH
    batch = min(recipe.batch, images)
    options = [f"num_classes={classes}", f"TrainReader.batch_size={batch}", *_data_options(data)]
    if weights:
        options += [f"pretrain_weights={_text(weights)}", "LearningRate.base_lr=0.0005"]
    epochs = args.epochs or (recipe.seen and min(300, max(4, round(recipe.seen / images))))
    if epochs:
        options += _schedule(epochs, steps=epochs * (images // batch))
    train_and_report(recipe.config, data, Path(args.output), options)


def _count(annotations):
    """(number of images with boxes, number of classes) of a COCO file."""
    try:
        content = json.loads(annotations.read_text(encoding="utf-8-sig"))
        images = {annotation["image_id"] for annotation in content["annotations"]}
        return max(1, len(images)), len(content["categories"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{annotations}: expected COCO annotations ({type(error).__name__}: {error})") from error


def _data_options(data):
    options = []
    for key, part in (("TrainDataset", "train"), ("EvalDataset", "val"), ("TestDataset", "val")):
        options += [f"{key}.dataset_dir={_text(data)}", f"{key}.anno_path=annotations/{part}.json"]
        options += [] if key == "TestDataset" else [f"{key}.image_dir={part}"]
    return options


def _text(path):
    """A path as YAML text, whatever its name looks like."""
    return json.dumps(str(path))


def _weights(given):
    """The file to begin with, or None."""
    if given == "none":
        return None
    try:
        return find(given or PUBLISHED, "weights")
    except UserError as error:
        if given:
            raise
        print(f"{error} with --weights. A smaller model is now trained from scratch.", file=sys.stderr)
        return None


def _schedule(epochs, steps):
    """Options for a number of epochs: the learning rate rises in a tenth of the steps and then falls to 0."""
    warmup = f"{{name: LinearWarmup, start_factor: 0.1, steps: {min(100, max(1, steps // 10))}}}"
    return [
        f"epoch={epochs}",
        f"snapshot_epoch={max(1, epochs // 4)}",
        f"LearningRate.schedulers=[{{name: CosineDecay, max_epochs: {epochs}}}, {warmup}]",
    ]


def train_and_report(config, data, output, options=()):
    """Train unless it is done already, evaluate, draw, and print the table."""
    start = time.time()
    run = output / Path(config).stem
    if (run / "model_final.pdparams").exists():
        print(f"{run}/model_final.pdparams is there: not training again (delete {output} to do so)")
    else:
        train(config, [*options, f"save_dir={_text(output)}"], evaluate=True, seed=0)
    options = [*options, f"save_dir={_text(output)}", f"weights={_text(run / 'model_final')}"]
    results = evaluate(config, options)
    draw_grid(detect(config, options, _validation_images(data)), output / "detections.png")
    draw_curves(run / "history.jsonl", output / "curves.png")

    print(f"\npaddle_vfl {paddle_vfl.__version__}: {config} on {data}/val, {time.time() - start:.0f} s")
    for name, value in zip(AP_NAMES, results["bbox"]):
        print(f"  {name:<14}{'none' if value < 0 else f'{value:.3f}'}")
    if not any(results["bbox"]):
        print("  nothing was found: train for more epochs")
    print(f"{output}/detections.png\n{output}/curves.png")


def _validation_images(data):
    """Paths of the images that val.json names; they may lie in folders of val/."""
    content = json.loads((data / "annotations" / "val.json").read_text(encoding="utf-8-sig"))
    paths = [data / "val" / image["file_name"] for image in content["images"]]
    return [path for path in paths if path.is_file()]


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"train_on_your_data: {error}")
