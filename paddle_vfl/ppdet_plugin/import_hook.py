"""Switches PaddleDetection as soon as a program imports it, from wherever the program takes it."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from . import switch
from .after_import import after_import

__all__ = ["enable_in_child_processes", "enable_on_import"]

MODULE = "ppdet.modeling"  # its import registers every head
MARKS = "PADDLE_VFL_RUN"  # files that a process makes when it is switched, as PATH has folders


def enable_on_import():
    """Call :func:`paddle_vfl.enable` once PaddleDetection has been imported; now, if it has been already."""
    if MODULE not in sys.modules:
        switch.prepare_import()
    after_import(MODULE, lambda module: _enable())


@contextlib.contextmanager
def enable_in_child_processes():
    """Call :func:`enable_on_import` also in the Python processes that are started within, by this one or by those.

    Yields:
        Callable: whether a process has been switched by now, this one or another.
    """
    before = {name: os.environ.get(name) for name in (MARKS, "PYTHONPATH")}
    with tempfile.TemporaryDirectory(prefix="paddle_vfl_") as folder:
        mark = Path(folder, "switched")
        for name, path in zip(before, (mark, Path(__file__).with_name("child_processes"))):
            os.environ[name] = os.pathsep.join([str(path), *filter(None, [before[name]])])
        try:
            yield mark.exists
        finally:
            os.environ.update({name: value for name, value in before.items() if value is not None})
            for name in [name for name, value in before.items() if value is None]:
                del os.environ[name]


def _enable():
    switch.enable()
    for mark in filter(None, os.environ.get(MARKS, "").split(os.pathsep)):
        with contextlib.suppress(OSError):  # the process that asked may have ended
            Path(mark).touch()
