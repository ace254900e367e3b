"""`make demo`, with one epoch of a few images, in a copy of its folders, where it writes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ppdet")

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demo_with_one_epoch(tmp_path):
    for name in ("configs", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for path, what, instead in (
        ("configs/ppyoloe_plus_digits.yml", r"^epoch: \d+", "epoch: 1"),
        ("examples/digits_demo.py", r"write_digits\(DATA\)", "write_digits(DATA, train_images=32, val_images=8)"),
    ):
        changed, count = re.subn(what, instead, (tmp_path / path).read_text(), flags=re.MULTILINE)
        assert count == 1
        (tmp_path / path).write_text(changed)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "examples" / "digits_demo.py")],
        cwd=tmp_path.parent,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    for name in ("detections.png", "curves.png"):
        assert (tmp_path / "output" / "demo" / name).stat().st_size > 10_000
