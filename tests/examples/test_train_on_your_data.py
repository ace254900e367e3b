"""The example for a data set of one's own, as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ppdet")
from paddle_vfl.datasets import write_digits

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "train_on_your_data.py"


def run(*args, cwd):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_ends_with_a_table_and_pictures(tmp_path):
    from PIL import Image

    data = write_digits(tmp_path / "data", train_images=16, val_images=4, progress=False)
    status, out, err = run(data, "--epochs", 2, "--output", "run", cwd=tmp_path)
    assert status == 0, err[-3000:]
    assert "AP 0.50:0.95" in out or "nothing was found" in out
    for name in ("detections.png", "curves.png"):
        assert Image.open(tmp_path / "run" / name).size[0] > 500
    status, out, _ = run(data, "--epochs", 2, "--output", "run", cwd=tmp_path)
    assert status == 0 and "not training again" in out


def test_a_folder_that_is_no_data_set_is_one_line(tmp_path):
    status, _, err = run(tmp_path, cwd=tmp_path)
    assert status == 1 and "Traceback" not in err
    assert "annotations/train.json: expected COCO annotations (FileNotFoundError: " in err
