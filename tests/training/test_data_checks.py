"""Data sets that are wrong, as a config has them; what PaddleDetection then reads."""

import json
import logging
import shutil
from xml.sax.saxutils import escape

import pytest
import yaml
from PIL import Image

from paddle_vfl.errors import UserError
from paddle_vfl.training import configs, data_checks


@pytest.fixture
def data(digits, tmp_path):
    """A copy of the small data set. ``edit(part, change)`` changes its annotations: 16 images to train on."""
    folder = tmp_path / "data"
    shutil.copytree(digits, folder)

    class Data:
        path = folder

        @staticmethod
        def edit(part, change):
            file = folder / "annotations" / f"{part}.json"
            content = json.loads(file.read_text())
            change(content)
            file.write_text(json.dumps(content))

    return Data


@pytest.fixture
def check(config, data, tmp_path, caplog):
    """A function that checks data sets under keys of a config; it returns the config and the warnings."""
    folder = tmp_path / "run"
    folder.mkdir()

    def run(*keys, options=(), **changes):
        sections = {
            key: {"dataset_dir": str(data.path), **changes.pop(key, {})}
            for key in ("TrainDataset", "EvalDataset", "TestDataset")
        }
        cfg = configs.load(str(config("ppyoloe_plus_digits.yml", **sections, **changes)), options)
        caplog.clear()
        data_checks.check_data(cfg, folder, *keys)
        return cfg, [r.message for r in caplog.records if r.levelno == logging.WARNING]

    return run


def shuffled(content):
    content["categories"] = content["categories"][3:] + content["categories"][:3]


def renamed(content):
    for category in content["categories"]:
        category["name"] = f"digit {category['name']}"


def without_two(content):
    content["categories"] = content["categories"][2:]
    content["annotations"] = [a for a in content["annotations"] if a["category_id"] > 2]


def test_a_good_one_passes_without_a_word(check):
    cfg, warnings = check("TrainDataset", "EvalDataset")
    assert warnings == [] and cfg["TrainDataset"]["anno_path"] == "annotations/train.json"
    assert check("EvalDataset")[1] == []


@pytest.mark.parametrize(
    "change, message",
    [
        (
            shuffled,
            "EvalDataset has not the classes of TrainDataset but the same in another order: class 1 is '3', and '0' in "
            "TrainDataset",
        ),
        (renamed, "EvalDataset has not the classes of TrainDataset but others: class 1 is 'digit 0', and '0' in"),
        (without_two, r"EvalDataset: .*val.json has 8 categories, but num_classes is 10"),
    ],
    ids=["shuffled", "renamed", "two less"],
)
def test_classes_must_be_the_same_in_the_same_order(check, data, change, message):
    data.edit("val", change)
    check("TrainDataset")
    with pytest.raises(UserError, match=message):
        check("TrainDataset", "EvalDataset")


def test_evaluation_doubts_classes_that_training_data_do_not_have(check, data):
    data.edit("val", shuffled)
    _, (warning,) = check("EvalDataset")
    assert "in another order" in warning and "if the weights are of that TrainDataset, the AP is wrong" in warning
    assert check("EvalDataset", TrainDataset={"dataset_dir": "gone"})[1] == []


@pytest.mark.parametrize("number", [2, 80])
def test_classes_are_counted(check, number):
    with pytest.raises(UserError, match=f"TrainDataset: .* has 10 categories, but num_classes is {number}"):
        check("TrainDataset", num_classes=number)


def only(content, images=0, crowd=0, ignore=0):
    content["images"] = content["images"][: images or None]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [
        {**a, "iscrowd": crowd, "ignore": ignore} for a in content["annotations"] if a["image_id"] in kept
    ]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda content: content["annotations"].clear(), "has no box with an area: there is nothing to train on"),
        (lambda content: [a.update(bbox=[1, 1, 0, 3]) for a in content["annotations"]], "has no box with an area"),
        (lambda content: only(content, crowd=1), "has no box to train on: all are crowds, ignored or of images"),
        (lambda content: only(content, ignore=1), "has no box to train on"),
        (lambda content: [a.update(image_id=99) for a in content["annotations"]], "has no box to train on"),
        (
            lambda content: [image.update(file_name=f"train\\{image['file_name']}") for image in content["images"]],
            r"none of its images is in .*train: image .*train/train\\000001.png does not exist \(and 15 more\)",
        ),
        (lambda content: content["images"][3].update(file_name=""), "image .*train/ cannot be read: Is a directory"),
        (lambda content: [a.update(bbox=[v / 128 for v in a["bbox"]]) for a in content["annotations"]], "fractions"),
    ],
)
def test_what_cannot_be_trained_on_is_said(check, data, change, message):
    data.edit("train", change)
    with pytest.raises(UserError, match=f"^TrainDataset: .*{message}"):
        check("TrainDataset")


