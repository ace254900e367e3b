"""train, eval and infer on a small data set: the files they write and what they return."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_vfl import training
from paddle_vfl.errors import UserError
from paddle_vfl.cli import main
from paddle_vfl.training import configs
from paddle_vfl.training.class_names import named_classes
from paddle_vfl.training.evaluate import _curves_in
from paddle_vfl.training.history import read_history


@pytest.fixture
def trained(config, tmp_path, monkeypatch):
    """A config and the folder of a run of two epochs of it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    # so short a training finds nothing with a score worth keeping
    path = config("ppyoloe_plus_digits.yml", epoch=2, snapshot_epoch=1, PPYOLOEHead={"nms": {"score_threshold": 0.0}})
    training.train(str(path), evaluate=True, seed=0)
    return str(path), tmp_path / "output" / path.stem


def test_train_writes_checkpoints_and_history(trained):
    _, run = trained
    assert {p.name for p in run.glob("*.pdparams")} >= {"0.pdparams", "best_model.pdparams", "model_final.pdparams"}
    steps, evaluations = read_history(run / "history.jsonl")
    assert [(s["epoch"], s["step"]) for s in steps] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(np.isfinite(list(s["losses"].values())).all() for s in steps)
    assert [e["epoch"] for e in evaluations] == [0, 1] and all(len(e["eval"]["bbox"]) == 12 for e in evaluations)


def test_resume_goes_on_after_the_checkpoint(trained):
    path, run = trained
    for checkpoint in (run / "0", run / "0.pdparams"):
        trainer = training.train(path, resume=str(checkpoint), seed=0, fleet=True)  # which one process does without
        assert trainer.start_epoch == 1
    steps, _ = read_history(run / "history.jsonl")
    assert [s["epoch"] for s in steps] == [0, 0, 1, 1]


def test_eval_returns_coco_metrics(trained):
    path, run = trained
    assert (run / "bbox.json").exists()
    (run / "bbox.json").unlink()
    results = training.evaluate(path, [f"weights={run}/model_final"])
    assert (run / "bbox.json").exists() and not list(Path.cwd().iterdir())
    assert len(results["bbox"]) == 12 and -1 <= results["bbox"][0] <= 1


def test_infer_draws_the_boxes(trained, digits, tmp_path):
    path, run = trained
    written = training.infer(
        path,
        [f"weights={run}/model_final"],
        folder=str(digits / "val"),
        output_dir=tmp_path / "drawn",
        draw_threshold=0.0,
    )
    assert [p.name for p in written.values()] == [f"{i:06d}.png" for i in range(1, 5)]
    for drawn in written.values():
        assert (np.asarray(Image.open(drawn)) != np.asarray(Image.open(digits / "val" / drawn.name))).any()


def test_infer_takes_every_suffix_of_an_image_and_writes_the_boxes_too(trained, digits, tmp_path):
    path, run = trained
    (tmp_path / "images").mkdir()
    image = Image.open(digits / "val" / "000001.png")
    names = [f"a{suffix}" for suffix in (".jpg", ".png", ".bmp", ".tif", ".webp")]
    for name in names:
        image.save(tmp_path / "images" / name)
    options = [f"weights={run}/model_final"]
    written = training.infer(
        path, options, folder=tmp_path / "images", output_dir=tmp_path / "drawn", save_results=True
    )
    assert sorted(p.name for p in written.values()) == sorted(names)
    assert all(Image.open(p).size == image.size for p in written.values())
    boxes = json.loads((tmp_path / "drawn" / "bbox.json").read_text())
    assert {box["image_id"] for box in boxes} == set(range(len(names)))
    with pytest.raises(UserError, match="--output_dir .*a.png: File exists"):
        training.infer(path, options, folder=tmp_path / "images", output_dir=tmp_path / "drawn" / "a.png")
    with pytest.raises(UserError, match="--output_dir .*images is where the images are: they would be overwritten"):
        training.infer(path, options, folder=tmp_path / "images", output_dir=tmp_path / "images")


def test_the_picture_is_a_png_where_the_image_has_no_suffix_that_pillow_writes(trained, digits, tmp_path):
    path, run = trained
    image = tmp_path / "upload"
    image.write_bytes((digits / "val" / "000001.png").read_bytes())
    written = training.infer(path, [f"weights={run}/model_final"], image=image, output_dir=tmp_path / "drawn")
    assert written == {image: tmp_path / "drawn" / "upload.png"} and Image.open(written[image]).format == "PNG"


def test_eval_without_a_detection_is_ap_0(trained, caplog):
    path, run = trained
    results = training.evaluate(path, [f"weights={run}/model_final", "PPYOLOEHead.nms.score_threshold=0.99"])
    assert results["bbox"] == [0.0] * 12
    assert any("AP 0.000: nothing was found in 4 images" in record.getMessage() for record in caplog.records)


def test_the_curve_of_a_class_whose_name_is_none_of_a_file(trained, digits, tmp_path):
    path, run = trained
    coco = json.loads((digits / "annotations" / "val.json").read_text())
    for category, name in zip(coco["categories"], ["car/van", "car\0van", "细胞" * 200]):
        category["name"] = name
    (tmp_path / "val.json").write_text(json.dumps(coco))
    options = [f"weights={run}/model_final", f"EvalDataset.anno_path={tmp_path / 'val.json'}"]
    training.evaluate(path, options, classwise=True)
    written = {path.name for path in (run / "bbox_pr_curve").iterdir()}
    assert "car_van_precision_recall_curve.jpg" in written and not list(Path.cwd().iterdir())
    assert any(name.startswith("胞细胞") for name in written)


