"""NumPy's aliases and Pillow's textsize."""

import numpy as np
import pytest

import paddle_vfl


def test_aliases_that_numpy_removed():
    before = {name: vars(np).get(name) for name in ("bool", "int", "float")}
    paddle_vfl.enable()
    assert all(hasattr(np, name) for name in before)
    assert np.zeros(1, np.float).dtype == np.float64  # noqa: NPY001
    paddle_vfl.disable()
    if np.lib.NumpyVersion(np.__version__) >= "1.24.0":
        assert {name: vars(np).get(name) for name in before} == before


def test_the_size_of_a_text_that_pillow_removed():
    from PIL import Image, ImageDraw

    draw = ImageDraw.Draw(Image.new("RGB", (100, 20)))
    if hasattr(draw, "textsize"):
        pytest.skip("this Pillow has it")
    paddle_vfl.enable()
    width, height = draw.textsize("dog 0.98")
    assert 20 < width < 100 and 5 < height < 20
    paddle_vfl.disable()
    assert not hasattr(draw, "textsize")
