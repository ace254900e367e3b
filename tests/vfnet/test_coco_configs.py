"""The configs for COCO, on a few digits that lie where COCO does."""

import shutil
from pathlib import Path

import numpy as np
import pytest

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "vfnet"
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yml"))


@pytest.fixture
def coco(tmp_path, digits, monkeypatch):
    """The current folder has dataset/coco."""
    folder = tmp_path / "dataset" / "coco"
    (folder / "annotations").mkdir(parents=True)
    for part in ("train", "val"):
        (folder / f"{part}2017").symlink_to(digits / part)
        shutil.copy(digits / "annotations" / f"{part}.json", folder / "annotations" / f"instances_{part}2017.json")
    monkeypatch.chdir(tmp_path)


def load(name, *options):
    from paddle_vfl.training import configs

    return configs.load(CONFIGS / f"{name}.yml", ["use_gpu=false", "worker_num=0", *options])


def shorter_sides(cfg, height):
    """Images of that height, or of an eighth of the range of heights."""
    for transform in cfg["TrainReader"]["sample_transforms"]:
        if "Resize" in transform:
            transform["Resize"]["target_size"] = [height, height]
        if "RandomResize" in transform:
            sizes = transform["RandomResize"]["target_size"]
            transform["RandomResize"]["target_size"] = [[side // 8 for side in size] for size in sizes]


@pytest.mark.parametrize("name", NAMES)
def test_a_training_step(name, coco, op_calls):
    from paddle_vfl.training.trainer import Trainer

    cfg = load(name)
    shorter_sides(cfg, 96)
    trainer = Trainer(cfg, mode="train")
    trainer.model.train()
    losses = trainer.model(next(iter(trainer.loader)))
    losses["loss"].backward()
    trainer.optimizer.step()
    assert len(op_calls) == 1
    assert 0 < float(losses["loss"]) < 1e4


def test_the_biases_of_convolutions_learn_twice_as_fast_and_do_not_decay(clean_ppdet):
    import paddle
    from ppdet.core.workspace import create

    cfg = load(NAMES[0])
    model = create(cfg.architecture)
    optimizer = create("OptimizerBuilder")(1.0, model)
    learning = {name: parameter for name, parameter in model.named_parameters() if parameter.trainable}
    for parameter in learning.values():
        parameter.set_value(paddle.full_like(parameter, 100.0))
    paddle.add_n([parameter.sum() for parameter in learning.values()]).backward()
    optimizer.step()
    biases = {name for name in learning if name.endswith(".bias") and ".norm." not in name}
    assert len(biases) == 8 + 3  # of the pyramid and the head
    for name, parameter in learning.items():
        step = 100.0 - parameter.numpy()
        np.testing.assert_allclose(step, 2.0 if name in biases else 1.0 + 1e-4 * 100.0, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("name, epochs, milestones", [("1x", 12, [8, 11]), ("2x_ms", 24, [16, 22])])
def test_the_schedule(name, epochs, milestones, clean_ppdet):
    from ppdet.core.workspace import create

    cfg = load(f"vfnet_r50_fpn_{name}_coco")
    steps = 7330  # of an epoch of COCO
    rate = create("LearningRate")(steps)
    assert cfg.epoch == epochs

    def at(step):
        rate.step(step)
        return rate.get_lr()

    assert [at(0), at(500), at(steps)] == pytest.approx([1e-3, 1e-2, 1e-2])
    first, second = (milestone * steps for milestone in milestones)
    assert [at(first - 1), at(first), at(second - 1), at(second)] == pytest.approx([1e-2, 1e-3, 1e-3, 1e-4])
