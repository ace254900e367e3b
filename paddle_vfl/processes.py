"""Processes that run this package."""

import sys

__all__ = ["python_module"]


def python_module(name, *arguments):
    """The command that runs a module as ``python -m`` does, with the packages that this process has.

    ``python -m`` itself prefers what lies in the current folder: in a checkout, a source without its operator.
    """
    start = f"import runpy, sys; sys.path[:] = {sys.path!r}; runpy.run_module({name!r}, None, '__main__', True)"
    return [sys.executable, "-c", start, *arguments]
