"""Ctrl-C while modules are imported."""

import contextlib
import signal
import threading

__all__ = ["interrupt_deferred"]


@contextlib.contextmanager
def interrupt_deferred():
    """Let Ctrl-C wait until the block ends: a module in C that is being imported makes an ImportError of it, and
    ``except:`` around an import swallows it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []
    before = signal.signal(signal.SIGINT, lambda *args: came.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
