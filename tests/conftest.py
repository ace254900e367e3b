"""PaddleDetection is the installed one, or the checkout that PPDET_SRC names."""

import os
import sys

if os.environ.get("PPDET_SRC"):
    sys.path.insert(0, os.environ["PPDET_SRC"])
os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import pytest

import paddle_vfl
from paddle_vfl._ops import extension

import paddle


@pytest.fixture(autouse=True)
def _defaults():
    """Every test starts with the same seeds, threads and instruction set."""
    paddle.seed(0)
    threads, isa = extension.get_num_threads(), extension.get_isa()
    yield
    paddle_vfl.set_num_threads(threads)
    extension.set_isa(isa)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=extension.isa_supported())
def isa(request):
    """Runs the test once for each instruction set that this machine has."""
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
    pytest.importorskip("ppdet")
    from ppdet.core.workspace import global_config

    paddle_vfl.disable()
    before = {key: (value.copy() if hasattr(value, "copy") else value) for key, value in global_config.items()}
    yield
    paddle_vfl.disable()
    global_config.clear()
    global_config.update(before)
