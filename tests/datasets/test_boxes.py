"""Units and layouts of boxes."""

import numpy as np
import pytest

from paddle_vfl.datasets.annotations import CENTRE, CORNERS, SIZE, Annotations
from paddle_vfl.datasets.boxes import check_boxes
from paddle_vfl.errors import UserError

IMAGE = np.array([640.0, 480.0])


def annotations(boxes, layout=SIZE):
    """Of one image."""
    some = np.ones(len(boxes), bool)
    return Annotations(
        path="a.json",
        class_names=["thing"],
        files=["a.png"],
        sizes=IMAGE[None],
        boxes=np.asarray(boxes, float).reshape(-1, 4),
        layout=layout,
        box_image=np.zeros(len(boxes), int),
        box_class=np.zeros(len(boxes), int),
        box_place=lambda i: f"annotations[{i}]",
        has_area=some,
        trained_on=some,
        empty=np.array([False]),
        doubts=[],
    )


def check(boxes, layout=SIZE):
    return check_boxes(annotations(boxes, layout), IMAGE[None])


@pytest.fixture
def boxes(rng):
    """200 boxes all over the image, x1, y1, x2, y2."""
    size = rng.uniform(0.02, 0.4, (200, 2)) * IMAGE
    low = rng.uniform(0, 1, (200, 2)) * (IMAGE - size)
    return np.concatenate([low, low + size], 1)


def as_size(boxes):
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)


def as_centre(boxes):
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)


def test_good_boxes(boxes):
    assert check(as_size(boxes)) == check(boxes, CORNERS) == check([]) == []
    assert check([[0, 0, 640, 480], [-1, -1, 643, 483]]) == [], "a pixel or so is no matter"


@pytest.mark.parametrize("layout, convert", [(SIZE, as_size), (CORNERS, lambda boxes: boxes), (SIZE, as_centre)])
def test_fractions_are_recognised(boxes, layout, convert):
    boxes = convert(boxes / np.tile(IMAGE, 2))
    with pytest.raises(UserError, match="a.json: 200 of 200 boxes are smaller than a pixel: .* fractions of the image"):
        check(boxes, layout)


def test_some_fractions_are_doubted(boxes):
    boxes = as_size(boxes)
    boxes[7] = [0.1, 0.2, 0.3, 0.4]
    (doubt,) = check(boxes)
    assert doubt.startswith("1 of 200 boxes are smaller than a pixel: annotations[7] is [0.1, 0.2, 0.3, 0.4] in an ")


@pytest.mark.parametrize(
    "layout, written, convert",
    [
        (SIZE, CORNERS, lambda boxes: boxes),
        (SIZE, CENTRE, as_centre),
        (CORNERS, SIZE, as_size),
        (CORNERS, CENTRE, as_centre),
    ],
)
def test_another_layout_is_recognised(boxes, layout, written, convert):
    with pytest.raises(UserError, match=f"a.json: .* of 200 boxes leave .*; expected {layout}, are they {written}?"):
        check(convert(boxes), layout)


def test_boxes_of_larger_images_are_refused(boxes):
    with pytest.raises(UserError, match="boxes leave their image .*; expected x, y, width, height in pixels of that"):
        check(3 * as_size(boxes))


def test_boxes_of_smaller_images_are_doubted(boxes):
    (doubt,) = check(as_size(boxes) / 3)
    assert "upper left quarter" in doubt


def test_single_boxes_without_area_or_outside_are_doubted(boxes):
    boxes = as_size(boxes)
    boxes[3, 2:], boxes[4, 3], boxes[5] = 0, -3, [600, 400, 100, 100]
    assert check(boxes) == [
        f"2 of 200 boxes have no area: annotations[3] is [{boxes[3, 0]:g}, {boxes[3, 1]:g}, 0, 0] in an image of 640 x "
        "480 pixels; they are left out",
        "1 of 200 boxes leave their image: annotations[5] is [600, 400, 100, 100] in an image of 640 x 480 pixels",
    ]


def test_boxes_of_no_image_are_left_out(boxes):
    found = annotations(as_size(boxes) * 100)
    found.box_image[:] = -1
    assert check_boxes(found, IMAGE[None]) == []
