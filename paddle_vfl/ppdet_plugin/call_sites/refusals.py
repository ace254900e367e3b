"""Modules that have no use for a loss of soft scores, and why: what a config is told that asks for one."""

from .. import loss_key
from ..errors import ConfigError

__all__ = ["refuse"]

_OBJECTNESS = "it trains the classes on positives only, beside an objectness: varifocal loss would have no negatives"
_SOFTMAX = "it classifies with a softmax, and varifocal loss is for sigmoids"
_HEAT_MAP = "it trains Gaussian heat maps, whose values are no scores of boxes"
_REASONS = {
    "YOLOXHead": _OBJECTNESS,
    "YOLOv3Head": _OBJECTNESS,  # PP-YOLO's too
    "YOLOv5Head": _OBJECTNESS,
    "YOLOv7Head": _OBJECTNESS,
    "YOLOv3Loss": _OBJECTNESS,
    "SSDHead": _SOFTMAX,
    "SSDLoss": _SOFTMAX,
    "FaceHead": _SOFTMAX,
    "BBoxHead": _SOFTMAX,  # Faster R-CNN's, and its cascade's
    "CenterNetHead": _HEAT_MAP,
    "TTFHead": _HEAT_MAP,
    "S2ANetHead": "the IoU of its rotated boxes needs an operator that PaddlePaddle does not have",
    "FCOSLoss": "the key belongs to FCOSHead, which ranks its boxes without centerness then",
}


def refuse(name, config):
    """Check that a module does not ask for a loss that it has no use for.

    Args:
        name (str): the module's name.
        config (SchemaDict): its options.

    Raises:
        ConfigError: it does.
    """
    loss = loss_key.family_name(config.get("loss"))
    cls = getattr(config.pymodule, name, None)
    if loss is None or not isinstance(cls, type):
        return
    reason = next((_REASONS[base.__name__] for base in cls.__mro__ if base.__name__ in _REASONS), None)
    if reason is None and "loss" in config.inject:
        reason = f"its loss is one of boxes and classes together, as {config.schema['loss'].default} is"
        if config.schema["loss"].default in ("DETRLoss", "DINOLoss"):
            reason += ", which takes it under its own key `loss`"
    if reason is not None:
        raise ConfigError(f"{name}.loss: {name} does not take {loss}: {reason}")
