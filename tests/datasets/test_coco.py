"""What is said of COCO annotations, before training."""

import copy
import json
import sys

import pytest
from pycocotools.coco import COCO

from paddle_vfl.datasets.coco import read_categories, read_coco, write_completed
from paddle_vfl.errors import UserError

GOOD = {
    "images": [{"id": i, "file_name": f"{i}.png", "width": 80, "height": 60} for i in (3, 1, 2)],
    "categories": [{"id": 5, "name": "cat"}, {"id": 4, "name": "dog"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 5, "bbox": [1, 2, 30, 40], "area": 1200, "iscrowd": 0},
        {"id": 2, "image_id": 3, "category_id": 4, "bbox": [0.5, 0, 20, 10.5], "area": 150.5, "iscrowd": 0},
        {"id": 3, "image_id": 3, "category_id": 4, "bbox": [9, 9, 9, 9], "area": 81, "iscrowd": 1},
    ],
}


@pytest.fixture
def read(tmp_path):
    """A function that writes annotations, a dict or bytes, and reads them."""

    def run(content, **options):
        path = tmp_path / "a.json"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_coco(path, **options)

    return run


def changed(part, index, **fields):
    """GOOD with other fields in one record; a field that is ``...`` is taken out."""
    content = copy.deepcopy(GOOD)
    record = {**content[part][index], **fields}
    content[part][index] = {name: value for name, value in record.items() if value is not ...}
    return content


