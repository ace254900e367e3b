"""Trains cells, each in a folder and a process of its own, and keeps what is finished."""

import json
import os
import shlex
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from paddle_vfl.errors import UserError
from paddle_vfl.processes import python_module
from paddle_vfl.training.history import read_history

from .cells import CONFIGS, DETECTORS, Cell


class Setting(NamedTuple):
    """What all runs of a study share. ``size`` is the side of the images in pixels; ``flip``: training images are
    flipped left to right in half of the cases, which digits must not be."""

    data: Path
    classes: int
    epochs: int
    size: int
    flip: bool

    def options(self):
        resize = f"{{Resize: {{target_size: [{self.size}, {self.size}], keep_ratio: false, interp: 2}}}}"
        flip = ", {RandomFlip: {}}" if self.flip else ""
        as_trained = "{NormalizeImage: {mean: [0., 0., 0.], std: [1., 1., 1.], norm_type: none}}, {Permute: {}}"
        options = [
            f"num_classes={self.classes}",
            f"epoch={self.epochs}",
            f"snapshot_epoch={self.epochs}",
            f"LearningRate.schedulers=[{{name: CosineDecay, max_epochs: {self.epochs}}}, "
            "{name: LinearWarmup, start_factor: 0.1, steps: 64}]",
            f"TrainReader.sample_transforms=[{{Decode: {{}}}}, {resize}{flip}]",
            f"EvalReader.sample_transforms=[{{Decode: {{}}}}, {resize}, {as_trained}]",
        ]
        for key, part in (("TrainDataset", "train"), ("EvalDataset", "val")):
            options += [f"{key}.dataset_dir={json.dumps(str(self.data))}", f"{key}.image_dir={part}"]
            options += [f"{key}.anno_path=annotations/{part}.json"]
        return options


class Run(NamedTuple):
    """A cell with a seed, in ``output``/DETECTOR-LOSS-SEED."""

    cell: Cell
    seed: int
    setting: Setting
    output: Path

    @property
    def name(self):
        return f"{self.cell.detector}-{self.cell.loss}-{self.seed}"

    @property
    def folder(self):
        return self.output / self.name

    @property
    def log(self):
        return self.folder / "train.log"

    @property
    def results(self):
        """Where training writes its history and the detections of the last evaluation."""
        return self.folder / Path(DETECTORS[self.cell.detector].config).stem

    def command(self):
        """What follows `paddle-vfl` on a command line."""
        config = CONFIGS / DETECTORS[self.cell.detector].config
        options = [*self.setting.options(), *self.cell.options, f"save_dir={json.dumps(str(self.folder))}"]
        return ["train", "-c", str(config), "--eval", "--seed", str(self.seed), "-o", *options]

    def evaluation(self):
        """What COCO's evaluation after the last epoch gave, 12 values; None if the run has not come so far."""
        try:
            _, evaluations = read_history(self.results / "history.jsonl")
        except (OSError, ValueError):  # not begun; cut off in the middle of a line
            return None
        last = [record["eval"]["bbox"] for record in evaluations if record["epoch"] == self.setting.epochs - 1]
        return last[-1] if last else None

    def classification(self):
        """The classification loss: of the first step, then the mean of every epoch."""
        steps, _ = read_history(self.results / "history.jsonl")
        by_epoch = {}
        for step in steps:
            loss = [value for name, value in step["losses"].items() if name.startswith(("loss_cls", "loss_class"))]
            by_epoch.setdefault(step["epoch"], []).append(sum(loss))
        means = [statistics.mean(losses) for losses in by_epoch.values()]
        return [float(f"{loss:.3g}") for loss in [*list(by_epoch.values())[0][:1], *means]] if means else []


def train_all(runs, jobs):
    """Train what is not finished, ``jobs`` at a time, one thread each. Returns the runs that failed."""
    todo = [run for run in runs if run.evaluation() is None]
    print(f"{len(runs)} runs, {len(runs) - len(todo)} of them finished before")
    failed = []
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(todo), desc="losses") as bar:
        futures = {pool.submit(_train, run): run for run in todo}
        for future in as_completed(futures):
            run = futures[future]
            if future.result() != 0 or run.evaluation() is None:
                failed.append(run)
                bar.write(f"{run.name} failed: see {run.log}", file=sys.stderr)
            bar.update()
    return failed


def _train(run):
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        log = open(run.log, "w")
    except OSError as error:
        raise UserError(f"{run.folder}: {error.strerror}") from error
    with log:
        print(shlex.join(["paddle-vfl", *run.command()]), file=log, flush=True)
        return subprocess.run(
            python_module("paddle_vfl", *run.command()),
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ).returncode
