"""The figure of docs/varifocal_loss.md is drawn from the operator."""

import pytest

pytest.importorskip("matplotlib")
from PIL import Image


def test_draws(load_tool, tmp_path, monkeypatch):
    draw_loss = load_tool("draw_loss")
    monkeypatch.setattr(draw_loss, "PATH", tmp_path / "loss.png")
    draw_loss.main()
    assert Image.open(tmp_path / "loss.png").size[0] > 1000
