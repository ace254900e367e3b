"""Attributes of an instance, for the time of a call."""

import contextlib

__all__ = ["while_it_has"]


@contextlib.contextmanager
def while_it_has(instance, **attributes):
    """Let an instance have other attributes for a while, before its layers of those names."""
    there = vars(instance)
    before = {name: there[name] for name in attributes if name in there}
    there.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del there[name]
        there.update(before)
