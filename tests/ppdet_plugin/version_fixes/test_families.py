"""Whole models, small, without and with the plugin: ``make families`` tries all of them in every way."""

import csv
import subprocess
import sys
from pathlib import Path

import paddle
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(paddle.__version__ < "3", reason="a question of Paddle 3")]

ROOT = Path(__file__).resolve().parents[3]
TRAIN_AS_THEY_ARE = {"detr", "retinanet", "yolov3"}  # with losses and indices of one type, and nothing concatenated
# one for each cause (docs/families.csv)
TRAIN_WITH_THE_PLUGIN = {"dino", "faster_rcnn", "gfl", "picodet", "sparse_rcnn", "ssd", "tood", "ttfnet"}


def results(*args, stages=("train", "evaluate", "export")):
    """{(family, "without" or "with" the plugin): all stages work} of the table that tools/families.py prints. It fails
    itself where the plugin makes something worse."""
    command = [sys.executable, str(ROOT / "tools" / "families.py"), *args, "--stages", ",".join(stages)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    table = csv.DictReader(done.stdout.splitlines())
    return {(row["family"], row["plugin"]): all(row[stage] == "yes" for stage in stages) for row in table}


def test_families_train_and_those_that_did_have_the_same_losses():
    import ppdet

    families = TRAIN_AS_THEY_ARE | TRAIN_WITH_THE_PLUGIN
    found = results(*sorted(families), stages=["train"])
    assert all(found[family, "with"] for family in families)
    as_they_are = {family for family in families if found[family, "without"]}
    assert as_they_are == (TRAIN_AS_THEY_ARE if getattr(ppdet, "__version__", "") == "2.6.0" else families)


def test_what_the_loss_needs_is_evaluated_and_exported():
    found = results("gfl", "dino")
    assert found["gfl", "with"] and found["dino", "with"]
