"""Batches in which nothing is to be found."""

import importlib

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


def fcos_losses(labels, quality, iou_loss_type="giou"):
    """(losses of FCOSLoss, gradient of their sum) for two levels of logits, distances and centerness that are all 1,
    and labels."""
    FCOSLoss = getattr(importlib.import_module("ppdet.modeling.losses"), "FCOSLoss", None)
    if FCOSLoss is None:
        pytest.skip("this PaddleDetection has no FCOSLoss")
    predictions = [[paddle.ones([1, count, side, side]) for side in (4, 2)] for count in (3, 4, 1)]
    for tensor in sum(predictions, []):
        tensor.stop_gradient = False
    tags = [paddle.full([1, side, side, 1], labels, "int32") for side in (4, 2)]
    boxes, center = ([paddle.full([1, side, side, count], 0.5) for side in (4, 2)] for count in (4, 1))
    losses = FCOSLoss(quality=quality, iou_loss_type=iou_loss_type)(*predictions, tags, boxes, center)
    gradients = paddle.grad(sum(losses.values()), sum(predictions, []))
    return {name: float(loss) for name, loss in losses.items()}, [gradient.numpy() for gradient in gradients]


@pytest.mark.parametrize("quality", ["centerness", "iou"])
@pytest.mark.parametrize("iou_loss_type", ["giou", "linear_iou"])  # "iou" is NaN always
def test_fcos_learns_from_a_batch_of_background(quality, iou_loss_type):
    assert not np.isfinite(list(fcos_losses(0, quality, iou_loss_type)[0].values())).all()
    paddle_vfl.enable()
    losses, gradients = fcos_losses(0, quality, iou_loss_type)
    logits = np.ones([20, 3])  # each is a negative
    p = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(losses["loss_cls"], (0.75 * p**2 * -np.log(1 - p)).sum(), rtol=1e-5)
    assert losses["loss_box"] == losses["loss_quality"] == 0
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert all(gradient.any() for gradient in gradients[:2]) and not any(gradient.any() for gradient in gradients[2:])


def test_fcos_has_the_same_losses_where_there_are_positives():
    before, gradients = fcos_losses(2, "centerness")
    paddle_vfl.enable()
    after, new = fcos_losses(2, "centerness")
    assert before == after and all((a == b).all() for a, b in zip(gradients, new))


def test_fcos_makes_targets_of_an_image_without_a_box():
    from ppdet.data.transform.batch_operators import Gt2FCOSTarget

    operator = Gt2FCOSTarget([64, 128], 1.5, downsample_ratios=[8, 16, 32], norm_reg_targets=True)

    def targets(*boxes):
        image = np.zeros((3, 64, 64), np.float32)
        samples = [{"image": image, "gt_bbox": box, "gt_class": np.full([len(box), 1], 4)} for box in boxes]
        return operator(samples)

    box, no_box = np.float32([[10, 10, 50, 40]]), np.zeros((0, 4), np.float32)
    (alone,) = targets(box)
    with pytest.raises(ValueError, match="zero-size array"):
        targets(box, no_box)
    paddle_vfl.enable()
    found, background = targets(box, no_box)
    assert set(found) == set(background) == set(alone) and "gt_bbox" not in alone
    assert all((found[key] == alone[key]).all() for key in alone) and (found["labels0"] == 5).any()
    for level in range(3):
        assert not background[f"labels{level}"].any() and not background[f"centerness{level}"].any()
        assert background[f"reg_target{level}"].shape == found[f"reg_target{level}"].shape


def test_it_is_undone():
    from ppdet.modeling.heads import PicoHeadV2

    before = PicoHeadV2.get_loss
    paddle_vfl.enable()
    assert PicoHeadV2.get_loss is not before
    paddle_vfl.disable()
    assert PicoHeadV2.get_loss is before
