"""``VarifocalLoss`` in PaddleDetection's registry, as the YAML tag ``!VarifocalLoss`` and as a name in its modules."""

import inspect

from ...losses import VarifocalLoss
from ..loss_key import NAME
from .site import CallSite, Place

__all__ = ["Registry"]


class Registry(CallSite):
    def find(self, modules):
        yield Place(f"{NAME} and !{NAME}", target=_registered_class())

    def fits(self, place):
        return _parameters(place.target) == _parameters(VarifocalLoss)

    def install(self, patches, place):
        if place.target is VarifocalLoss:
            return
        import yaml
        from ppdet.core.workspace import serializable

        patches.set_name(NAME, place.target, VarifocalLoss)
        for loader in (yaml.Loader, yaml.FullLoader, yaml.UnsafeLoader):
            patches.keep_item(loader.yaml_constructors, f"!{NAME}")
        patches.keep_item(yaml.Dumper.yaml_representers, VarifocalLoss)
        serializable(VarifocalLoss)


def _registered_class():
    """The class that PaddleDetection takes for the name: what the module that registered it has under that name."""
    from ppdet.core.workspace import SchemaDict, global_config

    value = global_config[NAME]  # an object, if a tag of the top level made one
    module = value.pymodule if isinstance(value, SchemaDict) else inspect.getmodule(type(value))
    return getattr(module, NAME)


def _parameters(cls):
    return [(p.name, p.default) for p in inspect.signature(cls.__init__).parameters.values()]
