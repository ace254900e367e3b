"""Settings laid over a config: none is lost, and a mapping without a name means the module that is there.

PaddleDetection's parser forgets the first of ``-o A.b.c=1 A.b.d=2``, and its merge puts the mapping ``{alpha: 0.5}`` in
the place of the name ``VarifocalLoss``, or of the data set that a tag made.
"""

import argparse
import copy
import functools
import re
import sys

from . import loss_key
from ..errors import one_line
from .errors import ConfigError

__all__ = ["complete_options", "number_in", "parse_options"]

# numbers that YAML 1.2 has and PyYAML, which reads YAML 1.1, takes for text: 1e-3, 1.e3
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")


def parse_options(options):
    """The nested dict of ``["a=1", "b.c=[2, 3]"]``; values are YAML, but 1e-3 is a number.

    Raises:
        ConfigError: an option is not of this shape, or one of them needs a mapping where another gave a value.
    """
    import yaml  # comes with PaddleDetection

    parsed = {}
    for option in options:
        path, equals, value = option.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ConfigError(f"option {option!r}: expected key=value")
        level = parsed
        for key in keys[:-1]:
            level = level.setdefault(key, {})
            if not isinstance(level, dict):
                raise ConfigError(f"option {option!r}: {key} was given a value before")
        try:
            value = yaml.load(value, Loader=yaml.Loader)
        except yaml.YAMLError as error:
            raise ConfigError(f"option {option!r}: {one_line(error)}") from error
        value, before = number_in(value), level.get(keys[-1])
        if isinstance(before, dict):
            if not isinstance(value, dict) or "name" in value:
                raise ConfigError(f"option {option!r}: keys of {keys[-1]} were given before")
            value = _merged(before, value)
        level[keys[-1]] = value
    return parsed


def _merged(before, after):
    """Both mappings, what is nested in them too; the later value where both have one."""
    nested = {
        key: _merged(before[key], value)
        for key, value in after.items()
        if isinstance(value, dict) and isinstance(before.get(key), dict)
    }
    return {**before, **after, **nested}


def number_in(value):
    """The number that a text such as "1e-3" is; anything else as it is. In lists and mappings it takes the place of the
    text."""
    if isinstance(value, (list, dict)):
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            value[key] = number_in(item)
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else value


def complete_options(patches):
    """Let PaddleDetection lay settings over a config without losing any."""
    from ppdet.core import workspace

    patches.set(workspace, "dict_merge", _complete(workspace.dict_merge, *_command_line()))
    from ppdet.utils.cli import ArgsParser

    patches.set(ArgsParser, "_parse_opt", lambda self, options: parse_options(options or ()))


def _command_line():
    """The options of the program that runs, as PaddleDetection's parser has them, and as they are meant: its tools may
    have parsed them before the config switched the plugin on."""
    from ppdet.utils.cli import ArgsParser

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-o", "--opt", nargs="*", default=[])
    options = parser.parse_known_args(sys.argv[1:])[0].opt
    try:
        return ArgsParser._parse_opt(None, options), parse_options(options)
    except Exception:  # of another program
        return {}, {}


def _complete(dict_merge, lossy, meant):
    """``ppdet.core.workspace.dict_merge``, which calls itself by its name for what is nested."""

    @functools.wraps(dict_merge)
    def merge(dct, merge_dct):
        if merge_dct == lossy:
            merge_dct = copy.deepcopy(meant)
        return dict_merge(dct, {key: _over(dct, key, value) for key, value in merge_dct.items()})

    return merge


def _over(dct, key, value):
    """What takes the place of ``dct[key]``: the value, with the name or the tag of what is there."""
    if not isinstance(value, dict) or "name" in value:
        return value
    try:
        there = dct[key]  # a module's default too
    except KeyError:
        return value
    import yaml

    if isinstance(there, str) and loss_key.is_registered(there):
        return {"name": there, **value}
    loss = loss_key.untagged(there)
    if loss is not there and key != loss["name"]:  # the block of that name stays an object
        return {**loss, **value}
    if f"!{type(there).__name__}" in yaml.Loader.yaml_constructors:
        there = copy.copy(there)
        for option, setting in value.items():
            if not hasattr(there, option):
                raise ConfigError(
                    f"{key}.{option}: {type(there).__name__} has no such option{loss_key.hint(option, vars(there))}"
                )
            setattr(there, option, setting)
        return there
    return value
