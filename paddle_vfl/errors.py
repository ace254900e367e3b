"""Errors that are the user's to fix."""

__all__ = ["NotInstalled", "UserError", "one_line"]


class UserError(Exception):
    """Its message is all that the user needs: the command line prints it in one line and exits with status 2."""


class NotInstalled(UserError, ImportError):
    """A package is missing, or an old one is in its place."""


def one_line(error):
    """The message of an exception without line breaks."""
    return " ".join(str(error).split())
