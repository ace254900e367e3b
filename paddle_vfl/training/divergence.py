"""Stops a training that has diverged before it overwrites what was good."""

import math

import paddle
from ppdet.engine.callbacks import Callback

from ..errors import UserError

__all__ = ["StopAtNaN"]


class StopAtNaN(Callback):
    """Raises UserError at the first loss that is not finite, and at the end of an epoch whose weights are not, before
    they are saved.

    Args:
        trainer (ppdet.engine.Trainer): the trainer.
        history (History): knows the losses.
    """

    def __init__(self, trainer, history):
        super().__init__(trainer)
        self.history = history
        self._images = ()
        trainer.model.register_forward_pre_hook(self._keep_images)

    def _keep_images(self, model, inputs):
        if model.training and isinstance(inputs[0], dict) and "im_id" in inputs[0]:
            self._images = inputs[0]["im_id"]

    def on_step_end(self, status):
        if status["mode"] != "train":
            return
        bad = [name for name, value in self.history.losses.items() if not math.isfinite(value)]
        if bad:
            name = next((name for name in bad if name != "loss"), "loss")
            self._stop(status, f"{name} is {self.history.losses[name]}")
        if status["step_id"] == status["steps_per_epoch"] - 1 and not self._weights_are_finite():
            self._stop(status, "a weight of the model is not finite")

    def _weights_are_finite(self):
        sums = [value.astype("float32").sum() for value in self.model.model.state_dict().values()]
        return bool(paddle.isfinite(paddle.stack(sums)).all())

    def _stop(self, status, what):
        raise UserError(
            f"{what} at epoch {status['epoch_id']}, step {status['step_id']}{self._names()}: training has diverged. "
            f"What usually helps: {', '.join(self._advice())}. What was saved before is kept; --allow_nan goes on"
        )

    def _names(self):
        files = {int(record["im_id"]): record["im_file"] for record in self.model.dataset.roidbs if "im_file" in record}
        names = [files[int(image)] for image in self._images if int(image) in files]
        return f", with {', '.join(names)}" if names else ""

    def _advice(self):
        cfg = self.model.cfg
        yield f"a lower LearningRate.base_lr (it is {cfg.LearningRate['base_lr']:g})"
        yield "a longer warm-up"
        builder = cfg.OptimizerBuilder
        if builder["clip_grad_by_norm"] is None and builder["clip_grad_by_value"] is None:
            yield "OptimizerBuilder.clip_grad_by_norm=10"
