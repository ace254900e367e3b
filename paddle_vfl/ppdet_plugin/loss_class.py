"""``VarifocalLoss`` in PaddleDetection's registry, as the YAML tag ``!VarifocalLoss`` and as a name in its modules; and
``loss`` as another name of the key ``loss_class`` of the heads that take it."""

import inspect

from ..losses import VarifocalLoss
from .loss_key import NAME, accept_key, as_mapping

__all__ = ["adopt_loss_key", "adopt_top_level_tag", "switch_loss_class"]

# heads whose loss is made for these scores: their default, however PaddleDetection spells it, or quality focal loss
_DEFAULTS = ("varifocalloss", "qualityfocalloss")
# heads that give the loss probabilities: VarifocalLoss there needs `use_sigmoid: false`, which `loss: VarifocalLoss`
# implies
_PROBABILITIES = ("PicoHeadV2",)


def switch_loss_class(patches, modules):
    """Put the fused layer wherever the class of PaddleDetection is. Returns (call sites switched, call sites left
    alone)."""
    import yaml
    from ppdet.core.workspace import global_config, serializable

    # PaddleDetection builds an injected loss by looking its name up in the module that registered it
    module = (
        global_config[NAME].pymodule
        if hasattr(global_config[NAME], "pymodule")
        else inspect.getmodule(type(global_config[NAME]))
    )
    original = getattr(module, NAME)
    heads = {cls: schema for cls, schema in modules.items() if _takes_scores(schema)}
    sites = [f"{NAME} and !{NAME}", *(f"{cls.__name__}: loss_class" for cls in heads)]
    if original is not VarifocalLoss:
        if _parameters(original) != _parameters(VarifocalLoss):
            return [], sites
        patches.set_name(NAME, original, VarifocalLoss)
        tag = f"!{NAME}"
        for loader in (yaml.Loader, yaml.FullLoader, yaml.UnsafeLoader):
            patches.on_undo(_restore(loader.yaml_constructors, tag))
        patches.on_undo(_restore(yaml.Dumper.yaml_representers, VarifocalLoss))
        serializable(VarifocalLoss)
    for schema in heads.values():
        accept_key(patches, schema)
    return sites, []


def adopt_top_level_tag(config):
    """``VarifocalLoss: !VarifocalLoss {...}`` on the top level, read before the loss was switched, is PaddleDetection's
    object."""
    options = as_mapping(config[NAME])
    if options is not None and not isinstance(config[NAME], VarifocalLoss):
        del options["name"]
        config[NAME] = VarifocalLoss(**options)


def adopt_loss_key(cls, config):
    """Before a head is made from its config: what its key ``loss`` says becomes its ``loss_class``."""
    if not _takes_scores(config) or "loss" not in config:
        return
    loss = config.pop("loss")
    if loss is None:
        return
    loss = {"name": loss} if isinstance(loss, str) else dict(loss)
    before = config["loss_class"]
    if isinstance(before, dict) and "use_sigmoid" in before:
        loss.setdefault("use_sigmoid", before["use_sigmoid"])
    elif any(base.__name__ in _PROBABILITIES for base in cls.__mro__):
        loss.setdefault("use_sigmoid", False)
    config["loss_class"] = loss


def _takes_scores(schema):
    value = schema.schema.get("loss_class")
    return value is not None and value.has_default() and str(value.default).lower() in _DEFAULTS


def _parameters(cls):
    return [(p.name, p.default) for p in inspect.signature(cls.__init__).parameters.values()]


def _restore(table, key):
    """An action that puts back what ``table[key]`` is now."""
    if key in table:
        value = table[key]
        return lambda: table.__setitem__(key, value)
    return lambda: table.pop(key, None)
