"""Distributed tensors (paddle.distributed.shard_tensor) on two processes: rows and classes may be sharded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from paddle_vfl import varifocal_loss

PROGRAM = Path(__file__).parent / "scripts" / "sharded_loss.py"
ROWS, CLASSES = 8, 6

pytestmark = [pytest.mark.slow, pytest.mark.skipif(paddle.__version__ < "3", reason="distributed tensors of Paddle 3")]


def inputs():
    """(logits, scores, 0/1 mask, class labels, a score for each row)."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, CLASSES + 1, ROWS)
    score = rng.random(ROWS).astype(np.float32)
    dense = np.zeros((ROWS, CLASSES + 1), np.float32)
    dense[np.arange(ROWS), label] = score
    dense = np.ascontiguousarray(dense[:, :CLASSES])
    return rng.normal(0, 2, (ROWS, CLASSES)).astype(np.float32), dense, (dense > 0).astype(np.float32), label, score


@pytest.fixture(scope="module")
def sharded(tmp_path_factory):
    """What two processes computed: {"kind sharding reduction": (loss, gradient, where they lie)}."""
    folder = tmp_path_factory.mktemp("sharded")
    np.savez(folder / "inputs.npz", *inputs())
    command = [
        sys.executable,
        "-m",
        "paddle.distributed.launch",
        "--nproc_per_node",
        "2",
        "--log_dir",
        str(folder / "log"),
        str(PROGRAM),
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    return np.load(folder / "results.npz", allow_pickle=False)


@pytest.mark.parametrize("reduction", ["none", "row", "sum", "mean"])
@pytest.mark.parametrize("sharding", ["replicated", "rows", "classes"])
@pytest.mark.parametrize("kind", ["dense", "masked", "pair"])
@pytest.mark.parametrize("class_weight", [None, [0.0, 1.0, 0.5, 2.0, 3.0, 11.0]], ids=["", "weighted"])
def test_equals_one_process(sharded, kind, sharding, reduction, class_weight):
    x, q, y, label, score = (paddle.to_tensor(array) for array in inputs())
    x.stop_gradient = False
    loss = varifocal_loss(
        x,
        (label, score) if kind == "pair" else q,
        y if kind == "masked" else None,
        reduction=reduction,
        class_weight=class_weight,
    )
    (loss * loss).sum().backward()
    key = f"{kind} {sharding} {reduction}{'' if class_weight is None else ' weighted'}"
    np.testing.assert_allclose(sharded[f"{key} loss"], loss.numpy(), rtol=1e-6)
    np.testing.assert_allclose(sharded[f"{key} grad"], x.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "kind, sharding, reduction, loss, grad",
    [
        ("dense", "rows", "none", "Shard(dim=0)", "Shard(dim=0)"),
        ("dense", "rows", "row", "Shard(dim=0)", "Shard(dim=0)"),
        ("masked", "classes", "none", "Shard(dim=1)", "Shard(dim=1)"),
        ("masked", "classes", "row", "Partial(reduce_type=SUM)", "Shard(dim=1)"),
        ("masked", "classes", "row weighted", "Partial(reduce_type=SUM)", "Shard(dim=1)"),
        ("pair", "rows", "row", "Shard(dim=0)", "Shard(dim=0)"),
        ("pair", "classes", "row", "Replicate()", "Replicate()"),  # the labels count all classes
    ],
)
def test_nothing_is_gathered_without_need(sharded, kind, sharding, reduction, loss, grad):
    assert sharded[f"{kind} {sharding} {reduction} placements"].tolist() == [loss, grad]


def test_weights_of_a_distributed_call_are_not_those_of_the_next():
    """Paddle makes all inputs of an operator distributed where one is."""
    x, q, *_ = (paddle.to_tensor(array) for array in inputs())
    mesh = paddle.distributed.ProcessMesh([0], dim_names=["x"])
    weights = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    sharded = [paddle.distributed.shard_tensor(tensor, mesh, [paddle.distributed.Replicate()]) for tensor in (x, q)]
    assert varifocal_loss(*sharded, class_weight=weights, reduction="sum").is_dist()
    assert not varifocal_loss(x, q, class_weight=weights, reduction="sum").is_dist() and not x.is_dist()
