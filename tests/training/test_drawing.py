"""Pictures show the image as the model saw it, with the boxes where they are."""

import numpy as np
import pytest
from PIL import Image

from paddle_vfl.training import drawing


def gradient(height=40, width=60):
    """An image whose pixels differ."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x, 6 * y, 255 - 2 * (x + y)], -1).clip(0, 255).astype(np.uint8)


def turned(path):
    """A JPEG that is to be turned by 90 degrees when it is shown."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(gradient()).save(path, exif=exif, quality=98)


SAVE = {
    "turned.jpg": turned,
    "colour.png": lambda path: Image.fromarray(gradient()).save(path),
    "grey.png": lambda path: Image.fromarray(gradient()[..., 0]).save(path),
    "16bit.png": lambda path: Image.fromarray(gradient()[..., 0].astype(np.uint16) * 257).save(path),
    "alpha.png": lambda path: Image.fromarray(np.dstack([gradient(), gradient()[..., 0]])).save(path),
    "palette.png": lambda path: Image.fromarray(gradient()).convert("P").save(path),
    "image.webp": lambda path: Image.fromarray(gradient()).save(path, lossless=True),
    "image.tif": lambda path: Image.fromarray(gradient()).save(path),
    "image.bmp": lambda path: Image.fromarray(gradient()).save(path),
}


@pytest.mark.parametrize("name", SAVE)
def test_an_image_is_shown_as_it_is_decoded_in_training(name, tmp_path):
    from ppdet.data.transform import Decode

    SAVE[name](tmp_path / name)
    seen = drawing.decode(tmp_path / name)
    assert (seen == Decode()({"im_file": str(tmp_path / name)})["image"]).all()
    picture = drawing.draw(seen, [], threshold=0)
    assert (np.asarray(picture) == seen).all()
    # and that is the image: upright, not white, not black
    expected = gradient() if name[0] not in "g1" else gradient()[..., :1].repeat(3, -1)
    expected = np.rot90(expected, -1) if name == "turned.jpg" else expected
    assert seen.shape == expected.shape
    assert abs(seen.astype(int) - expected).mean() < (20 if name == "palette.png" else 3)


def test_boxes_are_on_the_objects():
    """The box of the bright square runs along its edges, whatever the picture's scale."""
    image = np.zeros((90, 160, 3), np.uint8)
    image[50:80, 100:140] = 255
    for scale in (1, 2, 0.5):
        drawn = np.asarray(drawing.draw(image, [("a", 0.9, (100, 50, 40, 30))], 0.5, scale)).astype(int)
        assert drawn.shape == (90 * scale, 160 * scale, 3)
        coloured = drawn.max(-1) - drawn.min(-1) > 60
        assert coloured[round(50 * scale), round(120 * scale)]
        below_the_name = coloured[round(53 * scale) :]
        rows, columns = (np.flatnonzero(below_the_name.any(axis)) for axis in (1, 0))
        edges = np.array([rows[-1] + round(53 * scale), columns[0], columns[-1]])
        assert abs(edges - scale * np.array([80, 100, 140])).max() <= 2


def test_low_scores_are_left_out_and_rotated_boxes_are_drawn():
    image = np.zeros((100, 100, 3), np.uint8)
    assert not np.asarray(drawing.draw(image, [("a", 0.3, (10, 10, 50, 50))], 0.5)).any()
    diamond = (50, 20, 80, 50, 50, 80, 20, 50)
    drawn = np.asarray(drawing.draw(image, [("a", 0.9, diamond)], 0.5))
    assert drawn[35, 65].any() and not drawn[50, 50].any() and not drawn[75, 25].any()


@pytest.mark.parametrize("box", [(-50, -50, 500, 500), (95, 95, 50, 50), (10, 10, 0, 0), (-30, -30, 10, 10)])
@pytest.mark.parametrize("name", ["a", "car/van", "汽车", "a very long name of a class, longer than the image"])
def test_any_box_and_any_name_can_be_drawn(box, name):
    assert drawing.draw(np.zeros((100, 100, 3), np.uint8), [(name, 1.0, box)], 0.5).size == (100, 100)


def test_the_grid_keeps_the_shape_of_images(tmp_path):
    found = {}
    for index, shape in enumerate([(40, 80), (80, 40), (300, 300)]):
        path = tmp_path / f"{index}.png"
        Image.fromarray(np.full((*shape, 3), 90, np.uint8)).save(path)
        found[path] = [("a", 0.9, (10, 10, 20, 20))]
    drawing.draw_grid(found, tmp_path / "grid.png", columns=2, rows=2, side=100)
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert grid.shape == (206, 206, 3)
    assert (grid[5, 50] == 255).all() and (grid[70, 90] == 90).all()  # a wide one: white above it
    assert (grid[50, 110] == 255).all() and (grid[80, 156] == 90).all()  # a high one: white beside it
    assert (grid[-5, -5] == 255).all()
