"""The star-shaped deformable convolution of VarifocalNet (arXiv 2008.13367, section 3.2)."""

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.initializer import KaimingUniform

__all__ = ["StarConv", "star_points"]


def star_points(distances):
    """The nine points of a box: its centre point, corners and edge middles, as seen from the point that predicts it.

    Args:
        distances (Tensor): shape (N, 4, H, W), distances from a point to the left, top, right and bottom edge.

    Returns:
        tuple[Tensor, Tensor]: dy and dx of shape (N, 9, H, W), row by row from the top left, in the distances' unit.
    """
    left, top, right, bottom = distances.unbind(1)
    none = paddle.zeros_like(left)
    rows, columns = (-top, none, bottom), (-left, none, right)
    dy = paddle.stack([y for y in rows for _ in columns], axis=1)
    dx = paddle.stack([x for _ in rows for x in columns], axis=1)
    return dy, dx


class StarConv(nn.Layer):
    """A 3 x 3 deformable convolution (version 1, no bias) whose nine samples are the :func:`star_points` of a box.

    It is computed as nine bilinear samples (``grid_sample``; 0 outside of the feature map) and a matrix product, which
    is what a deformable convolution is, and faster than Paddle's on CPUs (docs/vfnet.md).

    Args:
        in_channels, out_channels (int): channels.
    """

    def __init__(self, in_channels, out_channels):
        super().__init__()
        # keeps the size of signals whatever the number of channels: a ReLU follows, and no normalization
        self.weight = self.create_parameter(
            [out_channels, in_channels, 3, 3], default_initializer=KaimingUniform(nonlinearity="relu")
        )

    def forward(self, x, distances):
        """The convolution at every cell.

        Args:
            x (Tensor): feature map, shape (N, in_channels, H, W).
            distances (Tensor): of the box of every cell, in cells, shape (N, 4, H, W), float32.

        Returns:
            Tensor: shape (N, out_channels, H, W).
        """
        samples = self.sample(x, distances)
        return F.conv2d(samples, self.weight.flatten(1).unsqueeze([2, 3]))

    def sample(self, x, distances):
        """The samples, shape (N, 9 in_channels, H, W): for each channel its nine."""
        height, width = x.shape[2:] if paddle.in_dynamic_mode() else paddle.shape(x)[2:]
        dy, dx = star_points(distances)
        y = dy + paddle.arange(height, dtype=dy.dtype).unsqueeze(-1)
        x_ = dx + paddle.arange(width, dtype=dx.dtype)
        # grid_sample has the centres of the border cells at 1 / size - 1 and 1 - 1 / size
        grid = paddle.stack([(2 * x_ + 1) / width - 1, (2 * y + 1) / height - 1], axis=-1)
        # the nine maps one below the other
        samples = F.grid_sample(x, grid.flatten(1, 2), align_corners=False)
        return samples.reshape([0, 0, 9, -1]).flatten(1, 2).reshape([0, 0, height, width])
