"""PaddleDetection's Trainer, whose faults are said in words."""

import contextlib
import traceback
from pathlib import Path

import paddle
import ppdet.engine

from ..errors import UserError, one_line

__all__ = ["Trainer", "misfit_explained"]

COCO_METRICS = ("COCO", "SNIPERCOCO")
# what modules raise at options or batches that they are not made for
MISFITS = (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


@contextlib.contextmanager
def misfit_explained(is_first=lambda: True):
    """Raise UserError where a model fails at a batch, and name the layer and its line. ``is_first`` says whether it is
    the first batch: what fails later does not come from the options, and stays as it is."""
    try:
        yield
    except UserError:
        raise
    except MISFITS as error:
        layers = [
            (layer, Path(frame.f_code.co_filename).name, line)
            for frame, line in traceback.walk_tb(error.__traceback__)
            if isinstance(layer := frame.f_locals.get("self"), paddle.nn.Layer) and not _is_of_paddle(layer)
        ]
        if not layers or not is_first():
            raise
        layer, file, line = layers[-1]
        where = f"{type(layer).__name__}, {file}:{line}"
        raise UserError(f"the model cannot take a batch: {where}: {type(error).__name__}: {one_line(error)}") from error


def _is_of_paddle(layer):
    return type(layer).__module__.partition(".")[0] == "paddle"


class Trainer(ppdet.engine.Trainer):
    """As PaddleDetection's; raises UserError where it cannot make a module of its options, where the model fails at its
    first batch, or where the metric does not suit the data set."""

    def __init__(self, cfg, mode):
        try:
            super().__init__(cfg, mode)
        except UserError:
            raise
        except MISFITS as error:
            owners = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
            made = [type(owner) for owner in owners if type(owner).__module__.startswith("ppdet.")]
            what = f" of the options of {made[-1].__name__}" if made else ""
            raise UserError(f"no model can be made{what}: {type(error).__name__}: {one_line(error)}") from error

    def train(self, validate=False):
        with misfit_explained(self._is_at_first_batch):
            super().train(validate)

    def evaluate(self):
        with misfit_explained(self._is_at_first_batch):
            super().evaluate()

    def _is_at_first_batch(self):
        status = self.status
        is_first = status.get("mode") == "eval" or status.get("epoch_id") == self.start_epoch
        return status.get("step_id") == 0 and is_first

    def check_steps(self):
        """Raise UserError if an epoch would have no step."""
        if len(self.loader) == 0:
            images, batch = len(self.dataset), self.cfg.TrainReader["batch_size"]
            processes = f" for {self._nranks} processes" if self._nranks > 1 else ""
            raise UserError(
                f"TrainDataset has {images} images with boxes{processes}, and TrainReader.batch_size is {batch}: a "
                "batch that is not full is dropped (drop_last), so that no step would be made; add "
                f"-o TrainReader.batch_size={max(1, images // self._nranks)}"
            )

    def check_metric(self):
        """Make the metric of the evaluations during training, which is otherwise made after the first epoch."""
        from ppdet.core.workspace import create

        self.cfg["EvalDataset"] = create("EvalDataset")()
        self._init_metrics(validate=True)
        self._metrics = []

    def _init_metrics(self, validate=False):
        metric = self.cfg.get("metric")
        try:
            super()._init_metrics(validate)
        except (AssertionError, AttributeError, KeyError) as error:
            raise UserError(f"metric {metric} does not suit the data set: {one_line(error)}") from error
        for made in self._metrics if metric in COCO_METRICS else ():
            if not str(made.anno_file).endswith(".json"):
                raise UserError(f"metric {metric} needs COCO annotations, and EvalDataset has {made.anno_file}")
