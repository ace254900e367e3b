"""PaddleDetection's Trainer, whose faults are said in words."""

import traceback

import ppdet.engine

from ..errors import UserError, one_line

__all__ = ["Trainer"]

COCO_METRICS = ("COCO", "SNIPERCOCO")


class Trainer(ppdet.engine.Trainer):
    """As PaddleDetection's; raises UserError where it cannot make a module of its options, or where the metric does not
    suit the data set."""

    def __init__(self, cfg, mode):
        try:
            super().__init__(cfg, mode)
        except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            owners = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
            made = [type(owner) for owner in owners if type(owner).__module__.startswith("ppdet.")]
            what = f" of the options of {made[-1].__name__}" if made else ""
            raise UserError(f"no model can be made{what}: {type(error).__name__}: {one_line(error)}") from error

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
