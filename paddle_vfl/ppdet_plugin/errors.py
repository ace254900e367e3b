"""What is wrong with a config."""

from ..errors import UserError

__all__ = ["ConfigError"]


class ConfigError(UserError, ValueError):
    """A value in a PaddleDetection config that the user has to fix; the message starts with its key."""
