"""Two processes on one machine (gloo) train as one process with the same global batch."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "train.py"
CONFIGS = Path(__file__).with_name("configs")
CONFIG = CONFIGS / "gfl_resnet.yml"

pytestmark = pytest.mark.slow


def program():
    """The installed command, which paddle.distributed.launch can start."""
    return Path(sys.executable).with_name("paddle-vfl")


def start(command, folder, *options):
    """Paddle's launcher with a command, in a folder."""
    launch = [sys.executable, "-m", "paddle.distributed.launch", *options, "--log_dir", str(folder / "log")]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*launch, *map(str, command)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    )


def finish(launcher, folder):
    """The logs of its processes."""
    try:
        out, _ = launcher.communicate(timeout=300)
    finally:
        launcher.kill()
    logs = "\n".join(log.read_text() for log in (folder / "log").glob("workerlog.*"))
    assert launcher.returncode == 0, out[-2000:] + logs[-5000:]
    return logs


def run(command, folder, processes):
    return finish(start(command, folder, "--nproc_per_node", str(processes)), folder)


def run_alone(command, folder):
    """One process, without the launcher."""
    done = subprocess.run([sys.executable, *map(str, command)], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]


def losses(path):
    return [record["losses"] for record in map(json.loads, path.read_text().splitlines()) if "losses" in record]


def weights(folder):
    import paddle

    (path,) = folder.rglob("model_final.pdparams")
    return {name: value.numpy() for name, value in paddle.load(str(path)).items()}


def assert_equal_weights(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture
def prepared(config, tmp_path):
    """A folder with c.yml, a config of 4 steps of 8 images over all processes."""

    def prepare(name, processes, base=CONFIG):
        folder = tmp_path / name
        folder.mkdir()
        path = config(base, epoch=2, TrainReader={"batch_size": 8 // processes}, save_dir=str(folder / "output"))
        shutil.copy(path, folder / "c.yml")
        return folder

    return prepare


def test_the_command(prepared):
    """Losses, means over the processes, to 1e-5; weights after 4 steps to 1e-4."""
    folders = [prepared(f"processes{processes}", processes, CONFIGS / "vfnet_resnet.yml") for processes in (1, 2)]
    command = [program(), "train", "--seed", "0", "-c", "c.yml"]
    run_alone(command, folders[0])
    run(command, folders[1], 2)
    expected, actual = (losses(folder / "output" / "c" / "history.jsonl") for folder in folders)
    assert len(expected) == len(actual) == 4
    for a, e in zip(actual, expected):
        assert a == pytest.approx(e, rel=1e-5)
    one, two = map(weights, folders)
    assert_equal_weights(two, one)


def test_an_ordinary_script_with_the_yaml_line(prepared):
    """On two machines: launchers that meet at an address (`--master`), with a process each."""
    script = [SCRIPT, "-c", "c.yml"]
    one = prepared("one", 1)
    run_alone(script, one)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        master = f"127.0.0.1:{free.getsockname()[1]}"
    machines = [prepared(name, 2) for name in ("first", "second")]
    launchers = [
        start(script, folder, "--nnodes", "2", "--master", master, "--nproc_per_node", "1") for folder in machines
    ]
    for launcher, folder in zip(launchers, machines):
        finish(launcher, folder)
    (saved,) = [folder for folder in machines if list(folder.rglob("model_final.pdparams"))]
    assert_equal_weights(weights(saved), weights(one))


def test_run_can_be_started_by_launch(tmp_path):
    """It switches the loss in both processes, for a script that does not."""
    script = tmp_path / "script.py"
    script.write_text("import ppdet.modeling, paddle_vfl; print('enabled:', paddle_vfl.status()['enabled'])")
    logs = run([program(), "run", script], tmp_path, 2)
    assert logs.count("enabled: True") == 2