def test_crowds_may_be_trained_on(check, data):
    data.edit("train", lambda content: only(content, crowd=1))
    check("TrainDataset", options=["TrainDataset.load_crowd=true"])


@pytest.mark.parametrize(
    "change", [lambda content: content["annotations"].clear(), lambda content: only(content, crowd=1)]
)
def test_nothing_to_evaluate_is_said(check, data, change):
    data.edit("val", change)
    _, (warning,) = check("EvalDataset")
    assert "has no image with a box to evaluate: an AP of -1 means none" in warning
    with pytest.raises(UserError, match="EvalDataset: .*val.json has no image with a box to evaluate"):
        check("EvalDataset", options=["EvalDataset.allow_empty=false"])


def test_what_may_be_wrong_is_said_in_a_line_each(check, data):
    def change(content):
        content["images"][0].update(width=64)
        content["images"][1].update(file_name="gone.png")
        content["images"][2].update(file_name="cut.jpg")
        content["annotations"] = [a for a in content["annotations"] if a["category_id"] != 7]
        content["annotations"][-1]["bbox"] = [100, 100, 90, 90]

    data.edit("train", change)
    Image.effect_noise((128, 128), 50).save(data.path / "train" / "cut.jpg")
    cut = (data.path / "train" / "cut.jpg").read_bytes()
    (data.path / "train" / "cut.jpg").write_bytes(cut[:-200])
    _, warnings = check("TrainDataset")
    start = f"TrainDataset: {data.path}/annotations/train.json: "
    assert all(warning.startswith(start) and "\n" not in warning for warning in warnings)
    assert [warning[len(start) :] for warning in warnings if "leave" not in warning] == [
        f"image {data.path}/train/gone.png does not exist: left out",
        "no box is of class '6'",
        f"image {data.path}/train/cut.jpg ends too early, it is grey from there on",
        "image 000001.png is 128 x 128 pixels, and annotated as of 64 x 128",
    ]
    assert "1 of " in warnings[-1] and "boxes leave their image: annotations[" in warnings[-1]


def test_names_that_break_lines_do_not_break_a_message(check, data):
    data.edit("train", lambda content: content["images"][1].update(file_name="gone\n\x1b[2J.png"))
    _, warnings = check("TrainDataset")
    assert any(r"train/gone\n\x1b[2J.png does not exist: left out" in warning for warning in warnings)
    data.edit("train", lambda content: [image.update(file_name="a\rb") for image in content["images"]])
    with pytest.raises(UserError, match=r"train/a\\rb does not exist"):
        check("TrainDataset")


