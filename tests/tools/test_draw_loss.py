"""The figure of docs/varifocal_loss.md is drawn from the operator."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "draw_loss.py"


def test_draws(tmp_path):
    main = runpy.run_path(str(SCRIPT))["main"]
    main.__globals__["PATH"] = tmp_path / "loss.png"
    main()
    assert Image.open(tmp_path / "loss.png").size[0] > 1000
