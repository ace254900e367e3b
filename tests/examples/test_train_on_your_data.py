"""The example for a data set of one's own, as a user runs it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ppdet")
from paddle_vfl.datasets import write_digits
from paddle_vfl.errors import UserError
from paddle_vfl.ppdet_plugin.options import parse_options
from paddle_vfl.training import configs

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "train_on_your_data.py"


def run(*args, cwd):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_five_images_end_with_a_table_and_pictures(tmp_path):
    """Fewer than a batch."""
    from PIL import Image

    data = write_digits(tmp_path / "data", train_images=5, val_images=4, progress=False)
    status, out, err = run(data, "--epochs", 2, "--weights", "none", "--output", "run", cwd=tmp_path)
    assert status == 0, err[-3000:]
    assert "AP 0.50:0.95" in out
    for name in ("detections.png", "curves.png"):
        assert Image.open(tmp_path / "run" / name).size[0] > 500
    status, out, _ = run(data, "--epochs", 2, "--weights", "none", "--output", "run", cwd=tmp_path)
    assert status == 0 and "not training again" in out


def test_a_folder_that_is_no_data_set_is_one_line(tmp_path):
    status, _, err = run(tmp_path, cwd=tmp_path)
    assert status == 1 and "Traceback" not in err
    assert "annotations/train.json: expected COCO annotations (FileNotFoundError: " in err


@pytest.fixture
def example(monkeypatch):
    """The script as a module."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    spec = importlib.util.spec_from_file_location("train_on_your_data", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_annotations_may_begin_with_a_byte_order_mark(example, tmp_path):
    coco = {"annotations": [{"image_id": 1}, {"image_id": 1}, {"image_id": 2}], "categories": [{"id": 1}]}
    (tmp_path / "train.json").write_text(json.dumps(coco), encoding="utf-8-sig")
    assert example._count(tmp_path / "train.json") == (2, 1)


def test_images_may_lie_in_folders(example, tmp_path):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / "val" / name).parent.mkdir(parents=True)
        (tmp_path / "val" / name).touch()
    (tmp_path / "annotations").mkdir()
    images = [{"file_name": name} for name in ("a/1.png", "b/1.png", "c/missing.png")]
    (tmp_path / "annotations" / "val.json").write_text(json.dumps({"images": images}))
    assert example._validation_images(tmp_path) == [tmp_path / "val" / "a" / "1.png", tmp_path / "val" / "b" / "1.png"]


@pytest.mark.parametrize("name", ["my data #1", "a: b", "[x]", "null", "größe"])
def test_a_folder_may_be_called_anything(example, name):
    (folder, *_) = parse_options(example._data_options(Path(name))).values()
    assert folder["dataset_dir"] == name


@pytest.fixture
def trained_with(example, monkeypatch, tmp_path, clean_ppdet):
    """A function that runs the script up to its training: the config that it would train, for a number of images."""

    def called(images, *args):
        folder = tmp_path / "annotations"
        folder.mkdir(exist_ok=True)
        content = {"categories": [{}] * 3, "annotations": [{"image_id": index} for index in range(images)] * 2}
        (folder / "train.json").write_text(json.dumps(content))
        monkeypatch.setattr(sys, "argv", ["train_on_your_data.py", str(tmp_path), *args])
        seen = {}
        monkeypatch.setattr(
            example, "train_and_report", lambda config, data, output, options: seen.update(c=config, o=options)
        )
        example.main()
        return configs.load(seen["c"], seen["o"])

    return called


@pytest.mark.parametrize("images, batch, epochs", [(1, 1, 300), (3, 3, 300), (5, 4, 300), (100_000, 4, 4)])
def test_epochs_and_batch_follow_from_the_number_of_images(images, batch, epochs, trained_with):
    cfg = trained_with(images, "--weights", "none")
    assert (cfg.num_classes, cfg.TrainReader["batch_size"], cfg.epoch) == (3, batch, epochs)
    assert cfg.LearningRate["schedulers"][0]["max_epochs"] == epochs and cfg.get("pretrain_weights") is None


def test_weights_of_ones_own(trained_with, example, tmp_path):
    (tmp_path / "w.pdparams").touch()
    cfg = trained_with(300, "--weights", str(tmp_path / "w"))
    assert cfg.pretrain_weights == str(tmp_path / "w.pdparams") and cfg.width_mult == 0.375  # of the weights
    assert cfg.epoch == round(example.FROM_WEIGHTS.seen / 300)
    with pytest.raises(UserError, match="weights .*nowhere.pdparams does not exist"):
        trained_with(300, "--weights", "nowhere")


def test_without_the_published_weights_it_says_so_and_goes_on(trained_with, example, monkeypatch, capsys):
    def offline(path, what):
        raise UserError(f"{what} {path} cannot be downloaded (offline): download it where you can, and give the file")

    monkeypatch.setattr(example, "find", offline)
    cfg = trained_with(300)
    assert cfg.get("pretrain_weights") is None and cfg.filename == "ppyoloe_plus_photos_small"
    assert cfg.epoch == round(example.FROM_SCRATCH.seen / 300)
    err = capsys.readouterr().err
    assert f"weights {example.PUBLISHED} cannot be downloaded" in err and "give the file with --weights" in err


def test_another_config_keeps_its_own_schedule(trained_with):
    digits = str(ROOT / "configs" / "ppyoloe_plus_digits.yml")
    assert trained_with(300, "--config", digits).epoch == 16
    cfg = trained_with(300, "--config", digits, "--epochs", "30")
    assert (cfg.epoch, cfg.LearningRate["schedulers"][0]["max_epochs"]) == (30, 30)


def test_another_config_may_begin_with_weights(trained_with, tmp_path):
    (tmp_path / "w.pdparams").touch()
    digits = str(ROOT / "configs" / "ppyoloe_plus_digits.yml")
    assert trained_with(300, "--config", digits, "--weights", str(tmp_path / "w")).pretrain_weights.endswith(
        "w.pdparams"
    )