def test_a_good_file(read):
    found = read(GOOD)
    assert found.complete and not found.doubts
    assert (found.class_names, found.files) == (["cat", "dog"], ["3.png", "1.png", "2.png"])
    assert found.sizes.tolist() == [[80, 60]] * 3
    assert found.corners().tolist() == [[1, 2, 31, 42], [0.5, 0, 20.5, 10.5], [9, 9, 18, 18]]
    assert (found.box_image.tolist(), found.box_class.tolist()) == ([1, 0, 0], [0, 1, 1])
    assert found.trained_on.tolist() == [True, True, False] and found.empty.tolist() == [False, False, True]
    assert found.box_place(1) == "annotations[1] (id 2)"
    assert read(GOOD, load_crowd=True).trained_on.all()
    assert read({**GOOD, "annotations": []}).empty.all()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is not JSON: Expecting value: line 1 column 1"),
        (json.dumps(GOOD).encode()[:90], "is not JSON: "),
        (b"\x80\x81", "is not UTF-8 text: 'utf-8' codec can't decode byte 0x80"),
        (json.dumps(GOOD).encode("utf-16"), "is not UTF-8 text"),
        (json.dumps(GOOD).encode()[:-1] + b', "info": "\xb1\xb3"}', "is not UTF-8 text"),  # where no schema looks
        (b"[" * 100_000, "is not in COCO format: lists within lists without end"),
        (b"[]", "is not in COCO format: it has no list of images"),
        ({**GOOD, "categories": {}}, "is not in COCO format: it has no list of categories"),
        ({**GOOD, "annotations": [1]}, "annotations[0]: it is 1, expected an object"),
        ({"images": GOOD["images"], "categories": GOOD["categories"]}, "it has no list of annotations"),
        ({**GOOD, "images": []}, "has no images"),
        ({**GOOD, "categories": []}, "has no categories"),
        (changed("images", 0, width=...), "images[0] (id 3): has no width"),
        (changed("images", 1, width="80"), 'images[1] (id 1): width is "80", expected a number'),
        (changed("images", 1, height=0), "images[1] (id 1): width and height are 80 and 0, expected pixels"),
        (changed("images", 1, width=-1), "images[1] (id 1): width and height are -1 and 60, expected pixels"),
        (changed("images", 2, file_name=...), "images[2] (id 2): has no file_name"),
        (changed("images", 2, file_name=None), "images[2] (id 2): file_name is null, expected text"),
        (
            changed("images", 2, file_name="\ud800"),
            "images[2] (id 2): its text has half a character (a lone surrogate)",
        ),
        (changed("images", 1, id=3), "images[1] has id 3 like images[0]: of equal ids the last is taken"),
        (changed("images", 1, id="1"), 'images[1]: id is "1", expected a number'),
        (changed("images", 1, id=True), "images[1]: id is true, expected a number"),
        (changed("images", 1, id=1.5), "images[1] (id 1.5): id is 1.5, expected a whole number"),
        (changed("images", 1, id=2**64), f"images[1] (id {2**64}): id is {2**64}, expected a whole number of at most"),
        (changed("categories", 1, id=5), "categories[1] has id 5 like categories[0]"),
        (changed("categories", 1, name=...), "categories[1] (id 4): has no name"),
        (changed("annotations", 0, id=...), "annotations[0]: has no id"),
        (changed("annotations", 2, id=1), "annotations[2] has id 1 like annotations[0]"),
        (changed("annotations", 0, image_id="1"), 'annotations[0] (id 1): image_id is "1", expected a number'),
        (changed("annotations", 0, category_id=7), "category_id is 7, and no category has that id"),
        (changed("annotations", 0, category_id=None), "annotations[0] (id 1): category_id is null, expected a number"),
        (changed("annotations", 1, bbox=...), "annotations[1] (id 2): has no bbox"),
        (changed("annotations", 1, bbox=None), "annotations[1] (id 2): bbox is null, expected a list"),
        (changed("annotations", 1, bbox=[1, 2, 3]), "bbox is [1, 2, 3], expected four numbers"),
        (changed("annotations", 1, bbox=[1, 2, 3, 4, 5]), "bbox is [1, 2, 3, 4, 5], expected four numbers"),
        (changed("annotations", 1, bbox=[1, 2, "3", 4]), 'annotations[1] (id 2): bbox[2] is "3", expected a number'),
        (changed("annotations", 1, bbox=[1, 2, float("nan"), 4]), "bbox is [1.0, 2.0, nan, 4.0], expected pixels"),
        (changed("images", 0, width=float("nan")), "width and height are nan and 60, expected pixels"),
        (changed("images", 0, id=float("nan")), "id is nan, expected a whole number"),
        (changed("images", 0, file_name=float("nan")), "images[0] (id 3): file_name is NaN, expected text"),
        (changed("annotations", 1, area=float("nan")), "annotations[1] (id 2): area is nan, expected square pixels"),
        (changed("annotations", 1, bbox=[1, 2, 1e300, 4]), "bbox is [1.0, 2.0, 1e+300, 4.0], expected pixels"),
        (changed("annotations", 1, area="81"), 'annotations[1] (id 2): area is "81", expected a number'),
        (changed("annotations", 1, area=1e300), "annotations[1] (id 2): area is 1e+300, expected square pixels"),
        (changed("annotations", 1, iscrowd="0"), 'annotations[1] (id 2): iscrowd is "0", expected 0 or 1'),
        (changed("annotations", 1, iscrowd=2), "annotations[1] (id 2): iscrowd is 2, expected 0 or 1"),
        (changed("annotations", 1, track_id="7"), 'annotations[1] (id 2): track_id is "7", expected a number'),
        (changed("annotations", 1, track_id=2**31), "track_id is 2147483648, expected a whole number of at most 31"),
        (
            {**GOOD, "annotations": [{**a, "image_id": str(a["image_id"])} for a in GOOD["annotations"]]},
            'annotations[0] (id 1): image_id is "1", expected a number (and 2 more)',
        ),
        ({**GOOD, "images": [{**image, "id": 1} for image in GOOD["images"]]}, "like images[0] (and 1 more)"),
    ],
)
def test_what_is_wrong_is_said(read, tmp_path, content, message):
    with pytest.raises(UserError) as error:
        read(content)
    assert message in str(error.value) and str(error.value).startswith(str(tmp_path / "a.json"))
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(UserError, match="gone.json: No such file"):
        read_coco(tmp_path / "gone.json")
    with pytest.raises(UserError, match="Is a directory"):
        read_coco(tmp_path)


