"""Weights and checkpoints that are not there or do not fit, and what is said of those that do in part."""

import json
import logging
import os

import paddle
import pytest

from paddle_vfl import training
from paddle_vfl.errors import UserError
from paddle_vfl.training import checkpoints, configs

PPYOLOE, PICODET = "ppyoloe_plus_digits.yml", "picodet_digits.yml"


def new_trainer(path, *options):
    """Of a new model: nothing is trained."""
    from paddle_vfl.training.trainer import Trainer

    cfg = configs.load(path, options)
    with paddle.utils.unique_name.guard():
        return Trainer(cfg, mode="train")


@pytest.fixture
def saved(config, tmp_path):
    """(its config, the checkpoint of a model of 10 classes after one of its two epochs)."""
    from ppdet.utils.checkpoint import save_model

    path = config(PPYOLOE, epoch=2)
    trainer = new_trainer(path)
    state = trainer.model.state_dict()
    save_model(state, trainer.optimizer, str(tmp_path / "saved"), "1", 1, ema_model=state)
    return path, str(tmp_path / "saved" / "1")


MISFIT = r"6 of \d+ weights \(6 in yolo_head\); yolo_head.pred_cls.0.weight is of shape \[10, .* is num_classes right\?"


def test_eval_refuses_weights_of_another_number_of_classes(saved, digits, tmp_path):
    path, weights = saved
    annotations = json.loads((digits / "annotations" / "val.json").read_text())
    annotations["categories"] += [{"id": 11, "name": "eleven"}, {"id": 12, "name": "twelve"}]
    (tmp_path / "val.json").write_text(json.dumps(annotations))
    options = [f"weights={weights}", "num_classes=12", f"EvalDataset.anno_path={tmp_path}/val.json"]
    with pytest.raises(UserError, match=f"weights {weights}.pdparams do not fit the model: {MISFIT}"):
        training.evaluate(path, options)


def test_infer_refuses_weights_of_another_model(saved, config, digits):
    _, weights = saved
    with pytest.raises(UserError, match=r"do not fit the model: (\d+) of \1 weights \(.* in head\) are not in it"):
        training.infer(str(config(PICODET)), [f"weights={weights}"], folder=str(digits / "val"))


def test_training_says_which_weights_it_takes(saved, caplog):
    path, weights = saved
    caplog.set_level(logging.INFO)
    trainer = new_trainer(path, "num_classes=12")
    before = trainer.model.yolo_head.pred_cls[0].weight.numpy()
    checkpoints.load_pretrained(trainer, f"{weights}.pdparams")
    total = len(trainer.model.state_dict())
    (said,) = [r.getMessage() for r in caplog.records if "pretrain_weights" in r.getMessage()]
    assert f"{total - 6} of the model's {total} taken; these start anew: 6 of {total} weights (6 in yolo_head)" in said
    assert not [record for record in caplog.records if len(record.getMessage()) > 500]
    weight = trainer.model.backbone.stem.conv1.conv.weight
    assert (weight.numpy() == paddle.load(f"{weights}.pdparams")["backbone.stem.conv1.conv.weight"].numpy()).all()
    assert (trainer.model.yolo_head.pred_cls[0].weight.numpy() == before).all()


def test_weights_of_which_nothing_fits_are_refused(saved, config):
    _, weights = saved
    with pytest.raises(UserError, match="pretrain_weights .*: nothing in it fits the model"):
        checkpoints.load_pretrained(new_trainer(config(PICODET)), f"{weights}.pdparams")


@pytest.mark.parametrize(
    "option, message",
    [
        ("num_classes=12", f"is of another model: {MISFIT}"),
        ("epoch=1", "has 1 epochs, and epoch is 1: nothing is left to train; a higher epoch goes on"),
    ],
)
def test_resume_refuses(option, message, saved):
    path, stem = saved
    with pytest.raises(UserError, match=f"checkpoint {stem} {message}"):
        checkpoints.resume(new_trainer(path, option), f"{stem}.pdparams")


def test_a_folder_names_what_is_in_it(tmp_path):
    for name in ("0", "1"):
        (tmp_path / f"{name}.pdparams").touch()
    os.utime(tmp_path / "0.pdparams", (0, 0))
    with pytest.raises(UserError, match=f"does not exist; there is {tmp_path / '1.pdparams'}"):
        checkpoints.find(tmp_path, "checkpoint")


def test_resume_goes_on(saved):
    path, stem = saved
    trainer = new_trainer(path)
    checkpoints.resume(trainer, f"{stem}.pdparams")
    assert trainer.start_epoch == 1


@pytest.mark.parametrize("content", [[1, 2], {}], ids=["list", "nothing"])
def test_a_file_without_weights(content, saved, tmp_path):
    path, _ = saved
    paddle.save(content, str(tmp_path / "w.pdparams"))
    with pytest.raises(UserError, match="weights .*w.pdparams holds no weights"):
        training.evaluate(path, [f"weights={tmp_path / 'w'}"])


def test_a_name_with_a_dot(saved, tmp_path):
    """PaddleDetection takes what follows it for a suffix."""
    path, stem = saved
    for suffix in (".pdparams", ".pdopt", ".pdema"):
        (tmp_path / f"model.v2{suffix}").write_bytes(open(stem + suffix, "rb").read())
    trainer = new_trainer(path)
    checkpoints.resume(trainer, checkpoints.find(tmp_path / "model.v2", "checkpoint"))
    assert trainer.start_epoch == 1


def test_pretrain_weights_that_are_not_there(config):
    path = config(PPYOLOE)
    with pytest.raises(UserError, match="pretrain_weights nowhere.pdparams does not exist"):
        training.train(path, ["pretrain_weights=nowhere.pdparams"])


URL = "https://example.com/models/some_model.pdparams"


def test_weights_that_cannot_be_downloaded(monkeypatch, clean_ppdet):
    from ppdet.utils import download

    def fail(url):
        raise OSError("no route to host")

    monkeypatch.setattr(download, "get_weights_path", fail)
    with pytest.raises(UserError, match=f"{URL} cannot be downloaded .no route to host.: download it where you can"):
        checkpoints.find(URL, "pretrain_weights")


def test_weights_in_the_cache_need_no_network(monkeypatch, tmp_path, clean_ppdet):
    from ppdet.utils import download

    monkeypatch.setattr(download, "WEIGHTS_HOME", str(tmp_path))
    (tmp_path / "some_model.pdparams").touch()
    assert checkpoints.find(URL, "weights") == str(tmp_path / "some_model.pdparams")
