"""Levels that have fewer cells than ATSSAssigner takes, and batches without a box."""

import math

import paddle
import pytest

import paddle_vfl


def assign(counts, topk):
    """How many anchors of each level of a 32 x 32 image are positive for one box."""
    from ppdet.modeling.assigners import ATSSAssigner

    anchors = []
    for count in counts:
        side = int(count**0.5)
        y, x = paddle.meshgrid(*[(paddle.arange(side, dtype="float32") + 0.5) * (32 / side)] * 2)
        centers = paddle.stack([x.flatten(), y.flatten()], axis=-1)
        anchors.append(paddle.concat([centers - 64 / side, centers + 64 / side], axis=-1))
    label = ATSSAssigner(topk=topk, num_classes=3)(
        paddle.concat(anchors),
        list(counts),
        paddle.full([1, 1, 1], 2, dtype="int64"),
        paddle.to_tensor([[[1.0, 2.0, 24.0, 20.0]]]),
        paddle.ones([1, 1, 1]),
        bg_index=3,
    )[0]
    return [int((part == 2).sum()) for part in label[0].split(list(counts))]


def test_all_cells_are_taken_where_there_are_fewer():
    with pytest.raises(ValueError):
        assign((16, 4), topk=9)
    paddle_vfl.enable()
    assert sum(assign((16, 4), topk=9)) > 0


def test_nothing_changes_where_there_are_enough():
    before = assign((16, 9), topk=4)
    paddle_vfl.enable()
    assert assign((16, 9), topk=4) == before and sum(before) > 0


@pytest.mark.parametrize("name", ["ATSSAssigner", "TaskAlignedAssigner"])
def test_a_batch_without_a_box_has_as_many_values_as_others(name):
    """Four in paddledet 2.6.0, three in PaddleDetection's develop and in PaddleYOLO."""
    from ppdet.modeling import assigners

    paddle_vfl.enable()
    anchors = paddle.rand([20, 4])

    def assign(count):
        boxes = [paddle.zeros([2, count, 1], "int64"), paddle.rand([2, count, 4]), paddle.ones([2, count, 1])]
        if name == "ATSSAssigner":
            return assigners.ATSSAssigner(topk=4, num_classes=3)(anchors, [16, 4], *boxes, bg_index=3)
        scores, decoded = paddle.rand([2, 20, 3]), paddle.rand([2, 20, 4])
        return assigners.TaskAlignedAssigner()(scores, decoded, anchors[:, :2], [16, 4], *boxes, bg_index=3)

    labels, _, scores, *rest = assign(0)
    assert (labels == 3).all() and float(scores.sum()) == 0
    assert len(rest) == len(assign(1)) - 3 and all(positive.shape == [2, 0, 20] for positive in rest)


def test_without_a_box_all_anchors_of_yolof_are_negatives():
    from ppdet.modeling.assigners import UniformAssigner

    assign = UniformAssigner(pos_ignore_thr=0.15, neg_ignore_thr=0.7)
    boxes, anchors = paddle.rand([12, 4]), paddle.rand([12, 4])
    old = paddle.__version__ < "3"  # fails one step earlier there
    with pytest.raises(TypeError if old else ValueError, match="concatenate list" if old else "size of 0"):
        assign(boxes, anchors, paddle.zeros([0, 4]))
    one = [None if part is None else part.numpy() for part in assign(boxes, anchors, anchors[:1])]
    paddle_vfl.enable()
    labels, predicted, targets = assign(boxes, anchors, paddle.zeros([0, 4]))
    assert labels.tolist() == [-1] * 12 and predicted is None and targets is None
    for before, after in zip(one, assign(boxes, anchors, anchors[:1])):
        assert (before == after.numpy()).all()


@pytest.mark.parametrize("base", ["ppyoloe_plus_digits.yml", "picodet_digits.yml", "vfnet_digits.yml"])
@pytest.mark.parametrize("epoch", [0, 10], ids=["first epochs", "later epochs"])
def test_training_goes_on_at_a_batch_without_a_box(base, epoch, config):
    from ppdet.core.workspace import load_config
    from ppdet.engine import Trainer

    trainer = Trainer(load_config(str(config(base))), mode="train")
    trainer.model.train()
    data = next(iter(trainer.loader))
    for key, width in (("gt_class", 1), ("gt_bbox", 4), ("pad_gt_mask", 1)):
        data[key] = paddle.zeros([len(data["image"]), 0, width], data[key].dtype)
    data["epoch_id"] = epoch
    losses = trainer.model(data)
    losses["loss"].backward()
    assert all(math.isfinite(float(loss)) for loss in losses.values()), losses
