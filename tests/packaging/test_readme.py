"""The commands of the README, of docs/install.md and docs/own_data.md, one after the other as a reader types them, in
an environment that they made from the source distribution; with a small data set and one epoch."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest

import paddle_vfl
from paddle_vfl.datasets import write_digits

ROOT = Path(__file__).resolve().parents[2]


def commands(page, pattern):
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split("#")[0].strip() for line in re.findall(rf"^    ({pattern}.*)$", text, re.MULTILINE)]


TOOLS, FROM_CHECKOUT = commands("README.md", "pip install")
PIP_ONLY = [command for command in commands("docs/install.md", "pip install")[2:] if "gpu" not in command][:2]
# the lines for a checkout are the others less what is there by then: they are resolved, not built again
INSTALL = [
    *PIP_ONLY,
    TOOLS,
    FROM_CHECKOUT + " --dry-run",
    "pip install paddledet==2.6.0 scikit-learn 'setuptools<81'",
    "pip install 'setuptools<81'",
]  # in troubleshooting.md
COMMANDS = [
    command
    for page in ("README.md", "docs/own_data.md")
    for command in commands(page, "paddle-vfl")  # tests/examples has the others
    if "tools/train.py" not in command  # test_training.py
]
COMMANDS = [*dict.fromkeys(COMMANDS), "python -m paddle_vfl info", *commands("docs/measured.md", "MALLOC_")]
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
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=900, env=env)
    assert done.returncode == 0, f"{command}\n{(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "setup.cfg").write_text(f"[egg_info]\negg_base = {folder}\n")
    env = {**os.environ, "DIST_EXTRA_CONFIG": str(folder / "setup.cfg")}
    run(f"{sys.executable} setup.py -q sdist --dist-dir {folder}", ROOT, env)
    (archive,) = folder.glob("*.tar.gz")
    assert archive.name == f"paddle_vfl-{paddle_vfl.__version__}.tar.gz"
    with tarfile.open(archive) as file:
        file.extractall(folder)
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def environment(source):
    """The variables of an environment made by README's lines; where those do not hold (Python 3.12 and later), of one
    that has the packages of this one besides."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PPDET_SRC")}
    # in a checkout, all may have been compiled in an environment of this name
    env["CCACHE_BASEDIR"] = str(source)
    folder = source / ".venv"
    venv.create(folder, with_pip=True)
    env["PATH"] = f"{folder / 'bin'}:{env['PATH']}"
    lines = INSTALL
    if sys.version_info >= (3, 12):
        # the .pth files of that folder, an editable install among them, are not read
        (site_packages(folder, env) / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
        lines = ["pip install --no-build-isolation --no-deps ."]
    for command in lines:
        if command == PIP_ONLY[0] and os.environ.get("UV"):  # the same requirements, in seconds
            python = folder / "bin" / "python"
            command = command.replace("pip install", f"{os.environ['UV']} pip install --python {python}")
        # its setuptools may have C++ compiled by CC, which a compiler cache takes for another compiler than CXX
        of_build = {"CC": env["CXX"]} if command.endswith(" .") and "CXX" in env else {}
        run(command, source, {**env, **of_build})
    return env


def site_packages(folder, env):
    return Path(run("python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))'", folder, env).strip())


@pytest.mark.slow
def test_what_is_installed(environment, tmp_path):
    """All files, and a library that knows nothing of the folders it was built in."""
    packages = site_packages(tmp_path, environment)
    what = "from paddle_vfl import _ops; import paddle; print(_ops.extension.__file__, paddle.__file__, sep='\\n')"
    library, paddle = map(Path, run(f'python -c "{what}"', tmp_path, environment).split())
    assert library.parent == packages / "paddle_vfl"
    for path in ("py.typed", "__init__.pyi", "ppdet_plugin/child_processes/sitecustomize.py"):
        assert (packages / "paddle_vfl" / path).exists()
    what = "import importlib.metadata as m; print(*m.files('paddle_vfl'), sep='\\n')"
    folders = {name.split("/")[0] for name in run(f'python -c "{what}"', tmp_path, environment).split()}
    assert {name for name in folders if not name.startswith("paddle_vfl-")} == {"paddle_vfl", ".."}, "bin/ is in .."
    content = library.read_bytes()
    assert b".debug_info" not in content
    assert str(paddle.parent).encode() not in content


def three_classes(folder):
    """The README's my_data: some digits, with the classes 0, 1 and 2."""
    write_digits(folder, train_images=8, val_images=2, progress=False)
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
