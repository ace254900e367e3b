"""Says once for each model that PaddleDetection builds what its classification loss is."""

import logging
import sys

import paddle

from .call_sites import running_formula

__all__ = ["announce", "logger", "make_visible"]

logger = logging.getLogger("paddle_vfl")


def announce(model):
    """Log the varifocal losses of a model, or a warning if it has none."""
    lines = {}
    for layer in model.sublayers(include_self=True):
        formula = running_formula(layer)
        if formula is not None:
            lines[f"{type(layer).__name__}: fused varifocal loss, {_text(formula)}"] = None
    for line in lines:
        logger.info(line)
    if not lines:
        logger.warning(
            "paddle_vfl is enabled, but nothing in this %s computes varifocal loss: it trains with its own loss",
            type(model).__name__,
        )


def make_visible():
    """Let the user see the log on stdout, as PaddleDetection's own, unless the program has set up this logger."""
    if logger.handlers or logger.level != logging.NOTSET:
        return
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("[%(asctime)s] %(name)s %(levelname)s: %(message)s", "%m/%d %H:%M:%S"))
    handler.addFilter(lambda record: paddle.distributed.get_rank() == 0)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # other packages add handlers to the root when they first warn


def _text(formula):
    said = [f"alpha {formula['alpha']}", f"gamma {formula['gamma']}"]
    said += [] if formula["iou_weighted"] else ["positives not weighted by the IoU"]
    said += [] if formula["loss_weight"] == 1 else [f"loss_weight {formula['loss_weight']}"]
    return ", ".join(said)
