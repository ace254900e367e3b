"""Draw where the star of VFNet samples, from its own points: ``python tools/draw_star.py`` writes docs/star.png."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot
from matplotlib.patches import Rectangle

import paddle_vfl  # noqa: F401, before paddle

import paddle
from paddle_vfl.vfnet.star import star_points

PATH = Path(__file__).resolve().parents[1] / "docs" / "star.png"
SIZE = 10  # cells of the feature map
# title, the cell that predicts (x, y), its distances to the left, top, right and bottom, in cells
BOXES = [
    ("symmetric about its cell", (4, 5), (3.0, 2.0, 3.0, 2.0)),
    ("off the middle", (6, 3), (4.6, 1.4, 1.8, 4.2)),
    ("beyond the border: 0 is sampled there", (7, 2), (2.5, 3.6, 3.4, 3.2)),
]


def points(cell, distances):
    """(x, y) of the nine points on the feature map, shape (9, 2)."""
    dy, dx = star_points(paddle.to_tensor(distances).reshape([1, 4, 1, 1]))
    return np.stack([dx.numpy().ravel() + cell[0], dy.numpy().ravel() + cell[1]], axis=-1)


def main():
    figure, axes = pyplot.subplots(1, len(BOXES), figsize=(13.5, 4.8), layout="constrained")
    grid = [(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    for axis, (title, cell, distances) in zip(axes, BOXES):
        star = points(cell, distances)
        left, top, right, bottom = distances
        corner = (cell[0] - left, cell[1] - top)
        axis.add_patch(Rectangle((-0.5, -0.5), SIZE, SIZE, facecolor="#f4f4f4", edgecolor="gray", zorder=0))
        axis.add_patch(Rectangle(corner, left + right, top + bottom, fill=False, edgecolor="C0", linewidth=2, zorder=1))
        ordinary = np.add(grid, cell)
        for start, end in zip(ordinary, star):
            axis.plot(*zip(start, end), color="gray", linewidth=0.8, zorder=1)
        axis.scatter(*ordinary.T, s=28, facecolor="white", edgecolor="gray", zorder=2, label="ordinary 3 x 3 grid")
        axis.scatter(*star.T, s=55, color="C3", zorder=3, label="the star")
        axis.set_xticks(np.arange(-0.5, SIZE), labels=[])
        axis.set_yticks(np.arange(-0.5, SIZE), labels=[])
        axis.tick_params(length=0)
        axis.grid(color="white", linewidth=1.5)
        axis.set_axisbelow(True)
        axis.set(title=title, xlim=(-1, SIZE + 1.2), ylim=(SIZE, -2.2), aspect="equal", frame_on=False)
    axes[0].legend(loc="lower left", fontsize="small")
    figure.savefig(PATH, dpi=100)
    print(PATH)


if __name__ == "__main__":
    main()