def test_detect_returns_named_boxes(trained, digits):
    path, run = trained
    found = training.detect(path, [f"weights={run}/model_final"], digits / "val")
    assert [p.name for p in found] == [f"{i:06d}.png" for i in range(1, 5)]
    for boxes in found.values():
        scores = [score for _, score, _ in boxes]
        assert scores == sorted(scores, reverse=True) and {name for name, _, _ in boxes} <= set("0123456789")


def test_detect_takes_images_of_several_folders(trained, digits, tmp_path):
    path, run = trained
    images = [tmp_path / "a" / "1.png", tmp_path / "b" / "1.png"]
    for image, source in zip(images, sorted((digits / "val").iterdir())):
        image.parent.mkdir()
        image.write_bytes(source.read_bytes())
    assert list(training.detect(path, [f"weights={run}/model_final"], images)) == images
    with pytest.raises(UserError, match="no images"):
        training.detect(path, [f"weights={run}/model_final"], [])


def test_a_data_set_of_ones_own(config, digits, tmp_path):
    """Folders and class count come from the command line alone."""
    own = tmp_path / "mine"
    (own / "pictures").mkdir(parents=True)
    coco = json.loads((digits / "annotations" / "train.json").read_text())
    coco["annotations"] = [{**a, "category_id": 1 + a["category_id"] % 2} for a in coco["annotations"]]
    coco["categories"] = [{"id": 1, "name": "odd"}, {"id": 2, "name": "even"}]
    (own / "labels.json").write_text(json.dumps(coco))
    for image in (digits / "train").iterdir():
        (own / "pictures" / image.name).write_bytes(image.read_bytes())
    names = {"dataset_dir": own, "image_dir": "pictures", "anno_path": "labels.json"}
    options = ["num_classes=2", "epoch=1"] + [
        f"{part}Dataset.{key}={value}" for part in ("Train", "Eval") for key, value in names.items()
    ]
    trainer = training.train(str(config("ppyoloe_plus_digits.yml")), options, evaluate=True)
    assert trainer.model.yolo_head.num_classes == 2
    assert (tmp_path / "output").exists()


def test_infer_leaves_a_damaged_image_out_and_names_it(trained, digits, tmp_path, capsys, caplog):
    path, run = trained
    (tmp_path / "images").mkdir()
    good = (digits / "val" / "000001.png").read_bytes()
    for name, content in {"a.png": good, "b.png": b"", "c.png": good[:3000], "._a.png": b"\0\5\26\7"}.items():
        (tmp_path / "images" / name).write_bytes(content)
    (tmp_path / "images" / "broken\nline.png").touch()
    (tmp_path / "images" / os.fsdecode(b"\xff.png")).write_bytes(good)  # its name is no text
    status = main(
        ["infer", "-c", path, "--infer_dir", str(tmp_path / "images"), "--output_dir", str(tmp_path / "drawn")]
        + ["-o", f"weights={run}/model_final"]
    )
    assert status == 1 and capsys.readouterr().out.endswith(f"{tmp_path}/drawn/a.png\n{tmp_path}/drawn/\\udcff.png\n")
    left_out = [record.getMessage() for record in caplog.records if record.getMessage().endswith("left out")]
    assert len(left_out) == 4 and not any("\n" in message for message in left_out)
    for name in ("b.png", "c.png", "._a.png"):
        assert any(f"image {tmp_path}/images/{name} cannot be read: " in message for message in left_out)


def test_infer_has_the_names_of_the_data_trained_on(trained, digits, tmp_path):
    """README's command for one's own data does not speak of TestDataset."""
    path, run = trained
    cfg = configs.load(path, ["TestDataset.dataset_dir=gone"])
    with named_classes(cfg):
        classes = json.loads(Path(cfg["TestDataset"]["anno_path"]).read_text())["categories"]
    assert [category["name"] for category in classes] == list("0123456789")
    gone = [f"{key}Dataset.dataset_dir=gone" for key in ("Train", "Eval", "Test")]
    with pytest.raises(UserError, match="no names for the 10 classes: TestDataset: .*gone"):
        training.infer(path, [f"weights={run}/model_final", *gone], folder=digits / "val", output_dir=tmp_path / "d")


@pytest.mark.parametrize(
    "option", ["TestDataset.anno_path={}", "TestDataset={{anno_path: {}}}", " TestDataset.anno_path={}"]
)
def test_names_are_those_of_the_data_that_options_speak_of(option, config, digits, tmp_path):
    coco = json.loads((digits / "annotations" / "val.json").read_text())
    for category in coco["categories"]:
        category["name"] = f"digit {category['name']}"
    (tmp_path / "named.json").write_text(json.dumps(coco))
    options = [option.format(tmp_path / "named.json")]
    cfg = configs.load(config("ppyoloe_plus_digits.yml"), options)
    with named_classes(cfg, options):
        names = json.loads(Path(cfg.TestDataset["anno_path"]).read_text())["categories"]
    assert [category["name"] for category in names] == [f"digit {i}" for i in range(10)]


def test_the_results_of_a_class_have_its_name(tmp_path):
    """The evaluator has them by ascending id, whatever the order of the file."""
    from pycocotools.coco import COCO

    categories = [{"id": number, "name": str(number)} for number in (3, 1, 2)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"images": [], "annotations": [], "categories": categories}))
    assert COCO(str(path)).getCatIds() == [3, 1, 2]
    with _curves_in(str(tmp_path)):
        assert COCO(str(path)).getCatIds() == [1, 2, 3]
    assert COCO(str(path)).getCatIds() == [3, 1, 2]
