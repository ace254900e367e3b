"""What is said of broken data sets, before training."""

import json

import pytest
from PIL import Image

from paddle_vfl.datasets.coco_check import check_annotations
from paddle_vfl.errors import UserError

GOOD = {
    "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],
    "categories": [{"id": 5, "name": "thing"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 1, 3, 3], "area": 9, "iscrowd": 0}],
}


@pytest.fixture
def check(tmp_path):
    """A function that writes annotations, beside one image, and checks them. Its ``image`` is that one."""
    Image.effect_noise((8, 8), 50).save(tmp_path / "a.png")

    def run(content, **options):
        path = tmp_path / "a.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        check_annotations(path, tmp_path, 1, **options)

    run.image = tmp_path / "a.png"
    return run


def test_a_good_one_passes(check):
    check(GOOD)
    check({**GOOD, "annotations": []}, training=False)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "a.json is not JSON: Expecting value"),
        (json.dumps(GOOD).encode()[:90], "a.json is not JSON: "),
        (b"\x80\x81", "a.json is not JSON: 'utf-8' codec can't decode"),
        (b"[]", "is not in COCO format: it has no list of images"),
        ({**GOOD, "categories": {}}, "is not in COCO format: it has no list of categories"),
        ({**GOOD, "annotations": [1]}, "is not in COCO format: it has no list of annotations"),
        ({**GOOD, "images": []}, "has no images"),
        ({**GOOD, "annotations": []}, "has no box with an area: there is nothing to train on"),
        ({**GOOD, "annotations": [{**GOOD["annotations"][0], "bbox": [1, 1, 0, 3]}]}, "has no box with an area"),
        (
            {**GOOD, "annotations": [{**GOOD["annotations"][0], "category_id": 7}]},
            "has annotations of category 7, which is not among its categories",
        ),
        ({**GOOD, "categories": [{"id": 5}, {"id": 6}]}, "has 2 categories, but num_classes is 1"),
        ({**GOOD, "images": [{**GOOD["images"][0], "file_name": "b.png"}]}, "none of its images is in "),
    ],
)
def test_what_is_wrong_is_said(check, content, message):
    with pytest.raises(UserError) as error:
        check(content)
    assert message in str(error.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(UserError, match="gone.json: No such file"):
        check_annotations(tmp_path / "gone.json", tmp_path, 1)


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: b"no image", lambda data: b""],
    ids=["cut", "text", "empty"],
)
def test_a_damaged_image_is_named(check, damage):
    check.image.write_bytes(damage(check.image.read_bytes()))
    with pytest.raises(UserError, match=r"image .*a\.png cannot be read: ."):
        check(GOOD)
