"""What lies behind the errors of the system and of Paddle that end a training."""

import contextlib
import errno
import shutil
from pathlib import Path

from ..errors import UserError, one_line
from .loader_errors import loader_errors

__all__ = ["explained"]

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
SHARED_MEMORY = "/dev/shm"
LITTLE = 1 << 20  # bytes
WITHOUT = "-o worker_num=0 does without it, and Docker's --shm-size=1g gives more"


@contextlib.contextmanager
def explained(folder, workers):
    """Raise UserError for an error of the system, of Paddle or of its DataLoader, with its cause and what to do.

    Args:
        folder (str): what is written into.
        workers (int): the number of reader processes.
    """
    try:
        with loader_errors():
            yield
    except OSError as error:
        text = _explanation(error, folder, workers)
        if text is None:
            raise
        raise UserError(text) from error
    except SystemError as error:  # how Paddle says that a reader process has ended
        if "DataLoader process" not in str(error):
            raise
        raise UserError(_death(one_line(error))) from error
    except AssertionError as error:  # in the first step after the state of another optimizer was taken over
        if "Optimizer set error" not in str(error):
            raise
        raise UserError(f"the checkpoint has the state of another optimizer: {one_line(error)}") from error


def _explanation(error, folder, workers):
    if error.errno in FULL and workers and _is_full(SHARED_MEMORY):
        return f"{SHARED_MEMORY}, through which {workers} reader processes pass images on, is full: {WITHOUT}"
    where = error.filename or folder
    is_inside = Path(folder).resolve() in [Path(where).resolve(), *Path(where).resolve().parents]
    if error.errno in FULL or (error.errno in REFUSED and is_inside):
        return f"cannot write into {where}: {error.strerror}"
    return f"{where}: {error.strerror}" if error.errno in REFUSED else None


def _is_full(folder):
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < LITTLE
    return False


def _death(message):
    if "Bus error" in message:
        return f"a reader process ended for want of space in {SHARED_MEMORY}: {WITHOUT}"
    if "Killed" in message:
        return (
            "a reader process was killed, most likely by the system for want of memory: fewer of them need less "
            "(-o worker_num=0 has none), and so does a smaller TrainReader.batch_size"
        )
    return f"a reader process ended: {message}"
