"""What a config says of a module is checked when PaddleDetection makes it, which is before training starts.

PaddleDetection itself fails there too, later and without naming the key; it takes a misspelt block of the top level for
one that nobody asked for, and an injected mapping without a name for a plain dict.
"""

import difflib

from ..losses import VarifocalLoss
from .errors import ConfigError
from .loss_key import NAME, as_mapping

__all__ = ["check_module"]


def check_module(name, config, registered, top_level):
    """Check the config of one module.

    Args:
        name (str): the module's name in the config.
        config (SchemaDict): its options.
        registered (Mapping[str, SchemaDict]): all modules.
        top_level (Iterable[str]): the other keys of the whole config.

    Raises:
        ConfigError: an unknown option, an unknown name of a module, or options that VarifocalLoss refuses.
    """
    if config.strict:
        for option in sorted(config.find_extra_keys()):
            raise ConfigError(f"{name}.{option}: {name} has no such option{_hint(option, config.schema)}")
    named = config.get("loss") is not None  # it takes the place of loss_class
    for key in dict.fromkeys([*config.inject, *(["loss"] if named else [])]):
        if config[key] is not None and not (named and key == "loss_class"):
            _check_injected(f"{name}.{key}", config, key, registered)
    if "loss" in config.schema:
        for other in difflib.get_close_matches(NAME, top_level, cutoff=0.85):
            raise ConfigError(f"{other}: nothing in the config is called that{_hint(other, [NAME])}")
    if name == NAME:
        _check_options(name, config)


def _check_injected(path, config, key, registered):
    value = config[key]
    tagged = as_mapping(value)
    if tagged is not None:  # PaddleDetection cannot inject an object that a YAML tag made
        config[key] = value = tagged
    if isinstance(value, dict):
        if "name" not in value:
            if key == "loss":
                raise ConfigError(f"{path}: the mapping has no name, expected {{name: {NAME}, ...}}")
            return
        target, options = str(value["name"]), {k: v for k, v in value.items() if k != "name"}
    elif isinstance(value, str):
        target, options = value, {}
    else:
        return
    if target not in registered:
        raise ConfigError(f"{path}: there is no {target!r}{_hint(target, registered)}")
    schema = registered[target]
    if getattr(schema, "strict", False):
        for option in sorted(set(options) - set(schema.schema)):
            raise ConfigError(f"{path}.{option}: {target} has no such option{_hint(option, schema.schema)}")
    if target == NAME:
        _check_options(path, options)


def _check_options(path, options):
    try:
        VarifocalLoss(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _hint(word, known):
    lowered = {candidate.lower(): candidate for candidate in known if isinstance(candidate, str)}
    close = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[close[0]]!r}?" if close else ""
