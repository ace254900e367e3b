"""A training that has diverged stops, in words, and its history is JSON to the letter."""

import json
import math
import types

import paddle
import pytest

from paddle_vfl import training
from paddle_vfl.errors import UserError
from paddle_vfl.training.history import read_history

TOO_HIGH = ["epoch=2", "snapshot_epoch=1", "LearningRate.base_lr=1e8", "TrainReader.batch_size=4"]


def strict(line):
    """JSON as its standard has it, without NaN."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(line, parse_constant=refuse)


def test_the_first_loss_that_is_not_finite_ends_training(config, tmp_path):
    path = config("ppyoloe_plus_digits.yml")
    with pytest.raises(UserError) as error:
        training.train(path, TOO_HIGH, seed=0)
    message = str(error.value)
    assert "loss_cls is nan at epoch 0, step 2, with " in message and message.count("/train/0000") == 4
    assert "a lower LearningRate.base_lr (it is 1e+08), a longer warm-up. What was saved before is kept" in message
    run = tmp_path / "output" / path.stem
    lines = [strict(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert lines[-1]["losses"]["loss_cls"] is None and math.isfinite(lines[0]["losses"]["loss_cls"])
    steps, _ = read_history(run / "history.jsonl")
    assert math.isnan(steps[-1]["losses"]["loss_cls"])
    assert not list(run.glob("*.pdparams"))


def test_a_flag_goes_on(config, tmp_path):
    path = config("ppyoloe_plus_digits.yml")
    training.train(path, TOO_HIGH, seed=0, allow_nan=True)
    assert (tmp_path / "output" / path.stem / "model_final.pdparams").exists()


@pytest.mark.parametrize("step, raises", [(0, False), (1, True)])
def test_weights_that_are_not_finite_are_not_saved(step, raises):
    """The losses of the last step do not show what it did."""
    from ppdet.core.workspace import AttrDict

    from paddle_vfl.training.divergence import StopAtNaN

    model = paddle.nn.Linear(2, 2)
    model.weight.set_value(paddle.full([2, 2], math.inf))
    cfg = AttrDict(
        LearningRate={"base_lr": 0.1}, OptimizerBuilder={"clip_grad_by_norm": None, "clip_grad_by_value": None}
    )
    trainer = types.SimpleNamespace(model=model, cfg=cfg, dataset=types.SimpleNamespace(roidbs=[]))
    callback = StopAtNaN(trainer, types.SimpleNamespace(losses={"loss": 1.0}))
    status = {"mode": "train", "epoch_id": 3, "step_id": step, "steps_per_epoch": 2}
    if not raises:
        callback.on_step_end(status)
        return
    with pytest.raises(UserError, match="a weight of the model is not finite at epoch 3, step 1.*clip_grad_by_norm"):
        callback.on_step_end(status)
