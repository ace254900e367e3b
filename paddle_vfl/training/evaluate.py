"""``paddle-vfl eval``."""

import contextlib
import logging
import os
import re

from ..ppdet_plugin.patches import Patches
from . import checkpoints, configs, data_checks
from .faults import explained

__all__ = ["evaluate"]

logger = logging.getLogger("paddle_vfl")
# of a file, in characters; systems take 255 bytes
LONGEST_NAME = 80


def evaluate(config, options=(), classwise=False):
    """Evaluate ``weights`` of a config on its EvalDataset. Returns {metric name: results}.

    Raises:
        UserError: the config, the weights or the data are missing or wrong, or the weights do not fit the config.
    """
    cfg = configs.load(config, options)
    cfg["classwise"] = classwise
    folder = configs.make_run_folder(cfg)
    data_checks.check_data(cfg, folder, "EvalDataset")
    with explained(folder, cfg.worker_num):
        trainer = checkpoints.trainer_with_weights(cfg, "eval")

        from .history import results_of

        results = {}
        # PaddleDetection forgets the metrics once it has logged them
        for metric in trainer._metrics:
            metric.log = _then(metric.log, lambda: results.update(results_of(trainer)))
        with _curves_in(folder):
            trainer.evaluate()
    if cfg.metric == "COCO" and not any(results.get("bbox", [1])):
        logger.warning(
            "AP 0.000: nothing was found in %d images with a score above the threshold of the model's NMS. A model that"
            " was trained too little finds nothing; are these its weights, and images like those it was trained on?",
            len(trainer.dataset),
        )
    return results


@contextlib.contextmanager
def _curves_in(folder):
    """Let PaddleDetection write its curve of every class into the folder, whatever the class is called, and give the
    results of every class its name: the evaluator has them by id, and PaddleDetection takes the order of the file."""
    from ppdet.metrics import map_utils
    from pycocotools.coco import COCO

    draw, category_ids, patches = map_utils.draw_pr_curve, COCO.getCatIds, Patches()
    patches.set(COCO, "getCatIds", lambda self, *args, **kwargs: sorted(category_ids(self, *args, **kwargs)))

    def draw_there(*args, out_dir, file_name, **kwargs):
        file_name = re.sub(r"[/\\\0]", "_", file_name)[-LONGEST_NAME:]
        return draw(*args, out_dir=os.path.join(folder, out_dir), file_name=file_name, **kwargs)

    patches.set_name("draw_pr_curve", draw, draw_there)
    try:
        yield
    finally:
        patches.undo()


def _then(function, after):
    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        after()
        return result

    return wrapper
