"""The star convolution is a deformable convolution at the points of a box."""

import numpy as np
import paddle
import pytest
from paddle.vision.ops import deform_conv2d

from paddle_vfl.vfnet.star import StarConv, star_points


def test_the_nine_points_of_a_box():
    distances = paddle.to_tensor([1.0, 2.0, 3.0, 4.0]).reshape([1, 4, 1, 1])  # left, top, right, bottom
    dy, dx = (points.flatten().tolist() for points in star_points(distances))
    assert dy == [-2, -2, -2, 0, 0, 0, 4, 4, 4] and dx == [-1, 0, 3] * 3


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (2, 1)])
@pytest.mark.parametrize("reach", [1.0, 20.0], ids=["inside", "beyond the border"])
def test_equals_paddles_deformable_convolution(size, reach):
    paddle.seed(0)
    conv = StarConv(4, 6)
    x = paddle.randn([2, 4, *size])
    distances = paddle.rand([2, 4, *size]) * reach
    x.stop_gradient = distances.stop_gradient = False
    dy, dx = star_points(distances)
    grid = paddle.arange(-1, 2, dtype="float32")
    y, x_ = (points.reshape([1, 9, 1, 1]) for points in paddle.meshgrid(grid, grid))
    offsets = paddle.stack([dy - y, dx - x_], axis=2).flatten(1, 2)
    results = []
    for out in (conv(x, distances), deform_conv2d(x, offsets, conv.weight, padding=1)):
        results.append([out, *paddle.grad((out * out).sum(), [x, distances, conv.weight])])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(
            ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5 * float(theirs.abs().max()) + 1e-7
        )


def test_a_box_of_one_cell_around_its_point_is_an_ordinary_convolution():
    paddle.seed(0)
    conv, x = StarConv(4, 6), paddle.randn([2, 4, 5, 7])
    expected = paddle.nn.functional.conv2d(x, conv.weight, padding=1)
    np.testing.assert_allclose(conv(x, paddle.ones([2, 4, 5, 7])).numpy(), expected.numpy(), atol=1e-5)


def test_signals_keep_their_size():
    """Behind the ReLU, before training, whatever the number of channels."""
    for channels in (32, 256):
        x, conv = paddle.randn([1, channels, 16, 16]), StarConv(channels, channels)
        inside = paddle.nn.functional.relu(conv(x, paddle.ones([1, 4, 16, 16])))[:, :, 1:-1, 1:-1]
        assert 0.8 < float((inside * inside).mean()) < 1.2
