"""All that knows PaddleDetection. ppdet is imported when :func:`enable` is called, not before."""

from .. import _ops  # noqa: F401  first: it imports Paddle without a warning
from .import_hook import enable_in_child_processes, enable_on_import
from .switch import disable, enable, status

__all__ = ["disable", "enable", "enable_in_child_processes", "enable_on_import", "status"]
