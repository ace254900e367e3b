"""Epochs that do not depend on what came before: their order of images, and their random numbers if there is a seed."""

from ppdet.engine import set_random_seed
from ppdet.engine.callbacks import Callback

__all__ = ["EpochLoader", "EpochStart"]


class EpochLoader:
    """A reader of PaddleDetection that begins to read an epoch when it is iterated over.

    PaddleDetection begins when the last epoch ends, in a thread, so that it is a matter of chance whether what is set
    at the start of the epoch is heeded.
    """

    def __init__(self, reader):
        self._reader = reader
        reader.loader._try_shutdown_all()  # has begun to read the first epoch

    def __iter__(self):
        return iter(self._reader.dataloader)

    def __len__(self):
        return len(self._reader)

    def __getattr__(self, name):
        return getattr(self._reader, name)


class EpochStart(Callback):
    """Tells the trainer's EpochLoader and the random generators which epoch it is."""

    def __init__(self, trainer, seed=None):
        super().__init__(trainer)
        self.seed = seed

    def on_epoch_begin(self, status):
        if status["mode"] != "train":
            return
        # it counts its own epochs, from 0 in a resumed run too
        sampler = getattr(self.model.loader, "_batch_sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(status["epoch_id"])
        if self.seed is not None:
            set_random_seed(self.seed + status["epoch_id"])
