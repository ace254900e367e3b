"""Where the kernels' arrays lie: on the host for the emulator, on a GPU otherwise.

Both ``allocate`` bytes, all 0xff, a NaN of every dtype; ``put`` a NumPy array there and ``get`` bytes back; and
``copy`` from one buffer to another. A buffer comes with its address.
"""

import numpy as np

__all__ = ["GpuMemory", "HostMemory"]


class HostMemory:
    """NumPy's memory."""

    stream = None

    def allocate(self, size, offset=0):
        """(buffer, its address) of ``size`` bytes that begin ``offset`` bytes past a multiple of 256."""
        whole = np.full(size + offset + 256, 0xFF, np.uint8)
        start = -whole.ctypes.data % 256 + offset
        buffer = whole[start : start + size]
        return buffer, buffer.ctypes.data

    def put(self, array, offset=0):
        buffer, address = self.allocate(array.nbytes, offset)
        buffer[:] = _bytes(array)
        return buffer, address

    def get(self, buffer):
        return np.array(buffer)

    def copy(self, sink, source):
        np.copyto(sink, source)


class GpuMemory:
    """PyTorch's memory on the current GPU, and its current stream."""

    def __init__(self):
        import torch

        self._torch = torch

    @property
    def stream(self):
        return self._torch.cuda.current_stream().cuda_stream

    def allocate(self, size, offset=0):
        """As :meth:`HostMemory.allocate`; what PyTorch allocates begins at multiples of 512 bytes."""
        buffer = self._torch.full((size + offset,), 0xFF, dtype=self._torch.uint8, device="cuda")[offset:]
        return buffer, buffer.data_ptr()

    def put(self, array, offset=0):
        buffer, address = self.allocate(array.nbytes, offset)
        buffer.copy_(self._torch.from_numpy(_bytes(array).copy()))
        return buffer, address

    def get(self, buffer):
        return buffer.cpu().numpy()

    def copy(self, sink, source):
        sink.copy_(source)


def _bytes(array):
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1)
