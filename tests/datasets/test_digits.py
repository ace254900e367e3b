"""The digits data set."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from paddle_vfl.datasets import digits, write_digits

SMALL = dict(train_images=6, val_images=3, image_size=96, progress=False)


def digest(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_is_a_coco_detection_set(tmp_path):
    write_digits(tmp_path / "digits", **SMALL)
    for split, count in (("train", 6), ("val", 3)):
        coco = COCO(str(tmp_path / "digits" / "annotations" / f"{split}.json"))
        assert len(coco.imgs) == count
        assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list("0123456789")
        for image in coco.loadImgs(coco.getImgIds()):
            pixels = np.asarray(Image.open(tmp_path / "digits" / split / image["file_name"]))
            assert pixels.shape == (image["height"], image["width"], 3) == (96, 96, 3)
            boxes = [a["bbox"] for a in coco.imgToAnns[image["id"]]]
            assert len(boxes) >= 2
            for x, y, w, h in boxes:
                assert x >= 0 and y >= 0 and w >= 1 and h >= 1 and x + w <= 96 and y + h <= 96


def test_boxes_are_tight_and_apart():
    """Ink, darker than the paper, touches every side of every box."""
    canvas, boxes = digits._compose(digits._split_glyphs(0)["train"], 128, np.random.default_rng(3))
    assert len({(w, h) for _, (_, _, w, h) in boxes}) > 1, "sizes differ"
    for i, (_, (x, y, w, h)) in enumerate(boxes):
        for _, (x2, y2, w2, h2) in boxes[:i]:
            assert x >= x2 + w2 or x2 >= x + w or y >= y2 + h2 or y2 >= y + h
        ink = canvas[y : y + h, x : x + w].astype(float).min(axis=2)
        paper = np.median(canvas.astype(float).min(axis=2))
        for edge in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
            assert edge.min() < paper - 15, "every side of the box touches ink"


def test_no_digit_is_in_both_splits():
    glyphs = digits._split_glyphs(0)
    train, val = ({ink.tobytes() for _, ink in glyphs[split]} for split in ("train", "val"))
    assert len(glyphs["train"]) + len(glyphs["val"]) == 1797
    assert not train & val


def test_the_seed_decides(tmp_path):
    a, b, c = (write_digits(tmp_path / name, seed=seed, **SMALL) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert digest(a) == digest(b)
    assert digest(a) != digest(c)


def test_an_equal_set_is_left_alone_and_another_replaced(tmp_path):
    folder = write_digits(tmp_path / "digits", **SMALL)
    before = (folder / "annotations" / "train.json").stat().st_mtime_ns
    write_digits(folder, **SMALL)
    assert (folder / "annotations" / "train.json").stat().st_mtime_ns == before
    write_digits(folder, **{**SMALL, "train_images": 2})
    assert len(list((folder / "train").iterdir())) == 2


def test_an_unfinished_set_is_written_again(tmp_path):
    folder = write_digits(tmp_path / "digits", **SMALL)
    expected = digest(folder)
    (folder / digits.MARKER).write_text("{}")
    (folder / "annotations" / "val.json").unlink()
    assert digest(write_digits(folder, **SMALL)) == expected


def test_foreign_folders_are_refused(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="not written by 'paddle-vfl digits'"):
        write_digits(tmp_path, **SMALL)
    with pytest.raises(NotADirectoryError, match="is a file"):
        write_digits(tmp_path / "precious.txt", **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize("name, value", [("train_images", 0), ("val_images", -1), ("image_size", 10)])
def test_bad_numbers_are_named(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}, expected at least"):
        write_digits(tmp_path / "digits", **{**SMALL, name: value})
    assert list(tmp_path.iterdir()) == []
