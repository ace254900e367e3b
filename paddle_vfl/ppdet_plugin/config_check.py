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
        _refuse_misspelt(top_level)
    if name in loss_key.FAMILY:
        loss_key.read_block(name)


def _refuse_misspelt(keys):
    """Refuse what is nearly the name of a loss; `_VarifocalLoss` and `MyVarifocalLoss` hold something on purpose."""
    keys = [key for key in keys if isinstance(key, str)]  # `on` and `1` are none in YAML
    for loss in loss_key.FAMILY:
        for key in difflib.get_close_matches(loss, keys, cutoff=0.85):
            if not key.endswith(loss):
                raise ConfigError(f"{key}: nothing in the config is called that{loss_key.hint(key, loss_key.FAMILY)}")
