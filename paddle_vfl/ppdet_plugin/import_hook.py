"""Switches PaddleDetection as soon as a program imports it, from wherever the program takes it."""

import importlib.abc
import importlib.util
import sys

from . import switch

__all__ = ["enable_on_import"]

MODULE = "ppdet.modeling"  # its import registers every head


def enable_on_import():
    """Call :func:`paddle_vfl.enable` once PaddleDetection has been imported; now, if it has been already."""
    if MODULE in sys.modules:
        switch.enable()
    else:
        switch.prepare_import()
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            execute = spec.loader.exec_module

            def execute_and_enable(module):
                execute(module)
                switch.enable()

            spec.loader.exec_module = execute_and_enable
        return spec
