"""All that knows PaddleDetection. ppdet is imported when :func:`enable` is called, not before."""
from .switch import disable, enable, status

__all__ = ["disable", "enable", "status"]
