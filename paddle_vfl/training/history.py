"""A record of training that programs can read: one JSON object a line."""

import json
import math
import os

import paddle
import paddle.distributed as dist
from ppdet.engine.callbacks import Callback
from ppdet.metrics import COCOMetric

__all__ = ["History", "read_history", "results_of"]

NAME = "history.jsonl"
COCO_VALUES = 12


class History(Callback):
    """Writes ``history.jsonl`` into the run's output folder.

    Lines are ``{"epoch": int, "step": int, "lr": float, "losses": {name: float}}`` for a step and
    ``{"epoch": int, "eval": {name: [float, ...]}}`` for an evaluation; null stands for what is not finite. Losses are
    means over the processes. A run that starts at epoch 0 starts the file anew; a resumed one goes on with it, instead
    of what came after its checkpoint.

    ``losses`` are those of the last step.
    """

    def __init__(self, trainer, folder):
        super().__init__(trainer)
        self.path = os.path.join(folder, NAME)
        self.losses = {}
        self._tensors = {}
        # PaddleDetection keeps the losses of the first process only
        trainer.model.register_forward_post_hook(self._keep_losses)

    def _keep_losses(self, model, inputs, outputs):
        if model.training and isinstance(outputs, dict):
            self._tensors = {name: value.detach() for name, value in outputs.items() if name.startswith("loss")}

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
        self.losses = self._mean_losses()
        if dist.get_rank() == 0:
            self._write(
                {
                    "epoch": status["epoch_id"],
                    "step": status["step_id"],
                    "lr": float(status["learning_rate"]),
                    "losses": {name: _finite(value) for name, value in self.losses.items()},
                }
            )

    def _mean_losses(self):
        values = paddle.stack([value.sum().cast("float32") for value in self._tensors.values()])
        if dist.get_world_size() > 1:
            dist.all_reduce(values)
            values /= dist.get_world_size()
        return dict(zip(self._tensors, values.tolist()))

    def on_epoch_end(self, status):
        if status["mode"] == "eval" and "epoch_id" in status and dist.get_rank() == 0:
            results = {name: [_finite(float(v)) for v in values] for name, values in results_of(self.model).items()}
            self._write({"epoch": status["epoch_id"], "eval": results})

    def _write(self, record):
        with open(self.path, "a") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")


def results_of(trainer):
    """{metric name: results} of an evaluation that has just ended; zeros where COCO's has none for want of a box."""
    results = {}
    for metric in trainer._metrics:
        results.update(metric.get_results())
        if isinstance(metric, COCOMetric) and not metric.save_prediction_only:
            results.setdefault("bbox", [0.0] * COCO_VALUES)
    return results


def _finite(value):
    return value if math.isfinite(value) else None


def _is_before(epoch, line):
    try:
        return json.loads(line)["epoch"] < epoch
    except (ValueError, KeyError, TypeError):  # cut off when the run was killed
        return False


def read_history(path):
    """(steps, evaluations): the records of a ``history.jsonl``; what is null there is NaN."""
    with open(path) as file:
        records = [json.loads(line) for line in file]
    for losses in (record["losses"] for record in records if "losses" in record):
        losses.update({name: math.nan for name, value in losses.items() if value is None})
    return [r for r in records if "losses" in r], [r for r in records if "eval" in r]
