"""One mechanism for all call sites: find the places, check each by value, install, and apply what the config
says."""

import dataclasses
import functools
import inspect
from typing import Any, Optional

from ...losses import VarifocalLoss
from .. import loss_key
from ..errors import ConfigError

__all__ = ["CallSite", "Place", "accepted_by", "loss_of", "running_loss", "switch_site"]

_ATTRIBUTE = "_paddle_vfl_loss"
_site_of: dict = {}


@dataclasses.dataclass(frozen=True)
class Place:
    """One place: its name, for people; the registered class that takes the key ``loss`` there, if one does; and
    whatever the call site wants to know of it."""

    name: str
    cls: Optional[type] = None
    target: Any = None


class CallSite:
    """Places that are alike. A subclass says how it is found, and how a class there reaches the loss.

    ``accepted``: names of the losses that a class there takes under the key ``loss``, None for any.
    ``own_key``: PaddleDetection's own key that selects varifocal loss there.
    """

    accepted: Optional[tuple] = tuple(loss_key.FAMILY)
    own_key: Optional[str] = None

    def find(self, modules):
        """The Places among the registered classes {class: SchemaDict}."""
        raise NotImplementedError

    def fits(self, place):
        """Whether it is what the fused loss takes the place of, checked by its signature and by its values."""
        raise NotImplementedError

    def install(self, patches, place):
        """Put the fused loss there."""

    def arguments(self, cls, arguments, loss):
        """Change the constructor's arguments, a dict by name, before an instance is made. ``loss`` may be None."""

    def selected(self, instance):
        """Whether an instance computes a loss of the family; a new one, where PaddleDetection's own keys select it."""
        return loss_of(instance) is not None

    def apply(self, instance, loss):
        """Let a new instance compute the loss of a LossSpec."""

    def loss(self, instance):
        """The loss of the family that an instance computes, as a layer; None if it computes another one."""
        if not self.selected(instance):
            return None
        loss = loss_of(instance)
        return VarifocalLoss() if loss is None else loss.layer()


def switch_site(site, patches, modules):
    """[(name of the place, whether it was switched)] of all places of a call site."""
    result = []
    for place in list(site.find(modules)):
        fits = site.fits(place)
        if fits:
            site.install(patches, place)
            if place.cls is not None:
                _accept_loss(site, patches, place.cls, modules[place.cls])
        result.append((place.name, fits))
    return result


def loss_of(instance):
    """The LossSpec that was applied to an instance, or None."""
    return vars(instance).get(_ATTRIBUTE)


def running_loss(instance):
    """The fused loss that an instance computes, as a layer; None if it computes none."""
    site = _site(type(instance))
    return None if site is None else site.loss(instance)


def accepted_by(cls):
    """Names of the losses that a class takes under the key ``loss``; None for any."""
    site = _site(cls)
    return None if site is None else site.accepted


def _site(cls):
    return next((_site_of[base] for base in cls.__mro__ if base in _site_of), None)


def _accept_loss(site, patches, cls, schema):
    """Let the config and the constructor of a class take ``loss``."""
    if "loss" in schema.schema:
        return
    from ppdet.core.config.schema import SchemaValue

    key = SchemaValue(
        "loss", "VarifocalLoss or another of its family: a name, or a mapping with name, alpha, gamma, ..."
    )
    key.set_default(None)
    patches.set_item(schema.schema, "loss", key)
    patches.remove_item(schema, "loss")
    init = cls.__init__
    signature = inspect.signature(init)

    @functools.wraps(init)
    def __init__(self, *args, loss=None, **kwargs):
        name = type(self).__name__
        bound = signature.bind(self, *args, **kwargs)
        said = bound.arguments.get(site.own_key)  # not a default
        bound.apply_defaults()
        spec = loss_key.read_loss(f"{name}.loss", loss, site.accepted, bound.arguments.get("loss_class"))
        if spec is not None and said is False:
            raise ConfigError(f"{name}.{site.own_key} is false, and {name}.loss is {spec.name}: leave one of them out")
        site.arguments(type(self), bound.arguments, spec)
        init(*bound.args, **bound.kwargs)
        if spec is None and site.selected(self):
            spec = loss_key.read_block()
        if spec is not None:
            spec.read_options()  # now: by its first batch the config may be another
            setattr(self, _ATTRIBUTE, spec)
            site.apply(self, spec)
        of_family = spec is not None and spec.name in loss_key.FAMILY
        _check_class_weight(self, spec.layer() if of_family else site.loss(self))

    __init__.__signature__ = signature  # of which PaddleDetection makes the schema of a subclass
    patches.set(cls, "__init__", __init__)
    patches.set_item(_site_of, cls, site)


def _check_class_weight(instance, loss):
    """Refuse class weights that are not one for each class, before training finds out."""
    classes = getattr(instance, "num_classes", None)
    weights = None if loss is None else loss.class_weight
    if weights is not None and classes is not None and len(weights) != classes:
        raise ConfigError(
            f"{type(instance).__name__}.loss.class_weight has {len(weights)} numbers, and num_classes is {classes}: "
            "expected one for each class"
        )
