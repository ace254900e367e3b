"""Errors that are the user's to mend."""

__all__ = ["UserError"]


class UserError(Exception):
    """Its message is all that the user needs: the command line prints it in one line and exits with status 2."""
