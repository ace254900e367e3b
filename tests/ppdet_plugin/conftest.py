"""Everything here needs PaddleDetection."""

import pytest

import paddle_vfl
from paddle_vfl.ppdet_plugin import version_fixes
from paddle_vfl.ppdet_plugin.patches import Patches


@pytest.fixture(autouse=True)
def _clean(clean_ppdet):
    """All tests here."""


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
