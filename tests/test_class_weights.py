"""The command that prints class weights: what it counts, what it gives and that its output is a config's."""

import json

import numpy as np
import pytest
import yaml

from paddle_vfl import class_weights, cli
from paddle_vfl.class_weights import count_boxes, inverse_frequency


@pytest.fixture
def annotations(tmp_path):
    """Three classes with 100, 4 and 0 boxes to train on, in an order that is not that of the ids."""
    box = lambda category, **more: {"image_id": 1, "category_id": category, "bbox": [0, 0, 5, 5], **more}
    content = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 9, "height": 9}],
        "categories": [{"id": 7, "name": "car"}, {"id": 2, "name": "bus stop"}, {"id": 9, "name": "tram"}],
        "annotations": [
            *[box(7) for _ in range(100)],
            *[box(2, iscrowd=0) for _ in range(4)],
            box(9, iscrowd=1),
            box(9, bbox=[0, 0, 0, 5]),
        ],
    }
    for i, annotation in enumerate(content["annotations"]):
        annotation["id"] = i + 1
    path = tmp_path / "train.json"
    path.write_text(json.dumps(content))
    return path


def test_boxes_are_counted_as_paddledetection_numbers_the_classes(annotations):
    assert count_boxes(annotations) == [("car", 100), ("bus stop", 4), ("tram", 0)]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_weights(power):
    car, bus, tram = inverse_frequency([100, 4, 0], power)
    assert bus / car == pytest.approx(25**power) and tram == 1
    assert (100 * car + 4 * bus) / 104 == pytest.approx(1)


def test_the_command_prints_a_block_to_paste(annotations, capsys):
    assert cli.main(["class-weights", str(annotations)]) == 0
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[:2]] == [
        ["#", "class", "boxes", "weight"],
        ["#", "car", "100", "0.8667"],
    ]
    weights = yaml.safe_load(out)["class_weight"]
    np.testing.assert_allclose(weights, inverse_frequency([100, 4, 0]), rtol=1e-3)


def test_no_number_is_too_large_and_no_name_breaks_the_line(annotations, capsys, monkeypatch):
    content = json.loads(annotations.read_text())
    content["categories"][1]["name"] = "bus\nstop: [1"
    annotations.write_text(json.dumps(content))
    assert cli.main(["class-weights", str(annotations), "--power", "400"]) == 0
    out = capsys.readouterr().out
    assert "# bus\\nstop: [1" in out
    np.testing.assert_allclose(yaml.safe_load(out)["class_weight"], [0, 26, 1])
    monkeypatch.setattr(class_weights, "count_boxes", lambda path: [("a", 1), ("b", 39_999)])
    assert yaml.safe_load(class_weights.class_weight_block("a.json", 1.0))["class_weight"] == [20_000, 0.5]


@pytest.mark.parametrize(
    "args, message",
    [
        (["--power", "-1"], "--power is -1.0, expected a finite number, at least 0"),
        (["--power", "nan"], "--power is nan"),
    ],
)
def test_a_bad_power_is_named(annotations, capsys, args, message):
    assert cli.main(["class-weights", str(annotations), *args]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "text, message",
    [(None, "No such file"), ("{", "is not JSON"), ("{}", "is not in COCO format: it has no list of images")],
)
def test_a_bad_file_is_named(tmp_path, capsys, text, message):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    assert cli.main(["class-weights", str(path)]) == 2
    assert message in capsys.readouterr().err


def test_a_file_without_a_box_is_named(annotations, capsys):
    content = json.loads(annotations.read_text())
    content["annotations"] = content["annotations"][-2:]  # a crowd, and a box without an area
    annotations.write_text(json.dumps(content))
    assert cli.main(["class-weights", str(annotations)]) == 2
    assert "has no box to train on: there is nothing to weigh" in capsys.readouterr().err
