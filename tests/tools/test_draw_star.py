"""The figure of docs/vfnet.md is drawn from the layer's own points."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from PIL import Image


def test_draws(load_tool, tmp_path, monkeypatch):
    draw_star = load_tool("draw_star")
    monkeypatch.setattr(draw_star, "PATH", tmp_path / "star.png")
    draw_star.main()
    assert Image.open(tmp_path / "star.png").size[0] > 1000


def test_points_lie_on_the_box(load_tool):
    found = load_tool("draw_star").points((6, 3), (4.0, 1.0, 2.0, 5.0))
    np.testing.assert_allclose(found, [(x, y) for y in (2, 3, 8) for x in (2, 6, 8)])
