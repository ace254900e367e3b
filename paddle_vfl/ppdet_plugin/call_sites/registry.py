"""The losses of the family in PaddleDetection's registry, as YAML tags such as ``!VarifocalLoss`` and as names in its
modules."""

import inspect

from .. import loss_key
from ..registration import register_class
from .site import CallSite, Place

__all__ = ["Registry"]


class Registry(CallSite):
    def find(self, modules):
        for name, cls in loss_key.FAMILY.items():
            yield Place(f"{name} and !{name}", target=_registered_class(name) or cls)

    def fits(self, place):
        theirs, ours = (loss_key.parameters(cls) for cls in (place.target, _ours(place)))
        return theirs == ours[: len(theirs)]

    def install(self, patches, place):
        from ppdet.core.config.schema import SchemaDict, extract_schema
        from ppdet.core.workspace import global_config

        ours = _ours(place)
        schema, there = extract_schema(ours), global_config.get(ours.__name__)
        if isinstance(there, SchemaDict):
            for option in schema.schema.keys() - there.schema.keys():
                patches.set_item(there.schema, option, schema.schema[option])
                patches.remove_item(there, option)
        elif there is None or isinstance(there, dict):  # PaddleDetection has no such loss
            register_class(patches, ours)
        if place.target is not ours:
            patches.set_name(ours.__name__, place.target, ours)
        _make_tag(patches, ours)


def _make_tag(patches, cls):
    import yaml
    from ppdet.core.workspace import serializable

    for loader in (yaml.Loader, yaml.FullLoader, yaml.UnsafeLoader):
        patches.keep_item(loader.yaml_constructors, f"!{cls.__name__}")
    patches.keep_item(yaml.Dumper.yaml_representers, cls)
    serializable(cls)


def _ours(place):
    return loss_key.FAMILY[place.name.split()[0]]


def _registered_class(name):
    """The class that PaddleDetection takes for the name: what the module that registered it has under that name."""
    from ppdet.core.workspace import SchemaDict, global_config

    value = global_config.get(name)  # an object, if a tag of the top level made one
    if value is None or type(value) is dict:
        return None
    module = value.pymodule if isinstance(value, SchemaDict) else inspect.getmodule(type(value))
    return getattr(module, name)
