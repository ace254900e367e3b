"""Damaged COCO files: ``python tools/fuzz_annotations.py --seconds 60`` or ``--examples 10000``.

hypothesis changes the annotations of a small data set. What the check before training lets pass must train and be
evaluated; what it refuses must be refused in one line that names the place. Prints the seed, which repeats the run, and
stops at the first file for which neither holds.
"""

import argparse
import collections
import contextlib
import copy
import faulthandler
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tqdm import tqdm

from paddle_vfl.class_weights import class_weight_block
from paddle_vfl.datasets import write_digits
from paddle_vfl.errors import UserError
from paddle_vfl.training import configs
from paddle_vfl.training.class_names import named_classes
from paddle_vfl.training.data_checks import check_data
from paddle_vfl.training.loader_errors import loader_errors

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "ppyoloe_plus_digits.yml"
SIDE = 64  # of the images, in pixels
TIME_LIMIT = 60  # seconds for a file
AT_ONCE = 25  # files between two looks at the clock

NUMBERS = [0, -1, 1, 2, 0.5, -0.0, 1.0, 1e-9, 1e7, 1e300, 2**31, 2**53 + 1, 2**63, -(2**63), 10**400]
NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
TEXTS = [
    "",
    " ",
    "0",
    "12",
    "1e3",
    "NaN",
    "a\nb",
    "\r",
    "\0",
    "\x1b[2J",
    "\u2028",
    "\ud800",
    "é",
    "细胞",
    "../x",
    "/",
    ".",
]
OTHERS = [None, True, False, [], {}, [[]], [1, 2, 3, 4], {"id": 1}, [None], "x" * 300]
# for a number in the text
RAW = [
    "1e999",
    "-",
    "01",
    "0x10",
    "1_0",
    "1.",
    "+1",
    "9" * 5000,
    "NaN",
    "-Infinity",
    "None",
    "True",
    "'a'",
    "/**/ 1",
    "1,",
]
JUNK = (
    st.sampled_from([*NUMBERS, *NOT_FINITE, *TEXTS, *OTHERS]).map(copy.deepcopy)
    | st.floats()
    | st.integers()
    | st.text(max_size=9)
)
ADDED = ["segmentation", "ignore", "keypoints", "num_keypoints", "track_id", "id", "is_crowd", "difficult", "score"]
PARTS = ["images", "categories", "annotations"]


