"""The source distribution builds a wheel, and the wheel trains a step in an environment that knows nothing of this
folder."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import paddle
import pytest

import paddle_vfl

ROOT = Path(__file__).resolve().parents[2]


def run(*command, cwd, **options):
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=900, **options
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="tried on Linux")
def test_sdist_to_wheel_to_training_step(tmp_path):
    pytest.importorskip("ppdet")
    (tmp_path / "setup.cfg").write_text(f"[egg_info]\negg_base = {tmp_path}\n")
    run(
        sys.executable,
        "setup.py",
        "-q",
        "sdist",
        "--dist-dir",
        tmp_path,
        cwd=ROOT,
        env={**os.environ, "DIST_EXTRA_CONFIG": str(tmp_path / "setup.cfg")},
    )
    (source,) = tmp_path.glob("*.tar.gz")
    assert source.name == f"paddle_vfl-{paddle_vfl.__version__}.tar.gz"
    run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", tmp_path, source, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"paddle_vfl-{paddle_vfl.__version__}+paddle{paddle.__version__}")

    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", wheel, cwd=tmp_path)
    # what paddle_vfl needs, from here; the .pth files of that folder, an editable install among them, are not read
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")

    where = run(
        python, "-c", "from paddle_vfl import _ops; print(_ops.__file__, _ops.extension.__file__)", cwd=tmp_path
    )
    assert all(str(packages) in path for path in where.split())
    for path in ("py.typed", "__init__.pyi", "ppdet_plugin/child_processes/sitecustomize.py"):
        assert (packages / "paddle_vfl" / path).exists()
    (library,) = (packages / "paddle_vfl").glob("_C*.so")
    assert b".debug_info" not in library.read_bytes()
    assert str(Path(paddle.__file__).parent).encode() not in library.read_bytes()  # nothing of this environment
    command = tmp_path / "env" / "bin" / "paddle-vfl"
    run(command, "digits", "data", "--train-images", "8", "--val-images", "2", cwd=tmp_path)
    options = ["epoch=1", *(f"{key}.dataset_dir=data" for key in ("TrainDataset", "EvalDataset", "TestDataset"))]
    config = ROOT / "configs" / "ppyoloe_plus_digits.yml"
    run(
        command,
        "train",
        "-c",
        config,
        "-o",
        *options,
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"},
    )
    assert (tmp_path / "output" / config.stem / "history.jsonl").read_text().count("\n") == 1
