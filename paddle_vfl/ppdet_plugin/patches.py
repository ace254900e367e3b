"""Attributes that were set from outside, and how to put them back."""

import sys

__all__ = ["Patches", "ppdet_modules"]

_ABSENT = object()


class Patches:
    """Remembers what it replaced; ``undo`` puts everything back in reverse order."""

    def __init__(self):
        self._undo = []
        self._removed = {}

    def set(self, owner, name, value):
        """``setattr``, undone exactly: what ``owner`` only inherited is removed again, a static method stays one."""
        old = vars(owner).get(name, _ABSENT)
        setattr(owner, name, value)
        self.on_undo(lambda: delattr(owner, name) if old is _ABSENT else setattr(owner, name, old))

    def set_item(self, mapping, key, value):
        """``mapping[key] = value``."""
        self.keep_item(mapping, key)
        mapping[key] = value

    def keep_item(self, mapping, key):
        """Put back what ``mapping[key]`` is now, whoever changes it."""
        old = mapping.get(key, _ABSENT)
        self.on_undo(lambda: mapping.pop(key, None) if old is _ABSENT else mapping.__setitem__(key, old))

    def remove_item(self, mapping, key):
        """Remove ``mapping[key]`` when undone, and put it back when the patches are made again."""
        _, value = self._removed.pop((id(mapping), key), (None, _ABSENT))
        if value is not _ABSENT:
            mapping.setdefault(key, value)
        self.on_undo(lambda: self._remove(mapping, key))

    def _remove(self, mapping, key):
        if key in mapping:
            # with the mapping, or another could get its id
            self._removed[id(mapping), key] = mapping, mapping.pop(key)

    def set_name(self, name, old, new):
        """Let ``name`` mean ``new`` in every module of ppdet in which it means ``old``; a module that is imported later
        and takes ``new`` from another gets ``old`` back too. Returns the names of the modules."""
        self.on_undo(lambda: _rename(name, new, old))
        return _rename(name, old, new)

    def on_undo(self, action):
        self._undo.append(action)

    def undo(self):
        while self._undo:
            self._undo.pop()()


def ppdet_modules():
    """The modules of ppdet that have been imported."""
    return [
        module for path, module in sorted(sys.modules.items()) if path.split(".")[0] == "ppdet" and module is not None
    ]


def _rename(name, old, new):
    found = [module for module in ppdet_modules() if vars(module).get(name) is old]
    for module in found:
        setattr(module, name, new)
    return [module.__name__ for module in found]
