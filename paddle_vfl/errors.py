"""Errors that are the user's to fix."""

__all__ = ["NotInstalled", "UserError", "one_line", "printable"]


class UserError(Exception):
    """Its message is all that the user needs: the command line prints it in one line and exits with status 2."""

    def __str__(self):
        return printable(super().__str__())


class NotInstalled(UserError, ImportError):
    """A package is missing, or an old one is in its place."""


def one_line(error):
    """The message of an exception without line breaks."""
    return " ".join(str(error).split())


def printable(text):
    """A text with escapes, such as \\n, for the characters that end a line, that no terminal shows, or that stand for
    bytes of a file name that are no text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
