"""Batches in which nothing is to be found."""

import numpy as np
import paddle
import pytest

import paddle_vfl


@pytest.mark.parametrize("epoch", [0, 200], ids=["first epochs", "later epochs"])
def test_picodet_learns_from_boxes_between_the_cells(epoch, config, clean_ppdet):
    """No box holds the centre of a cell: there is no positive, and the negatives' loss is divided by 1."""
    from ppdet.core.workspace import load_config
    from ppdet.engine import Trainer

    trainer = Trainer(load_config(str(config("picodet_digits.yml"))), mode="train")
    trainer.model.train()
    data = next(iter(trainer.loader))
    data["gt_bbox"] = paddle.ones_like(data["gt_bbox"]) + paddle.to_tensor([0.0, 0.0, 0.5, 0.5])
    data["epoch_id"] = epoch
    losses = trainer.model(data)
    losses["loss"].backward()
    assert float(losses["loss_vfl"]) > 0 and float(losses["loss_bbox"]) == float(losses["loss_dfl"]) == 0
    gradients = [p.grad.numpy() for p in trainer.model.parameters() if p.grad is not None]
    assert gradients and all(np.isfinite(gradient).all() for gradient in gradients)


def test_it_is_undone():
    from ppdet.modeling.heads import PicoHeadV2

    before = PicoHeadV2.get_loss
    paddle_vfl.enable()
    assert PicoHeadV2.get_loss is not before
    paddle_vfl.disable()
    assert PicoHeadV2.get_loss is before
