"""The YAML key ``loss: VarifocalLoss``, by name or as a mapping, for classes that PaddleDetection builds from a config.

It sets what PaddleDetection hard-codes in them: alpha, gamma, iou_weighted and the weight. ``use_sigmoid`` and
``reduction`` stay the class's own. Without the key, a class whose own switch says varifocal loss takes the options of
the top-level block ``VarifocalLoss``.
"""

import functools

from ..losses import VarifocalLoss
from .errors import ConfigError

__all__ = ["NAME", "accept_key", "accept_loss", "as_mapping"]

NAME = "VarifocalLoss"


_FORMULA = ("alpha", "gamma", "iou_weighted", "loss_weight")


def as_mapping(value):
    """What a VarifocalLoss object, made by a YAML tag, would be as a mapping; None of anything else. It may be
    PaddleDetection's."""
    if type(value).__name__ != NAME:
        return None
    return {"name": NAME, **{option: getattr(value, option) for option in ("use_sigmoid", "reduction", *_FORMULA)}}


def accept_key(patches, schema):
    """Let a config have ``loss``, None unless it is given."""
    if "loss" in schema.schema:
        return
    from ppdet.core.config.schema import SchemaValue

    value = SchemaValue("loss", "VarifocalLoss: a name, or a mapping with name, alpha, gamma, ...")
    value.set_default(None)
    patches.set_item(schema.schema, "loss", value)
    patches.on_undo(lambda: schema.pop("loss", None))


def accept_loss(patches, cls, schema, use, selected=lambda instance: False):
    """Let the config and the constructor of a class take ``loss``.

    Args:
        patches (Patches): undoes it.
        cls (type): the class.
        schema (SchemaDict): its entry in PaddleDetection's registry.
        use (Callable): ``use(instance, options)`` lets a new instance compute varifocal loss with these options.
        selected (Callable): ``selected(instance)``, whether PaddleDetection's own keys select varifocal loss for the
            instance.
    """
    if "loss" in schema.schema:
        return
    accept_key(patches, schema)
    patches.set(schema, "inject", [*schema.inject, "loss"])
    init = cls.__init__

    @functools.wraps(init)
    def __init__(self, *args, loss=None, **kwargs):
        init(self, *args, **kwargs)
        if loss is None and selected(self):
            loss = _top_level_loss()
        if loss is not None:
            use(self, _formula_of(loss, type(self)))

    patches.set(cls, "__init__", __init__)


def _top_level_loss():
    from ppdet.core.workspace import create

    return create(NAME)


def _formula_of(loss, cls):
    if not isinstance(loss, VarifocalLoss):
        raise ConfigError(
            f"{cls.__name__}.loss: got a {type(loss).__name__}, expected {NAME}, by name or as a mapping with that name"
        )
    return {option: getattr(loss, option) for option in _FORMULA}
