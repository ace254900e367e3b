"""What fails while Paddle's DataLoader reads a batch fails where the batch is waited for, with a message.

Without workers, it would wait for ever once its thread has ended with an exception; with workers, it says that a queue
was killed, and not why.
"""

import contextlib
import functools
import logging
import traceback
import weakref

from ..errors import UserError, one_line
from ..ppdet_plugin.patches import Patches

__all__ = ["LoaderError", "loader_errors"]


class LoaderError(UserError):
    """A batch could not be read; the message names the image or the transform, and the cause."""


@contextlib.contextmanager
def loader_errors():
    """While this context lasts, raise LoaderError for whatever fails in the thread or a worker of a DataLoader."""
    from paddle.io.dataloader import dataloader_iter
    from ppdet.data import reader

    patches, running = Patches(), weakref.WeakSet()
    for iterator in (dataloader_iter._DataLoaderIterSingleProcess, dataloader_iter._DataLoaderIterMultiProcess):
        patches.set(iterator, "_thread_loop", _remembering(iterator._thread_loop, running))
        patches.set(iterator, "__next__", _raising(iterator.__next__, running))
    # it would make an exception of the worker's type anew, which not every type can be
    patches.set(dataloader_iter._WorkerException, "reraise", lambda self: _raise(_last_message(self.exc_msg)))
    patches.set(reader.Compose, "__init__", _naming_transform(reader.Compose.__init__))
    patches.set(reader.Compose, "__call__", _naming_image(reader.Compose.__call__))
    patches.set(reader.BatchCompose, "__call__", _naming_batch_transform(reader.BatchCompose.__call__))
    log = logging.getLogger(reader.__name__)
    for logger in {log, reader.logger}:
        logger.addFilter(_is_no_traceback)
        patches.on_undo(functools.partial(logger.removeFilter, _is_no_traceback))
    try:
        yield
    finally:
        patches.undo()


def _is_no_traceback(record):
    """PaddleDetection logs the traceback of a transform that fails, and of nothing else."""
    return " stack:\n" not in record.getMessage()


def _remembering(thread_loop, running):
    @functools.wraps(thread_loop)
    def loop(self, *args):
        running.add(self)
        try:
            thread_loop(self, *args)
        except BaseException as error:
            self._failure = _described(error)
            self._exit_thread_unexpectedly()  # wakes those who wait

    return loop


def _raising(get_next, running):
    @functools.wraps(get_next)
    def wrapper(self):
        try:
            return get_next(self)
        except StopIteration:
            raise
        except Exception:
            thread = self._thread
            if thread is not None:
                thread.join(5)  # it may have woken us before it was done
            # also those that nobody reads, which PaddleDetection makes, and now: the garbage collector would end the
            # queues first, and then wait for workers that never hear of it
            for iterator in list(running):
                iterator._try_shutdown_all()
            failure = getattr(self, "_failure", None)
            if failure is None:
                raise
        raise LoaderError(failure)

    return wrapper


def _naming_transform(init):
    @functools.wraps(init)
    def make(self, transforms, *args, **kwargs):
        try:
            init(self, transforms, *args, **kwargs)
        except Exception as error:
            wanted = [(name, options) for transform in transforms or () for name, options in transform.items()]
            what = "{}, {}".format(*wanted[len(self.transforms_cls)]) if wanted else f"are {transforms}"
            raise UserError(f"transforms of a reader: {what}: {_described(error)}") from error

    return make


def _naming_batch_transform(compose):
    @functools.wraps(compose)
    def call(self, samples):
        try:
            return compose(self, samples)
        except Exception as error:
            owners = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
            names = [type(owner).__name__ for owner in owners if any(owner is made for made in self.transforms_cls)]
            name = names[0] if names else "samples cannot be put together to a batch"
            raise LoaderError(f"{name}: {_described(error)}") from error

    return call


def _naming_image(compose):
    @functools.wraps(compose)
    def call(self, sample):
        parts = sample if isinstance(sample, list) else [sample]
        files = [str(part["im_file"]) for part in parts if "im_file" in part]  # transforms take it out
        try:
            return compose(self, sample)
        except Exception as error:
            raise LoaderError(f"image {' or '.join(files) or 'of unknown name'}: {_described(error)}") from error

    return call


def _described(error):
    if isinstance(error, LoaderError):
        return str(error)
    return f"{type(error).__name__}: {one_line(error)}".removesuffix(": ")


def _raise(message):
    raise LoaderError(message)


def _last_message(report):
    """The message at the end of a traceback's text, which may have several lines."""
    lines = report.rstrip().split("\n")
    last = max((index for index, line in enumerate(lines) if line.startswith("  ")), default=-1)
    return one_line("\n".join(lines[last + 1 :])).removeprefix(f"{LoaderError.__module__}.{LoaderError.__name__}: ")
