"""A record of training that programs can read: one JSON object a line."""
import json
import os

import paddle.distributed as dist
from ppdet.engine.callbacks import Callback

__all__ = ["History", "read_history"]

NAME = "history.jsonl"


class History(Callback):
    """Writes ``history.jsonl`` into the run's output folder.

    Lines are ``{"epoch": int, "step": int, "lr": float, "losses": {name: float}}`` for a step and
    ``{"epoch": int, "eval": {name: [float, ...]}}`` for an evaluation. A run that starts at epoch 0 starts the file anew, a resumed
    one goes on with it.
    """

    def __init__(self, trainer, folder):
        super().__init__(trainer)
        self.path = os.path.join(folder, NAME)

    def on_train_begin(self, status):
        if dist.get_rank() == 0:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            if self.model.start_epoch == 0:
                open(self.path, "w").close()

    def on_step_end(self, status):
        if status["mode"] == "train" and dist.get_rank() == 0:
            losses = {name: float(meter.value) for name, meter in status["training_staus"].meters.items()}
            self._write({"epoch": status["epoch_id"], "step": status["step_id"], "lr": float(status["learning_rate"]), "losses": losses})

    def on_epoch_end(self, status):
        if status["mode"] == "eval" and "epoch_id" in status and dist.get_rank() == 0:
            results = {name: [float(v) for v in values] for metric in self.model._metrics for name, values in metric.get_results().items()}
            self._write({"epoch": status["epoch_id"], "eval": results})

    def _write(self, record):
        with open(self.path, "a") as file:
            file.write(json.dumps(record) + "\n")


def read_history(path):
    """(steps, evaluations): the two kinds of records of a ``history.jsonl``."""
    with open(path) as file:
        records = [json.loads(line) for line in file]
    return [r for r in records if "losses" in r], [r for r in records if "eval" in r]
