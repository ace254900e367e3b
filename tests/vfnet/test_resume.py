"""A VFNet whose training was resumed goes on to the numbers of an uninterrupted one."""

import pytest

from paddle_vfl import training
from paddle_vfl.training.history import read_history


@pytest.mark.slow
def test_a_resumed_training_goes_on_alike(config, tmp_path):
    small = {"FPN": {"out_channel": 32}, "VFNetHead": {"feat_channels": 32, "num_convs": 1}}
    path = config("vfnet_digits.yml", epoch=2, snapshot_epoch=1, **small)
    run = tmp_path / "output" / path.stem
    training.train(str(path), seed=0)
    uninterrupted, _ = read_history(run / "history.jsonl")
    training.train(str(path), resume=str(run / "0"), seed=0)
    resumed, _ = read_history(run / "history.jsonl")
    assert resumed == uninterrupted and [step["epoch"] for step in resumed] == [0, 0, 1, 1]
