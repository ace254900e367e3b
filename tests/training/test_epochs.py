"""What an epoch reads depends on its number and the seed, not on when or after what it begins."""

import time

import numpy as np
import pytest
from ppdet.core.workspace import load_config
from ppdet.engine import Trainer

from paddle_vfl.training.epochs import EpochLoader, EpochStart

FLIPS = [
    {"Decode": {}},
    {"RandomFlip": {"prob": 0.5}},
    {"Resize": {"target_size": [64, 64], "keep_ratio": False, "interp": 2}},
]


@pytest.fixture(params=[0, 2], ids=["no workers", "two workers"])
def new_trainer(request, config):
    def make():
        cfg = load_config(
            str(
                config(
                    "ppyoloe_plus_digits.yml",
                    worker_num=request.param,
                    TrainReader={"batch_size": 4, "sample_transforms": FLIPS},
                )
            )
        )
        trainer = Trainer(cfg, mode="train")
        trainer.loader = EpochLoader(trainer.loader)
        return trainer

    return make


def read(trainer, epoch, wait=0.0):
    """(ids, mean brightness of the left halves) of the images of an epoch, in their order."""
    EpochStart(trainer, seed=3).on_epoch_begin({"mode": "train", "epoch_id": epoch})
    time.sleep(wait)
    batches = list(trainer.loader)
    ids = [int(i) for batch in batches for i in batch["im_id"].numpy().reshape(-1)]
    return ids, np.concatenate([batch["image"].numpy()[..., :32].mean((1, 2, 3)) for batch in batches])


def test_an_epoch_does_not_depend_on_those_before(new_trainer):
    """A race once decided whether an epoch had the order of images of the one before."""
    uninterrupted, resumed = new_trainer(), new_trainer()
    epochs = [read(uninterrupted, epoch, wait) for epoch, wait in ((0, 0), (1, 0.2), (2, 0))]
    assert all(sorted(ids) == sorted(epochs[0][0]) and len(ids) == 16 for ids, _ in epochs)
    assert epochs[0][0] != epochs[1][0] != epochs[2][0] != epochs[0][0]
    ids, brightness = read(resumed, 2, wait=0.2)
    assert ids == epochs[2][0]
    np.testing.assert_array_equal(brightness, epochs[2][1])
