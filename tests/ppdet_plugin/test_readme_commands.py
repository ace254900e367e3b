"""The commands of README.md, one after the other as a reader types them, with a small data set and one epoch."""
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from paddle_vfl.datasets import write_digits

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    line.split("#")[0].strip() for line in re.findall(r"^    ((?:paddle-vfl|python examples/).*)$", (ROOT / "README.md").read_text().replace("\\\n", " "), re.MULTILINE)
    if "tools/train.py" not in line  # needs a checkout: test_training.py
]
SHORT = ["epoch=1", "snapshot_epoch=1", "PPYOLOEHead.nms.score_threshold=0.0"]


def run(command, folder):
    words = shlex.split(command)
    program = [sys.executable, "-m", "paddle_vfl"] if words[0] == "paddle-vfl" else [sys.executable]
    words = words[1:]
    if words[0] == "digits":
        words += ["--train-images", "8", "--val-images", "2"]
    elif words[0] == "train" and "-o" in words:
        words += SHORT
    elif words[0] == "train":
        words += ["-o", *SHORT]
    elif "--epochs" in words:
        words[words.index("--epochs") + 1] = "1"
    done = subprocess.run([*program, *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{(done.stdout + done.stderr)[-3000:]}"


def three_classes(folder):
    """The README's my_data: some digits, with the classes 0, 1 and 2."""
    write_digits(folder, train_images=16, val_images=4, progress=False)
    for path in (folder / "annotations").glob("*.json"):
        content = json.loads(path.read_text())
        content["categories"] = content["categories"][:3]
        kept = {category["id"] for category in content["categories"]}
        content["annotations"] = [a for a in content["annotations"] if a["category_id"] in kept]
        path.write_text(json.dumps(content))


@pytest.mark.slow
def test_the_readme_from_top_to_bottom(tmp_path):
    assert len(COMMANDS) >= 7
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    three_classes(tmp_path / "my_data")
    for command in COMMANDS:
        run(command, tmp_path)
    assert list((tmp_path / "output").glob("*.png"))
