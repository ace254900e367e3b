"""Everything here needs PaddleDetection."""

import os
from pathlib import Path

import pytest
import yaml

import paddle_vfl
from paddle_vfl.datasets import write_digits
from paddle_vfl.ppdet_plugin import version_fixes
from paddle_vfl.ppdet_plugin.patches import Patches

if os.environ.get("PPDET_SRC"):
    import ppdet  # noqa: F401  what was asked for must not be skipped
else:
    pytest.importorskip("ppdet")

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A small data set: 16 images to train on, 4 to validate."""
    return write_digits(tmp_path_factory.mktemp("data") / "digits", train_images=16, val_images=4, progress=False)


@pytest.fixture(autouse=True)
def _clean(clean_ppdet):
    """All tests here."""


@pytest.fixture
def config(tmp_path, digits):
    """Write a config: one of configs/ with the small data set and whatever ``changes`` says. Returns its path.

    ``plugin_line=False`` leaves the line out that enables the plugin.
    """

    def write(base, plugin_line=True, **changes):
        number = len(list(tmp_path.glob("config_*.yml")))
        base = CONFIGS / base
        if not plugin_line:
            lines = [
                line.replace("_base_/", f"{CONFIGS}/_base_/")
                for line in base.read_text().splitlines()
                if "_base_/paddle_vfl.yml" not in line
            ]
            base = tmp_path / f"plain_{number}.yml"
            base.write_text("\n".join(lines))
        content = {
            "_BASE_": [str(base)],
            "save_dir": str(tmp_path / "output"),
            "log_iter": 1,
            "worker_num": 0,
            **{key: {"dataset_dir": str(digits)} for key in ("TrainDataset", "EvalDataset", "TestDataset")},
            **changes,
        }
        path = tmp_path / f"config_{number}.yml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
def version_fixes_only():
    """PaddleDetection's own loss on this Paddle: the plugin off, the version fixes on."""
    patches = Patches()

    def apply():
        paddle_vfl.disable()
        version_fixes.apply_after_import(patches)

    yield apply
    patches.undo()


@pytest.fixture
def train_steps():
    """Train with a fixed seed and return the losses of the first ``count`` steps, a dict each."""

    import numpy as np
    import paddle
    from ppdet.engine import Trainer, set_random_seed

    def run(cfg, count, dtype="float32"):
        paddle.set_default_dtype(dtype)
        set_random_seed(0)
        cfg["epoch"] = 10**6
        trainer = Trainer(cfg, mode="train")
        losses = []
        trainer.model.train()
        while True:
            for data in trainer.loader:
                data.update(
                    {
                        key: value.cast(dtype)
                        for key, value in data.items()
                        if getattr(value, "dtype", None) == paddle.float32
                    }
                )
                data["epoch_id"] = len(losses) // len(trainer.loader)
                outputs = trainer.model(data)
                outputs["loss"].backward()
                trainer.optimizer.step()
                trainer.lr.step()
                trainer.optimizer.clear_grad()
                losses.append({name: float(np.asarray(value.numpy()).sum()) for name, value in outputs.items()})
                if len(losses) == count:
                    return losses

    yield run
    paddle.set_default_dtype("float32")
