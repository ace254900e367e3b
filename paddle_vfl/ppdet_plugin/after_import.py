"""What is to be done once a module has been imported."""

import contextlib
import importlib.abc
import importlib.util
import sys

__all__ = ["after_import"]


def after_import(name, action):
    """Call ``action(module)`` once the module of that name has been imported; now, if it has been already.

    Returns:
        Callable: calls it off.
    """
    if name in sys.modules:
        action(sys.modules[name])
        return lambda: None
    finder = _Finder(name, action)
    sys.meta_path.insert(0, finder)
    return finder.remove


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, name, action):
        self.name, self.action = name, action

    def remove(self):
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        self.remove()
        spec = importlib.util.find_spec(name)
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_and_act(module):
                execute(module)
                self.action(module)

            spec.loader.exec_module = execute_and_act
        return spec
