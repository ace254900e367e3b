"""The files of a config as text: what PaddleDetection would stumble over, and which file says what."""

import collections
import dataclasses
import os
from pathlib import Path

import yaml

from ..errors import UserError, one_line

__all__ = ["ConfigFile", "read_files"]

BASE = "_BASE_"


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """``keys`` are the paths of all that it sets, ``anchors`` the keys of its top level whose values other places take
    over, ``repeated`` maps the paths that it sets twice to the line of the second."""

    name: str
    keys: frozenset
    anchors: frozenset
    repeated: dict


def read_files(path):
    """The ConfigFiles of a config, bases first.

    Raises:
        UserError: one of them is missing or unreadable, or is no YAML mapping.
    """
    try:
        return _read(Path(path), str(path))
    except RecursionError as error:
        raise UserError(f"config {path}: its {BASE} files or its anchors lead in a circle") from error


def _read(path, name):
    root = _root(path, name)
    uses = collections.Counter(map(id, _nodes(root)))
    anchors = {key.value for key, value in root.value if any(uses[id(node)] > 1 for node in _nodes(value))}
    keys, repeated = set(), {}
    for path_of_key, line in _keys(root, ()):
        if path_of_key in keys and not any(path_of_key[:depth] in repeated for depth in range(len(path_of_key))):
            repeated[path_of_key] = line
        keys.add(path_of_key)
    files = []
    for base in _bases(root, name):
        file = Path(os.path.expanduser(base)) if base.startswith("~") else path.parent / base
        if not file.is_file():
            raise UserError(f"config {name}: its base file {file} does not exist")
        files += _read(file, str(file))
    return [*files, ConfigFile(name, frozenset(keys), frozenset(anchors), repeated)]


def _root(path, name):
    try:
        root = yaml.compose(path.read_text(), Loader=yaml.Loader)  # decoded as PaddleDetection does
    except OSError as error:
        raise UserError(f"config {name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"config {name} is not {error.encoding} text: save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise UserError(f"config {name}: {one_line(error)}") from error
    if root is None:
        raise UserError(f"config {name} is empty")
    if not isinstance(root, yaml.MappingNode):
        raise UserError(f"config {name}: expected a mapping of keys to values, got a {root.id}")
    return root


def _bases(root, name):
    for node in (value for key, value in root.value if key.value == BASE):
        if not isinstance(node, yaml.SequenceNode) or not all(isinstance(i, yaml.ScalarNode) for i in node.value):
            raise UserError(f"config {name}: {BASE}: expected a list of files, as in [base.yml]")
        yield from (item.value for item in node.value)


def _nodes(node):
    yield node
    if isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _nodes(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _nodes(item)


def _keys(node, path):
    """(path, line) of every key that is not in a list."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        yield (*path, str(key.value)), key.start_mark.line + 1
        yield from _keys(value, (*path, str(key.value)))
