"""A config as a tree of settings, each with what reads it."""

import dataclasses
from typing import Any, Optional

from .readers import Reader, reader_of_config, reader_of_mapping

__all__ = ["Setting", "settings"]


@dataclasses.dataclass(frozen=True)
class Setting:
    """One ``key`` of a mapping, ``holder``; ``path`` are the keys that lead to it and itself, as text. ``reader`` is
    None where it is not known what reads the mapping."""

    path: tuple
    key: Any  # no text where YAML reads none, as for `on` and 1
    holder: Any
    reader: Optional[Reader]

    @property
    def value(self):
        return self.holder[self.key]

    @property
    def default(self):
        return None if self.reader is None else self.reader.keys.get(self.key)

    @property
    def is_read(self):
        return self.reader is None or self.key in self.reader.keys

    def __str__(self):
        return ".".join(self.path)


def settings(cfg):
    """Every Setting of a config that PaddleDetection has read, outer ones first."""
    from ppdet.core.workspace import SchemaDict

    top = reader_of_config()
    for key in list(cfg):
        if isinstance(cfg[key], SchemaDict):
            yield from _inside((key,), cfg[key])
        elif not hasattr(cfg[key], "__dict__"):  # made by a tag, which took its options
            yield Setting((str(key),), key, cfg, top)
            yield from _inside((str(key),), cfg[key])


def _inside(path, value):
    if isinstance(value, dict):
        reader = reader_of_mapping(path, value)
        for key in list(value):
            if reader is None or key not in ("name", "type"):
                yield Setting((*path, str(key)), key, value, reader)
            yield from _inside((*path, str(key)), value[key])
    elif isinstance(value, list):
        for item in value:
            yield from _inside(path, item)