@pytest.mark.parametrize(
    "content, doubt",
    [
        (changed("images", 1, file_name="3.png"), "images[1] (id 1) is '3.png' like images[0]"),
        (changed("categories", 1, name="cat"), "categories[1] (id 4) is 'cat' like categories[0]"),
        (changed("annotations", 0, image_id=9), "annotations[0] (id 1): image_id is 9, and no image has that id"),
        (changed("annotations", 0, area=0), "annotations[0] (id 1): area is 0, and that of the bbox is not"),
    ],
)
def test_what_may_be_wrong_is_noted(read, content, doubt):
    (found,) = read(content).doubts
    assert found.startswith(doubt)


@pytest.mark.parametrize(
    "content, area",
    [
        (changed("annotations", 1, iscrowd=...), 150.5),
        (changed("annotations", 1, iscrowd=None), 150.5),
        (changed("annotations", 1, track_id=None), 150.5),
        (changed("annotations", 1, area=...), 20 * 10.5),
        (changed("annotations", 1, area=0), 20 * 10.5),
        (changed("annotations", 1, area=-5), 20 * 10.5),
        (b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), 150.5),
    ],
    ids=["no iscrowd", "iscrowd null", "track_id null", "no area", "area 0", "area negative", "byte order mark"],
)
def test_what_is_missing_is_filled_in(read, tmp_path, content, area):
    found = read(content)
    assert not found.complete and found.trained_on.tolist() == [True, True, False]
    before = (tmp_path / "a.json").read_bytes()
    write_completed(found.path, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == before
    assert json.loads((tmp_path / "b.json").read_text()) == changed("annotations", 1, area=area)
    assert read_coco(tmp_path / "b.json").complete


def test_a_segmentation_without_points_costs_no_box(read, tmp_path):
    """PaddleDetection takes such a box out of the list that it goes through, and misses the next."""
    found = read(changed("annotations", 1, segmentation=[[]]))
    assert not found.complete
    write_completed(found.path, tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text()) == changed("annotations", 1, segmentation=[])


def test_id_0_is_renumbered_for_the_evaluator_alone(read, tmp_path):
    content = changed("annotations", 1, id=0)
    assert read(content).complete
    found = read(content, for_evaluator=True)
    assert found.doubts == ["annotations[1] (id 0): the COCO evaluator takes id 0 for no annotation: renumbered"]
    write_completed(found.path, tmp_path / "b.json", for_evaluator=True)
    assert sorted(COCO(str(tmp_path / "b.json")).anns) == [1, 3, 4]


@pytest.mark.parametrize("part, fields", [("annotations", ["id", "image_id", "category_id"]), ("categories", ["id"])])
def test_whole_numbers_may_be_written_with_a_point(read, part, fields, tmp_path):
    """pycocotools finds no category of id 5.0."""
    found = read(changed(part, 0, **{field: float(GOOD[part][0][field]) for field in fields}))
    assert found.box_image.tolist() == [1, 0, 0] and not found.complete
    write_completed(found.path, tmp_path / "b.json")
    assert (tmp_path / "b.json").read_text() == json.dumps(GOOD)


def test_categories_alone(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"categories": GOOD["categories"], "images": 3}))
    assert read_categories(tmp_path / "a.json") == [(5, "cat"), (4, "dog")]
    (tmp_path / "a.json").write_text('{"categories": []}')
    with pytest.raises(UserError, match="a.json has no categories"):
        read_categories(tmp_path / "a.json")


@pytest.mark.skipif(not hasattr(sys, "get_int_max_str_digits"), reason="this Python reads numbers of any length")
def test_a_number_that_python_does_not_read(read):
    """Where no field is looked for: PaddleDetection's reader ends at it."""
    content = json.dumps({"info": 1, **GOOD}).encode().replace(b"1", b"9" * 5000, 1)
    with pytest.raises(UserError, match="is not JSON: Exceeds the limit"):
        read(content)


def test_a_file_without_annotations_is_whole(read):
    assert read({**GOOD, "annotations": []}).complete
