"""PaddleDetection is the installed one, or the checkout that PPDET_SRC names, which `make test` puts on PYTHONPATH."""

import gc
import importlib.util
import logging
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import pytest
import yaml

import paddle_vfl
from paddle_vfl._ops import extension
from paddle_vfl.datasets import write_digits
from paddle_vfl.ppdet_plugin import announce

import paddle

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def pytest_addoption(parser):
    parser.addoption("--best-isa", action="store_true", help="test the best instruction set of this machine alone")
    parser.addoption("--thorough", action="store_true", help="also what takes minutes to compile")


def pytest_generate_tests(metafunc):
    """With the fixture isa a test runs once for each instruction set that this machine has."""
    if "isa" in metafunc.fixturenames:
        supported = extension.isa_supported()
        metafunc.parametrize(
            "isa", supported[:1] if metafunc.config.getoption("--best-isa") else supported, indirect=True
        )


def pytest_sessionstart():
    """What was asked for is what is tested."""
    wanted = os.environ.get("PPDET_SRC")
    found = importlib.util.find_spec("ppdet") if wanted else None
    if wanted and (found is None or Path(wanted).resolve() not in Path(found.origin).resolve().parents):
        pytest.exit(
            f"PPDET_SRC is {wanted}, but ppdet is found {'nowhere' if found is None else 'in ' + found.origin}: "
            "run `make test PPDET_SRC=...`, or put the folder on PYTHONPATH",
            returncode=pytest.ExitCode.USAGE_ERROR,
        )


def pytest_collection_modifyitems(items):
    """Files with slow tests come first: what gets one of them at the end works alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """What is imported by now stays. To look for garbage in it again and again took an eighth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _defaults(monkeypatch, tmp_path_factory):
    """Every test starts with the same seeds, threads and instruction set, and leaves the user's cache alone."""
    paddle.seed(0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    threads, isa = extension.get_num_threads(), extension.get_isa()
    yield
    paddle_vfl.set_num_threads(threads)
    extension.set_isa(isa)


@pytest.fixture
def caplog(caplog, monkeypatch):
    """The log of paddle_vfl too, which does not go on to the root."""
    announce.make_visible()
    monkeypatch.setattr(logging.getLogger("paddle_vfl"), "propagate", True)
    return caplog


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def isa(request):
    """The instruction set in use."""
    extension.set_isa(request.param)
    return request.param


@pytest.fixture
def op_calls(monkeypatch):
    """A list that grows by the name of the custom operator at each of its calls."""
    from paddle_vfl import _ops

    calls, run = [], _ops._run

    def counting(name, *args):
        calls.append(name)
        return run(name, *args)

    monkeypatch.setattr(_ops, "_run", counting)
    return calls


@pytest.fixture
def clean_ppdet():
    """PaddleDetection keeps the configs it has read in one global dict: put it back afterwards, and the plugin off."""
    if not os.environ.get("PPDET_SRC"):  # what was asked for must not be skipped
        pytest.importorskip("ppdet")
    from ppdet.core.workspace import global_config

    paddle_vfl.disable()
    before = {key: (value.copy() if hasattr(value, "copy") else value) for key, value in global_config.items()}
    yield
    paddle_vfl.disable()
    global_config.clear()
    global_config.update(before)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A small data set: 16 images to train on, 4 to validate."""
    return write_digits(tmp_path_factory.mktemp("data") / "digits", train_images=16, val_images=4, progress=False)


@pytest.fixture
def config(tmp_path, digits):
    """Write a config: one of configs/ with the small data set and whatever ``changes`` says. Returns its path.

    ``plugin_line=False`` leaves the line out that enables the plugin.
    """

    def write(base, plugin_line=True, **changes):
        number = len(list(tmp_path.glob("config_*.yml")))
        base = CONFIGS / base
        if not plugin_line:
            lines = [
                line.replace("_base_/", f"{CONFIGS}/_base_/")
                for line in base.read_text().splitlines()
                if "_base_/paddle_vfl.yml" not in line
            ]
            base = tmp_path / f"plain_{number}.yml"
            base.write_text("\n".join(lines))
        content = {
            "_BASE_": [str(base)],
            "save_dir": str(tmp_path / "output"),
            "log_iter": 1,
            "worker_num": 0,
            **{key: {"dataset_dir": str(digits)} for key in ("TrainDataset", "EvalDataset", "TestDataset")},
            **changes,
        }
        path = tmp_path / f"config_{number}.yml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write
