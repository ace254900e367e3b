"""Checkpoints of PyTorch, read without executing what they hold."""

import zipfile

from ..errors import UserError

__all__ = ["read_tensors"]


def read_tensors(path):
    """The weights in a checkpoint, as mmdetection and mmengine write it.

    Besides the weights it may hold NumPy's scalars, the history of losses and the like, whose classes PyTorch refuses
    to make. All of them become empty objects.

    Returns:
        dict[str, numpy.ndarray]: float32, without the counters of batches (``num_batches_tracked``).

    Raises:
        UserError: PyTorch is missing, or the file cannot be read so.
    """
    try:
        import torch
        from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals
    except ImportError as error:
        raise UserError("PyTorch 2.6 or newer, which reads the file, is not installed: pip install torch") from error
    try:
        others = (
            get_unsafe_globals_in_checkpoint(path) if zipfile.is_zipfile(path) else []
        )  # PyTorch before 1.6: no zip
        with safe_globals([(_Nothing, name) for name in others]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except Exception as error:  # whatever PyTorch makes of other bytes
        raise UserError(f"{path} is no checkpoint that PyTorch reads without executing it") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    return {name: value.float().numpy() for name, value in tensors.items() if not name.endswith(".num_batches_tracked")}


class _Nothing:
    """Stands in for an object of any class, and keeps nothing of it."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass
