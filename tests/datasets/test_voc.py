"""What is said of VOC annotations, before training."""

import pytest

from paddle_vfl.datasets.annotations import CORNERS
from paddle_vfl.datasets.voc import read_labels, read_voc
from paddle_vfl.errors import UserError

SIZE = "<size><width>80</width><height>60</height></size>"


def box(name="cat", corners=(1, 2, 31, 42), more=""):
    sides = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), corners))
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


@pytest.fixture
def read(tmp_path):
    """A function that writes XML files, with a list of them, and reads them."""

    def run(*files, lines=None):
        for number, content in enumerate(files):
            content = content if isinstance(content, bytes) else f"<annotation>{content}</annotation>".encode()
            (tmp_path / f"{number}.xml").write_bytes(content)
        lines = [f"{number}.png {number}.xml" for number in range(len(files))] if lines is None else lines
        (tmp_path / "train.txt").write_text("\n".join(lines) + "\n" if lines else "")
        return read_voc(tmp_path / "train.txt", tmp_path, ["cat", "dog"])

    return run


def test_good_files(read):
    found = read(
        SIZE + box() + box("dog", ("0.5", " 3 ", "20", "1e1"), "<difficult> 1 </difficult>"),
        SIZE,
        "<id>7</id>" + SIZE + box("dog", (70, 50, 90, 90)) + box("dog", (90, 50, 99, 60)),
    )
    assert not found.doubts and found.complete and found.layout == CORNERS
    assert found.files == ["0.png", "1.png", "2.png"] and found.sizes.tolist() == [[80, 60]] * 3
    assert found.corners().tolist()[:2] == [[1, 2, 31, 42], [0.5, 3, 20, 10]]
    assert (found.box_image.tolist(), found.box_class.tolist()) == ([0, 0, 2, 2], [0, 1, 1, 1])
    assert found.empty.tolist() == [False, True, False]
    assert found.has_area.tolist() == [True, True, True, False], "as PaddleDetection clips them"
    assert found.box_place(1).endswith("0.xml: object[1]")
    assert read(SIZE).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    "content, message",
    [
        (box(), "0.xml: has no size"),
        ("<size><width>80</width></size>" + box(), "0.xml: size has no height"),
        ("<size><width>80</width><height/></size>", "0.xml: size.height is null, expected a number"),
        ("<size><width>wide</width><height>60</height></size>", '0.xml: size.width is "wide", expected a number'),
        ("<size><width>0</width><height>0</height></size>", "0.xml: size is 0 x 0, expected pixels"),
        ("<size><width>nan</width><height>60</height></size>", "0.xml: size is nan x 60, expected pixels"),
        (SIZE + "<object></object>", "0.xml: object[0] has no name"),
        (SIZE + "<object><name>cat</name></object>", "0.xml: object[0] has no bndbox"),
        (SIZE + box() + box(corners=(1, 2, 3)), "0.xml: object[1].bndbox has no ymax"),
        (SIZE + box(corners=(1, 2, 3, "")), "0.xml: object[0].bndbox.ymax is null, expected a number"),
        (SIZE + box(corners=(1, 2, 3, "4px")), '0.xml: object[0].bndbox.ymax is "4px", expected a number'),
        (SIZE + box(corners=(1, 2, 3, "inf")), "0.xml: object[0].bndbox is [1.0, 2.0, 3.0, inf], expected pixels"),
        (SIZE + box(more="<difficult>Unspecified</difficult>"), 'difficult is "Unspecified", expected a whole number'),
        (SIZE + box(more="<difficult>0.0</difficult>"), 'difficult is "0.0", expected a whole number'),
        ("<id>first</id>" + SIZE, '0.xml: id is "first", expected a whole number'),
        (SIZE + box("ten"), "0.xml: object[0] is of class 'ten', which is not among the class names"),
        (SIZE + box(" cat"), "0.xml: object[0] is of class ' cat', which is not among the class names"),
        (SIZE + box(""), "0.xml: object[0].name is null, expected text"),
        (b"<annotation><size>", "0.xml is not XML: no element found"),
        (b"", "0.xml is not XML: no element found"),
        (
            b'<?xml version="1.0" encoding="GBK"?><annotation/>',
            "0.xml is not XML: multi-byte encodings are not support",
        ),
        (b'<?xml version="1.0" encoding="what"?><annotation/>', "0.xml is not XML: unknown encoding"),
    ],
)
def test_what_is_wrong_is_said(read, content, message):
    with pytest.raises(UserError) as error:
        read(content, SIZE + box())
    assert message in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(UserError, match=r" \(and 2 more\)$"):
        read(content, SIZE, content, content)


@pytest.mark.parametrize(
    "lines, message",
    [
        ([], "train.txt has no images"),
        (["0.png 0.xml", "", "1.png 1.xml"], "train.txt: line 2 is '', expected an image and an XML file"),
        (["0.png 0.xml", ""], "train.txt: line 2 is ''"),
        (["0", "1"], r"train.txt: line 1 is '0', expected an image and an XML file, .* \(and 1 more\)"),
        (["\ufeff0.png 0.xml"], "train.txt begins with a byte order mark"),
        (["my 0.png 0.xml"], "train.txt: .*0.png does not exist"),
    ],
)
def test_a_wrong_list_is_said(read, lines, message):
    with pytest.raises(UserError, match=message):
        read(SIZE + box(), SIZE + box(), lines=lines)


def test_what_may_be_wrong_is_noted(read):
    found = read(SIZE + box(), SIZE + box(), lines=["0.png 0.xml", "0.png 1.xml", "2.png 2.xml"])
    assert len(found.files) == 2
    gone, repeated = found.doubts
    assert "2.xml does not exist: PaddleDetection leaves such lines out" in gone
    assert repeated == "0.png is listed more than once"


def test_labels(tmp_path):
    path = tmp_path / "label_list.txt"
    for text in ("cat\n dog \n", "cat\r\ndog", "cat\ndog\n\n\n"):
        path.write_text(text)
        assert read_labels(path) == ["cat", "dog"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "label_list.txt is empty, expected a class name on every line"),
        ("\n\n", "label_list.txt is empty"),
        ("cat\n\ndog\n", "label_list.txt: line 2 is empty, and PaddleDetection counts it as a class"),
        ("cat\ndog\ncat\n", "label_list.txt: lines 1 and 3 are both 'cat'"),
        ("\ufeffcat\ndog\n", "label_list.txt begins with a byte order mark"),
        ("background\ncat\n", "label_list.txt begins with background, which is no class"),
    ],
)
def test_wrong_labels_are_said(tmp_path, text, message):
    path = tmp_path / "label_list.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_labels(path)
    path.write_bytes(b"\xb1\xb3\xbe\xb0")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        read_labels(path)
    path.unlink()
    with pytest.raises(UserError, match="No such file"):
        read_labels(path)
