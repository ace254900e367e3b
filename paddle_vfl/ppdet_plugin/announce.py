"""Says once for each model that PaddleDetection builds what its classification loss is."""

import logging
import sys

import paddle

from ..losses import VarifocalLoss
from ..losses.varifocal import positive_weight_of
from .call_sites import running_loss
from .loss_key import parameters

__all__ = ["announce", "logger", "make_visible"]

logger = logging.getLogger("paddle_vfl")


def announce(model):
    """Log the fused losses of a model, or a warning if it has none."""
    lines = {}
    for layer in model.sublayers(include_self=True):
        loss = running_loss(layer)
        if loss is not None:
            lines[f"{type(layer).__name__}: fused {loss.title}, {_text(loss)}"] = None
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


def _text(loss):
    """The powers of a loss, and whatever else is not its default."""
    said = {name: getattr(loss, name) for name, default in parameters(type(loss)) if getattr(loss, name) != default}
    powers = [
        f"{name} {getattr(loss, name)}" for name in ("alpha", "beta", "gamma") if name in dict(parameters(type(loss)))
    ]
    others = []
    if isinstance(loss, VarifocalLoss) and positive_weight_of(loss.iou_weighted, loss.positive_weight) == "one":
        others.append("positives not weighted by the IoU")
    elif "positive_weight" in said:
        others.append(f"positive_weight {loss.positive_weight}")
    others += [f"{name} {said[name]}" for name in ("target_power", "detach_weight", "loss_weight") if name in said]
    if loss.class_weight is not None:
        others.append(f"class weights from {min(loss.class_weight):.3g} to {max(loss.class_weight):.3g}")
    return ", ".join(powers + others)