@pytest.mark.parametrize("taken_out", ["area", "iscrowd"])
def test_paddledetection_reads_what_was_filled_in(check, data, taken_out, tmp_path):
    from ppdet.core.workspace import create

    for part in ("train", "val"):
        data.edit(part, lambda content: [a.pop(taken_out) for a in content["annotations"]])
    before = (data.path / "annotations" / "train.json").read_bytes()
    cfg, warnings = check("TrainDataset", "EvalDataset")
    assert warnings == [] and (data.path / "annotations" / "train.json").read_bytes() == before
    assert cfg["TrainDataset"]["anno_path"] == str(tmp_path / "run" / "TrainDataset.json")
    dataset = create("TrainDataset")()
    dataset.parse_dataset()
    assert len(dataset.roidbs) == 16
    assert create("EvalDataset")().get_anno() == str(tmp_path / "run" / "EvalDataset.json")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"dataset_dir": "nowhere"}, "TrainDataset: dataset_dir nowhere does not exist$"),
        (
            {"dataset_dir": "dataset/digits"},
            "dataset/digits does not exist: `paddle-vfl digits dataset/digits` writes it",
        ),
        ({"image_dir": "nowhere"}, "TrainDataset: image_dir .*nowhere does not exist"),
        ({"anno_path": "nowhere.json"}, "TrainDataset: anno_path .*nowhere.json does not exist"),
        ({"anno_path": "train"}, "TrainDataset: anno_path is train, expected the name of a .json file"),
        ({"anno_path": ["a.json", "b.json"]}, r"TrainDataset.anno_path is \['a.json', 'b.json'\], expected one path"),
        ({"name": None}, "TrainDataset: TrainDataset has no name, such as COCODataSet|TrainDataset has no name"),
        ({"image_dir": ["train"]}, r"TrainDataset.image_dir is \['train'\], expected one path"),
        ({"dataset_dir": {"a": 1}}, "TrainDataset.dataset_dir is {'a': 1}, expected one path"),
    ],
)
def test_what_is_not_there_is_said(check, changes, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        check("TrainDataset", TrainDataset=changes)


def test_a_data_set_made_by_a_yaml_tag_is_checked(config, data, tmp_path):
    """As PaddleDetection's own configs have it."""
    data.edit("train", lambda content: [a.pop("area") for a in content["annotations"]])
    path = config("ppyoloe_plus_digits.yml")
    content = yaml.safe_load(path.read_text())
    del content["TrainDataset"]
    tagged = f"TrainDataset:\n  !COCODataSet\n    dataset_dir: {data.path}\n    image_dir: train\n"
    path.write_text(yaml.safe_dump(content) + tagged + "    anno_path: annotations/train.json\n")
    cfg = configs.load(str(path))
    data_checks.check_data(cfg, tmp_path, "TrainDataset")
    assert cfg["TrainDataset"].get_anno() == str(tmp_path / "TrainDataset.json")


@pytest.fixture
def voc(data):
    """A function that writes the training images in VOC format; ``damage`` changes it. Returns its section."""

    def write(damage=lambda folder: None):
        content = json.loads((data.path / "annotations" / "train.json").read_text())
        folder, names = data.path / "train", [category["name"] for category in content["categories"]]
        lines = []
        for image in content["images"]:
            objects = ""
            for a in content["annotations"]:
                if a["image_id"] == image["id"]:
                    x, y, w, h = a["bbox"]
                    sides = zip(("xmin", "ymin", "xmax", "ymax"), (x, y, x + w, y + h))
                    corners = "".join(f"<{tag}>{value}</{tag}>" for tag, value in sides)
                    name = escape(names[a["category_id"] - 1])
                    objects += f"<object><name>{name}</name><bndbox>{corners}</bndbox></object>"
            xml = image["file_name"].replace(".png", ".xml")
            size = f"<size><width>{image['width']}</width><height>{image['height']}</height></size>"
            (folder / xml).write_text(f"<annotation>{size}{objects}</annotation>")
            lines.append(f"{image['file_name']} {xml}")
        (folder / "train.txt").write_text("\n".join(lines) + "\n")
        (folder / "label_list.txt").write_text("\n".join(names) + "\n")
        damage(folder)
        section = {
            "dataset_dir": str(folder),
            "image_dir": "",
            "anno_path": "train.txt",
            "label_list": "label_list.txt",
        }
        return {"name": "VOCDataSet", "data_fields": ["image", "gt_bbox", "gt_class", "difficult"], **section}

    return write


def replaced(file, old, new):
    return lambda folder: (folder / file).write_text((folder / file).read_text().replace(old, new))


def cut(file, size):
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:size])


def test_a_good_voc_data_set_passes(check, voc):
    from ppdet.core.workspace import create

    _, warnings = check("TrainDataset", "EvalDataset", TrainDataset=voc(), EvalDataset=voc(), metric="VOC")
    dataset = create("TrainDataset")()
    dataset.parse_dataset()
    assert warnings == [] and len(dataset.roidbs) == 16


@pytest.mark.parametrize(
    "damage, message",
    [
        (replaced("label_list.txt", "9\n", "nine\n"), "is of class '9', which is not among the class names"),
        (replaced("label_list.txt", "9\n", ""), "label_list.txt has 9 classes, but num_classes is 10"),
        (replaced("label_list.txt", "9\n", "8\n"), "lines 9 and 10 are both '8'"),
        (replaced("train.txt", "000003.png", "\n000003.png"), "train.txt: line 3 is '', expected an image and"),
        (replaced("000001.xml", "size>", "sized>"), "000001.xml: has no size"),
        (cut("000001.xml", 40), "000001.xml is not XML: unclosed token"),
        (cut("000001.png", 3000), "image .*000001.png cannot be read: OpenCV cannot decode it"),
        (replaced("train.txt", ".png", ".jpg"), "none of its images is in .*000001.jpg does not exist .and 15 more"),
        (lambda folder: (folder / "label_list.txt").unlink(), "label_list .*label_list.txt does not exist"),
    ],
)
def test_what_is_wrong_in_a_voc_data_set_is_said(check, voc, damage, message):
    with pytest.raises(UserError, match=f"^TrainDataset: .*{message}"):
        check("TrainDataset", TrainDataset=voc(damage), metric="VOC")


def test_a_voc_data_set_without_names_has_those_of_voc(check, voc):
    section = voc()
    del section["label_list"]
    with pytest.raises(UserError, match="PaddleDetection's list of VOC has 20 classes, but num_classes is 10"):
        check("TrainDataset", TrainDataset=section, metric="VOC")
