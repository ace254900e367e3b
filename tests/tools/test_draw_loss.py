"""The figures of docs/reference.md are drawn from the operator."""

import pytest

pytest.importorskip("matplotlib")
from PIL import Image


def test_draws(load_tool, tmp_path, monkeypatch):
    draw_loss = load_tool("draw_loss")
    monkeypatch.setattr(draw_loss, "DOCS", tmp_path)
    draw_loss.main()
    for name in ("loss.png", "losses.png"):
        assert Image.open(tmp_path / name).size[0] > 1000
