"""Levels that have fewer cells than ATSSAssigner takes."""

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
