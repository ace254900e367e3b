"""Tensors without dimensions, as PaddleDetection concatenates them."""

import paddle
import pytest

import paddle_vfl
from paddle_vfl.ppdet_plugin.version_fixes.scalars import concat


def test_tensors_without_dimensions_are_one_element():
    height, width = paddle.shape(paddle.zeros([2, 3, 4, 5]))[2:]
    assert height.ndim == 0
    with pytest.raises(ValueError):
        paddle.concat([height, width])
    assert concat([height, width]).numpy().tolist() == [4, 5]
    assert concat((paddle.to_tensor([1]), paddle.to_tensor(2))).numpy().tolist() == [1, 2]


def test_other_tensors_are_left_to_paddle():
    rows = paddle.to_tensor([[1.0, 2.0]])
    for parts, axis in (([rows, rows], 0), ((rows, rows), 1), ([rows], paddle.to_tensor(1))):
        assert concat(parts, axis).numpy().tolist() == paddle.concat(parts, axis).numpy().tolist()
    assert concat(x=[rows, rows], axis=-1, name="joined").shape == [1, 4]
    if paddle.__version__ >= "3":
        assert concat(tensors=[rows, rows], dim=1).shape == [1, 4]
    for wrong in ([[1, 2]], rows):
        with pytest.raises((AttributeError, TypeError, ValueError)) as ours:
            concat(wrong)
        with pytest.raises((AttributeError, TypeError, ValueError)) as theirs:
            paddle.concat(wrong)
        assert str(ours.value) == str(theirs.value)


@pytest.mark.skipif(paddle.__version__ < "3", reason="Paddle 2 makes other static graphs")
def test_a_list_that_a_static_graph_fills_in_a_loop():
    def lengths(x):
        found = []
        for i in range(x.shape[0]):
            found.append(paddle.shape(x[i, :])[0])
        return concat(found)

    static = paddle.jit.to_static(lengths, full_graph=True, input_spec=[paddle.static.InputSpec([None, 4])])
    assert static(paddle.zeros([3, 4])).numpy().tolist() == [4, 4, 4]


def test_only_ppdets_modules_have_it():
    import ppdet.modeling.heads.tood_head as module

    paddle_vfl.enable()
    assert module.paddle.concat is concat and module.paddle.zeros is paddle.zeros and paddle.concat is not concat
    paddle_vfl.disable()
    assert module.paddle is paddle
