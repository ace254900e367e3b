"""The commands of README.md, one after the other as a reader types them, in an environment that they made; with a small
data set and one epoch."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from paddle_vfl.datasets import write_digits

ROOT = Path(__file__).resolve().parents[2]


def commands(page, pattern):
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split("#")[0].strip() for line in re.findall(rf"^    ({pattern}.*)$", text, re.MULTILINE)]


TOOLS, FROM_CHECKOUT, *PIP_ONLY = commands("README.md", "pip install")
# the lines for a checkout are the others less what is there by then: they are resolved, not built again
INSTALL = [
    *PIP_ONLY,
    TOOLS,
    FROM_CHECKOUT + " --dry-run",
    "pip install paddledet==2.6.0 scikit-learn 'setuptools<81'",
    "pip install 'setuptools<81'",
]  # in troubleshooting.md
COMMANDS = [
    command for command in commands("README.md", "(?:paddle-vfl|python examples/)") if "tools/train.py" not in command
]  # that one: test_training.py
COMMANDS += ["python -m paddle_vfl info", *commands("docs/benchmarks/README.md", "MALLOC_")]
SHORT = ["epoch=1", "snapshot_epoch=1", "PPYOLOEHead.nms.score_threshold=0.0"]


def run(command, folder, env):
    words = shlex.split(command)
    while "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        env = {**env, name: value}
    words = ["configs/ppyoloe_plus_digits.yml" if word == "CONFIG" else word for word in words]
    if "digits" in words:
        words += ["--train-images", "8", "--val-images", "2"]
    elif words[1] == "train":
        words += [*([] if "-o" in words else ["-o"]), *SHORT]
    elif "examples/train_on_your_data.py" in words:
        words += ["--epochs", "1", "--weights", "none"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=900, env=env)
    assert done.returncode == 0, f"{command}\n{(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The variables of an environment made by README's lines; of this one where those do not hold (Python 3.12 and
    later)."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PPDET_SRC")}
    if sys.version_info >= (3, 12):
        return {**env, "PATH": f"{Path(sys.executable).parent}:{env['PATH']}"}
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env", with_pip=True)
    env["PATH"] = f"{folder / 'env' / 'bin'}:{env['PATH']}"
    shutil.copytree(
        ROOT,
        folder / "source",
        ignore=shutil.ignore_patterns(".*", "build", "dataset", "output", "*.so", "*.egg-info", "__pycache__"),
    )
    for command in INSTALL:
        run(command, folder / "source", env)
    assert str(folder / "env") in run("python -c 'import paddle_vfl; print(paddle_vfl.__file__)'", folder, env)
    return env


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
def test_the_readme_from_top_to_bottom(environment, tmp_path):
    assert len(COMMANDS) >= 9
    for name in ("configs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    three_classes(tmp_path / "my_data")
    for command in COMMANDS:
        run(command, tmp_path, environment)
    assert list((tmp_path / "output").glob("*.png"))
