"""Heads with a key ``loss_class`` for a loss of soft scores. ``loss`` is another name of it, before which it goes."""

from ...losses import FamilyLoss
from .. import loss_key
from .site import CallSite, Place

__all__ = ["LossClass"]

KEY = "loss_class"
# heads whose loss is made for these scores: their default, however PaddleDetection spells it, or quality focal loss
_DEFAULTS = ("varifocalloss", "qualityfocalloss")
# heads that give the loss probabilities: VarifocalLoss there needs `use_sigmoid: false`, which `loss` implies
_PROBABILITIES = ("PicoHeadV2",)


class LossClass(CallSite):
    accepted = None

    def find(self, modules):
        for cls, schema in modules.items():
            value = schema.schema.get(KEY)
            if value is not None and value.has_default() and str(value.default).lower() in _DEFAULTS:
                yield Place(f"{cls.__name__}: {KEY}", cls, schema)

    def fits(self, place):
        return True

    def install(self, patches, place):
        # PaddleDetection would make the layer itself, and could not from a tag
        if KEY in place.target.inject:
            patches.set(place.target, "inject", [key for key in place.target.inject if key != KEY])

    def arguments(self, cls, arguments, loss):
        before, implied = arguments[KEY], {}
        if loss is None:
            if isinstance(before, str) and not loss_key.is_registered(before):
                return  # PaddleDetection's own default of PicoHead; in a config it has been refused by now
            loss = loss_key.read(f"{cls.__name__}.{KEY}", before)
        elif isinstance(before, dict) and "use_sigmoid" in before:
            implied = {"use_sigmoid": before["use_sigmoid"]}
        elif any(base.__name__ in _PROBABILITIES for base in cls.__mro__):
            implied = {"use_sigmoid": False}
        if loss is not None:
            arguments[KEY] = loss.layer(**(implied if loss.name in loss_key.FAMILY else {}))

    def loss(self, instance):
        return next((layer for layer in instance.children() if isinstance(layer, FamilyLoss)), None)
