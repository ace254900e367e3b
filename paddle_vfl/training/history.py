"""A record of training that programs can read: one JSON object a line."""

import json
import os

import paddle
import paddle.distributed as dist
from ppdet.engine.callbacks import Callback

__all__ = ["History", "read_history"]

NAME = "history.jsonl"


class History(Callback):
    """Writes ``history.jsonl`` into the run's output folder.

    Lines are ``{"epoch": int, "step": int, "lr": float, "losses": {name: float}}`` for a step and
    ``{"epoch": int, "eval": {name: [float, ...]}}`` for an evaluation. Losses are means over the processes. A run that
    starts at epoch 0 starts the file anew; a resumed one goes on with it, in the place of what came after its
    checkpoint.
    """

    def __init__(self, trainer, folder):
        super().__init__(trainer)
        self.path = os.path.join(folder, NAME)
        self.losses = {}
        # PaddleDetection keeps the losses of the first process only
        trainer.model.register_forward_post_hook(self._keep_losses)

    def _keep_losses(self, model, inputs, outputs):
        if model.training and isinstance(outputs, dict):
            self.losses = {name: value.detach() for name, value in outputs.items() if name.startswith("loss")}

    def on_train_begin(self, status):
        if dist.get_rank() == 0:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            start, kept = self.model.start_epoch, []
            if start > 0 and os.path.exists(self.path):
                with open(self.path) as file:
                    kept = [line for line in file if _is_before(start, line)]
            with open(self.path, "w") as file:
                file.writelines(kept)

    def on_step_end(self, status):
        if status["mode"] != "train":
            return
        losses = self._mean_losses()
        if dist.get_rank() == 0:
            self._write(
                {
                    "epoch": status["epoch_id"],
                    "step": status["step_id"],
                    "lr": float(status["learning_rate"]),
                    "losses": losses,
                }
            )

    def _mean_losses(self):
        values = paddle.stack([value.sum().cast("float32") for value in self.losses.values()])
        if dist.get_world_size() > 1:
            dist.all_reduce(values)
            values /= dist.get_world_size()
        return dict(zip(self.losses, values.tolist()))

    def on_epoch_end(self, status):
        if status["mode"] == "eval" and "epoch_id" in status and dist.get_rank() == 0:
            results = {
                name: [float(v) for v in values]
                for metric in self.model._metrics
                for name, values in metric.get_results().items()
            }
            self._write({"epoch": status["epoch_id"], "eval": results})

    def _write(self, record):
        with open(self.path, "a") as file:
            file.write(json.dumps(record) + "\n")


def _is_before(epoch, line):
    try:
        return json.loads(line)["epoch"] < epoch
    except (ValueError, KeyError, TypeError):  # cut off when the run was killed
        return False


def read_history(path):
    """(steps, evaluations): the records of a ``history.jsonl``."""
    with open(path) as file:
        records = [json.loads(line) for line in file]
    return [r for r in records if "losses" in r], [r for r in records if "eval" in r]
