"""What a config says of a module is checked when PaddleDetection makes it, which is before training starts.

PaddleDetection itself fails there too, later and without naming the key; it takes a misspelt block of the top level for
one that nobody asked for, and an injected mapping without a name for a plain dict.
"""

import difflib

from . import loss_key
from .call_sites import accepted_by, refuse
from .errors import ConfigError

__all__ = ["check_module"]


def check_module(name, config, top_level):
    """Check the config of one module; nothing is changed.

    Args:
        name (str): the module's name in the config.
        config (SchemaDict): its options.
        top_level (Iterable): the keys of the whole config that are no modules.

    Raises:
        ConfigError: an unknown option, an unknown name of a module, a loss for which the module has no use, or
            options that the loss refuses.
    """
    refuse(name, config)
    if config.strict:
        for option in sorted(config.find_extra_keys()):
            hint = loss_key.hint(option, config.schema)
            raise ConfigError(f"{name}.{option}: {name} has no such option{hint}")
    for key in dict.fromkeys([*config.inject, *(key for key in ("loss", "loss_class") if key in config.schema)]):
        if key == "loss_class" and config.get("loss") is not None:
            continue  # whose place `loss` takes
        value = config[key]
        if key == "loss":
            loss_class = config["loss_class"] if "loss_class" in config.schema else None
            cls = getattr(config.pymodule, name, None)
            loss_key.read_loss(f"{name}.{key}", value, accepted_by(cls) if isinstance(cls, type) else None, loss_class)
        elif not (isinstance(value, dict) and "name" not in value):
            loss_key.read(f"{name}.{key}", value)
    if "loss" in config.schema:
        top_level = [key for key in top_level if isinstance(key, str)]  # `on` and `1` are none in YAML
        for other in (
            other for loss in loss_key.FAMILY for other in difflib.get_close_matches(loss, top_level, cutoff=0.85)
        ):
            hint = loss_key.hint(other, loss_key.FAMILY)
            raise ConfigError(f"{other}: nothing in the config is called that{hint}")
    if name in loss_key.FAMILY:
        loss_key.read_block(name)