@st.composite
def damaged(draw, good):
    """The bytes of a COCO file that began as ``good``, a dict."""
    content = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        _damage(draw, content)
    if draw(st.integers(0, 19)) == 0:
        content = draw(st.sampled_from([[content], {"data": content}, json.dumps(content), None, 1, [], {}, "text"]))
    data = json.dumps(content, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
    encoding = draw(st.sampled_from(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-32", "latin-1", "gbk"]))
    data = data.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")
    change = draw(st.sampled_from([None] * 12 + [_cut, _flipped, _with_raw, _deep, _repeated]))
    return change(draw, data) if change else data


def _damage(draw, content):
    """Change one thing, or the same thing of all records, in place."""
    part = draw(st.sampled_from([*PARTS, *PARTS, *PARTS, None]))
    records = content.get(part)
    if not isinstance(records, list) or not records:
        return _change(draw, content, draw(st.sampled_from([*PARTS, "info"])), [*content.values()])
    index = draw(st.integers(0, len(records) - 1))
    record = records[index]
    if not isinstance(record, dict) or draw(st.integers(0, 5)) == 0:
        return _change(draw, records, index, records)
    field = draw(st.sampled_from([*record, *record, *ADDED]))
    value = record.get(field)
    if isinstance(value, list) and value and draw(st.booleans()):
        return _change(draw, value, draw(st.integers(0, len(value) - 1)), value)
    siblings = [other.get(field) for other in records if isinstance(other, dict)]
    _change(draw, record, field, siblings)
    if draw(st.integers(0, 3)) == 0:
        for other in records:
            if isinstance(other, dict) and field in record:
                other[field] = record[field]
            elif isinstance(other, dict):
                other.pop(field, None)


def _change(draw, container, key, siblings):
    """Change what a list or dict has under ``key``."""
    old = container.get(key) if isinstance(container, dict) else container[key]
    new = [st.just(copy.deepcopy(old)), JUNK, JUNK, st.sampled_from(siblings or [None]).map(copy.deepcopy)]
    if isinstance(old, (int, float)) and not isinstance(old, bool) and abs(old) < 1e300:
        number = [-old, str(old), float(old), old + 0.5, [old], old * 1e6]
        new.append(st.sampled_from([*number, old / SIDE, old * 1000, round(old)] if abs(old) < 1e9 else number))
    elif isinstance(old, list):
        new.append(st.sampled_from([[], [old], old[:-1], old + old[:1], old[::-1]]))
    elif isinstance(old, dict):
        new.append(st.sampled_from([{}, [old], {**old, "id": 0}, {**old, "extra": old}]))
    what = draw(st.sampled_from(["change"] * 6 + ["drop", "rename"]))
    if what == "change":
        container[key] = draw(st.one_of(new))
    elif isinstance(container, list):
        container.insert(key, copy.deepcopy(old)) if what == "rename" else container.pop(key)
    elif key in container:
        value = container.pop(key)
        if what == "rename":
            container[draw(st.sampled_from([key.upper(), key + " ", key[:-1], f"{key}s", "name", "bbox"]))] = value


def _cut(draw, data):
    return data[: draw(st.integers(0, max(0, len(data) - 1)))]


def _flipped(draw, data):
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def _with_raw(draw, data):
    numbers = [match.span() for match in re.finditer(rb"(?<=[:\[,] )-?\d+(\.\d+)?", data)]
    if not numbers:
        return data
    start, end = draw(st.sampled_from(numbers))
    return data[:start] + draw(st.sampled_from(RAW)).encode() + data[end:]


def _deep(draw, data):
    return data.replace(b"[]", b"[" * 5000 + b"]" * 5000, 1) if draw(st.booleans()) else b"[" * 100_000 + data


def _repeated(draw, data):
    return data + draw(st.sampled_from([data, b"\n" + data, b",", b"\0", b"// end"]))


class Wrong(Exception):
    """A file that was neither used nor refused as it should be."""


class Commands:
    """What training, evaluation and inference do with an annotation file, with one model for all files."""

    def __init__(self, folder):
        """
        Args:
            folder (str | os.PathLike): an empty one, for the data set and the run.
        """
        self.folder = Path(folder)
        data = write_digits(self.folder / "data", train_images=4, val_images=1, image_size=SIDE, progress=False)
        self.good = json.loads((data / "annotations" / "train.json").read_text())
        self.file = data / "annotations" / "damaged.json"
        self.images = data / "train"
        size = f"[{{Decode: {{}}}}, {{Resize: {{target_size: [{SIDE}, {SIDE}], keep_ratio: false}}}}"
        self.cfg = configs.load(
            str(CONFIG),
            [
                *[f"{key}.dataset_dir={data}" for key in ("TrainDataset", "EvalDataset", "TestDataset")],
                "EvalDataset.image_dir=train",
                "TrainReader.batch_size=2",
                f"TrainReader.sample_transforms={size}]",
                f"EvalReader.sample_transforms={size}, {{Permute: {{}}}}]",
                f"save_dir={self.folder / 'run'}",
                "LearningRate.base_lr=0.00001",
            ],
        )
        self._point_at("train.json")
        self.run = configs.make_run_folder(self.cfg)
        from paddle_vfl.training.trainer import Trainer

        self.trainer = Trainer(self.cfg, mode="train")
        self.trainer.model.train()

    def _point_at(self, name):
        for key in ("TrainDataset", "EvalDataset", "TestDataset"):
            self.cfg[key]["anno_path"] = f"annotations/{name}"

    def try_file(self, data):
        """Train on, evaluate on and take the class names of an annotation file.

        Args:
            data (bytes): the file.

        Returns:
            list[str]: for each, "used", or the line with which it was refused.

        Raises:
            Wrong: another exception was raised, or what was said is not a line that names the place.
        """
        self.file.write_bytes(data)
        faulthandler.dump_traceback_later(TIME_LIMIT, exit=True)
        try:
            return [self._try(command) for command in (self._train, self._evaluate, self._names, self._weights)]
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _try(self, command):
        self._point_at(self.file.name)
        try:
            with _warnings() as warnings:
                command()
            said = "used"
        except UserError as error:
            said = str(error)
            if not any(place in said for place in (str(self.file), str(self.images), "TrainReader.batch_size")):
                raise Wrong(f"{command.__name__}: no place is named: {said}") from error
        except Exception as error:
            raise Wrong(f"{command.__name__}: {type(error).__name__}: {error}") from error
        for line in (said, *warnings):
            if not line.isprintable():
                raise Wrong(f"{command.__name__}: not a line that can be printed: {line!r}")
        return said

    def _train(self):
        from ppdet.core.workspace import create

        check_data(self.cfg, self.run, "TrainDataset")
        trainer, cfg = self.trainer, self.cfg
        with loader_errors():
            trainer.dataset = create("TrainDataset")()
            trainer.loader = create("TrainReader")(trainer.dataset, cfg.worker_num)
            trainer.check_steps()
            for batch in trainer.loader:
                loss = trainer.model({**batch, "epoch_id": 0})["loss"]
                if not np.isfinite(float(loss)):
                    raise Wrong(f"the loss is {float(loss)}")
                loss.backward()
                trainer.optimizer.step()
                trainer.optimizer.clear_grad()

    def _evaluate(self):
        """With detections of every class, that need no model."""
        from ppdet.core.workspace import create
        from ppdet.metrics import COCOMetric

        check_data(self.cfg, self.run, "EvalDataset")
        with loader_errors():
            dataset = create("EvalDataset")()
            loader = create("EvalReader")(dataset, 0)
            classes = {index: number for number, index in dataset.catid2clsid.items()}
            metric = COCOMetric(dataset.get_anno(), clsid2catid=classes, output_eval=self.run)
            for batch in loader:
                images = len(batch["im_id"])
                found = np.array([[index, 0.5, 1, 1, 30, 30] for _ in range(images) for index in classes], np.float32)
                metric.update(batch, {"bbox": found, "bbox_num": np.full(images, len(classes), np.int32)})
            metric.accumulate()

    def _names(self):
        with named_classes(self.cfg):
            pass

    def _weights(self):
        class_weight_block(self.file)


def _raise_again(handler, record):
    raise Wrong(f"{record.name} cannot log {record.getMessage()!r}")


@contextlib.contextmanager
def _warnings():
    """The list of what the package warns of, instead of its log."""
    messages, handler, logger = [], logging.Handler(logging.WARNING), logging.getLogger("paddle_vfl")
    handler.emit = lambda record: messages.append(record.getMessage())
    handlers, logger.handlers = logger.handlers, [handler]
    try:
        yield messages
    finally:
        logger.handlers = handlers


def fuzz(commands, number, first_seed, count):
    """Try ``number`` files that ``first_seed`` gives; ``count`` is a Counter of what became of them."""

    @seed(first_seed)
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(commands.good))
    def try_one(data):
        training = commands.try_file(data)[0]
        count["files"] += 1
        count["trained on"] += training == "used"

    try_one()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: %(default)s)")
    parser.add_argument("--examples", type=int, help="how many files, instead of how long")
    parser.add_argument("--seed", type=int, help="of an earlier run")
    args = parser.parse_args()
    first = args.seed if args.seed is not None else int(np.random.SeedSequence().entropy % 2**32)
    print(f"seed {first}", flush=True)
    start, count, total = time.monotonic(), collections.Counter(), args.examples or args.seconds
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as nowhere:
        with contextlib.redirect_stdout(nowhere), tqdm(total=total, disable=None) as bar:
            os.environ["XDG_CACHE_HOME"] = folder  # what is known of the images
            logging.Handler.handleError = _raise_again  # it would print a traceback
            commands = Commands(folder)
            done = 0  # which the bar does not count where there is no terminal
            while done < total:
                number = min(AT_ONCE, args.examples - done) if args.examples else AT_ONCE
                try:
                    fuzz(commands, number, first, count)
                except Exception as error:
                    shutil.copy(commands.file, "damaged.json")
                    sys.exit(f"seed {first}: damaged.json: {error}")
                first += 1
                before, done = done, done + number if args.examples else min(total, time.monotonic() - start)
                bar.update(done - before)
    print(f"{count['files']:,} files, {count['trained on']:,} of them trained on, nothing wrong")


if __name__ == "__main__":
    main()
