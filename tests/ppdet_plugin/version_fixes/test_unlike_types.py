"""Operators between tensors of unlike types: as Paddle 2 has them, wherever Paddle 3 refuses."""

import itertools
import operator

import numpy as np
import paddle
import pytest

import paddle_vfl
from paddle_vfl.ppdet_plugin.version_fixes import operators

PADDLE_3 = paddle.__version__ >= "3"
TYPES = ["bool", "int32", "int64", "float32", "float64"]
FLOATING = ("float32", "float64")
ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


def tensors(left, right):
    return paddle.to_tensor([3, 1], dtype=left), paddle.to_tensor([1, 2], dtype=right)


@pytest.mark.parametrize("left, right", [pair for pair in itertools.permutations(TYPES, 2) if set(pair) != {*FLOATING}])
def test_the_right_operand_becomes_of_the_type_of_the_left_one(left, right):
    """On Paddle 2, the operators of Python do the same."""
    x, y = tensors(left, right)
    for name in ARITHMETIC + COMPARISONS:
        if "bool" in (left, right) and name not in ("mul", "eq", "ne"):
            continue
        expected = getattr(operator, name)(x, y.astype(left))
        result = getattr(operators, name)(x, y)
        assert result.dtype == expected.dtype and np.array_equal(result.numpy(), expected.numpy()), name
        if PADDLE_3:
            with pytest.raises(TypeError, match="Type promotion only support"):
                getattr(operator, name)(x, y)
        else:
            assert np.array_equal(getattr(operator, name)(x, y).numpy(), expected.numpy()), name


@pytest.mark.parametrize("left, right", [*itertools.permutations(FLOATING, 2), *((kind, kind) for kind in TYPES[1:])])
def test_what_paddle_computes_itself_it_does(left, right):
    x, y = tensors(left, right)
    for name in ARITHMETIC + COMPARISONS:
        expected = getattr(operator, name)(x, y)
        result = getattr(operators, name)(x, y)
        assert result.dtype == expected.dtype and np.array_equal(result.numpy(), expected.numpy()), name


@pytest.mark.skipif(not PADDLE_3, reason="Paddle 2 has other rules for tensors without dimensions")
def test_tensors_without_dimensions_and_numbers_are_left_to_paddle():
    whole, half = paddle.to_tensor([3, 1]), paddle.to_tensor(0.5)
    assert operators.mul(whole, half).numpy().tolist() == operator.mul(whole, half).numpy().tolist() == [1.5, 0.5]
    assert operators.mul(half, whole).dtype == operator.mul(half, whole).dtype == paddle.float32
    assert operators.mul(whole, 0.5).dtype == operator.mul(whole, 0.5).dtype
    assert operators.add(1, 2) == 3 and operators.add([1], [2]) == [1, 2] and operators.eq(whole, None) is False


def test_bits_of_masks():
    mask, number = paddle.to_tensor([True, False]), paddle.to_tensor([2.0, 0.0])
    assert operators.and_(mask, number).numpy().tolist() == [True, False]
    assert operators.or_(mask, paddle.to_tensor([0, 1])).numpy().tolist() == [True, True]


@pytest.mark.skipif(not PADDLE_3, reason="needed on Paddle 3")
def test_the_labels_masks_and_indices_of_ppdet():
    """Functions of PaddleDetection in which unlike types meet, alone; whole models are in test_families.py."""
    from ppdet.modeling.losses.gfocal_loss import quality_focal_loss
    from ppdet.modeling.losses.ssd_loss import SSDLoss
    from ppdet.modeling.transformers.deformable_transformer import MSDeformableAttention

    def int32_and_int64():
        conf_loss, labels = paddle.rand([2, 6, 1]), paddle.to_tensor([[[3], [0], [1], [3], [3], [3]]] * 2)
        return SSDLoss()._mine_hard_example(conf_loss.squeeze(-1), labels.squeeze(-1), 3)

    def float_and_bool():
        label = paddle.to_tensor([1, 2]), paddle.to_tensor([0.5, 0.0])
        return quality_focal_loss(paddle.rand([2, 2]), label)

    def float_and_integer():
        shapes = paddle.to_tensor([[2, 2]])
        attention = MSDeformableAttention(8, 2, 1, 1)
        return attention(
            paddle.rand([1, 3, 8]), paddle.rand([1, 3, 1, 2]), paddle.rand([1, 4, 8]), shapes, paddle.to_tensor([0])
        )

    import ppdet

    for use in (int32_and_int64, float_and_bool, float_and_integer):
        if getattr(ppdet, "__version__", "develop") == "2.6.0":
            with pytest.raises(TypeError, match="Type promotion only support"):
                use()
        paddle_vfl.enable()
        assert use().shape
        paddle_vfl.disable()


@pytest.mark.skipif(not PADDLE_3, reason="needed on Paddle 3")
def test_paddle_itself_is_not_changed():
    paddle_vfl.enable()
    x, y = tensors("int32", "int64")
    with pytest.raises(TypeError, match="Type promotion only support"):
        x + y
    with pytest.raises(ValueError):
        paddle.concat([paddle.to_tensor(1), paddle.to_tensor(2)])
