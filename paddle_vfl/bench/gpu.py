"""On a GPU: the implementations that are compared, time and memory. Needs PyTorch, nvcc and a checkout, and no Paddle.

The fused peer is the kernels alone, called through their C interface. Forward and backward are timed apart, by replays
of CUDA graphs that go round several sets of inputs, more than the caches hold if 50 are enough for that; the losses are
row sums, as the operator computes them.
"""

import functools
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import UserError
from ..testing import cuda
from ..testing.dtypes import itemsize, stored
from .step import Step, torch_loss

__all__ = ["Gpu", "build"]

CSRC = Path(__file__).resolve().parents[2] / "csrc"
CACHE = 200e6  # bytes that no GPU's caches hold
MOST_SETS = 50


def build(folder):
    """Compile the kernels into a folder. Returns the library's path.

    Raises:
        UserError: something that the benchmark needs is not there.
    """
    try:
        import torch
    except ImportError as error:
        raise UserError("there is no PyTorch: pip install torch") from error
    if not torch.cuda.is_available():
        raise UserError("PyTorch sees no GPU")
    if cuda.toolkit() is None:
        raise UserError("there is no CUDA toolkit: put nvcc on the PATH or set CUDA_HOME")
    if not CSRC.exists():
        raise UserError(f"{CSRC} does not exist: the kernels are compiled from a checkout, run it there")
    return str(cuda.build_for_gpu(CSRC, folder))


class Gpu:
    """The peers on the current GPU, its clock and its memory. ``library``: what ``build`` made."""

    turn = 0.02
    place = "cuda"

    def __init__(self, library):
        import torch

        self.library = library
        self.memory = cuda.GpuMemory()
        self.left_out = (ImportError, torch.cuda.OutOfMemoryError)
        self._torch = torch
        # graphs are not captured on the default stream, and autograd runs backward on the stream of forward
        self._stream = torch.cuda.Stream()
        torch.cuda.set_stream(self._stream)

    @staticmethod
    def facts():
        """The GPU and what drives it."""
        import torch

        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0]
        return {"gpu": torch.cuda.get_device_name(), "driver": driver, "cuda": torch.version.cuda}

    def step(self, peer, case):
        return PEERS[peer](self, case)

    def timer(self, calls):
        """A function that replays the calls, so many of them in all, and returns the mean seconds of one."""
        for _ in range(2):
            for call in calls:
                call()
        graph = self._torch.cuda.CUDAGraph()
        with self._torch.cuda.graph(graph, stream=self._stream):
            for call in calls:
                call()

        def seconds(repeat):
            replays = max(1, repeat // len(calls))
            begin, end = (self._torch.cuda.Event(enable_timing=True) for _ in range(2))
            graph.replay()
            begin.record()
            for _ in range(replays):
                graph.replay()
            end.record()
            end.synchronize()
            return [begin.elapsed_time(end) / 1e3 / replays / len(calls)]

        return seconds

    def peak_bytes(self, step):
        """Bytes that PyTorch allocates at most during one step, beyond the inputs: loss, gradient and what comes and
        goes."""
        step.drop()
        self._torch.cuda.synchronize()
        self._torch.cuda.reset_peak_memory_stats()
        before = self._torch.cuda.memory_allocated()
        step.whole()
        return self._torch.cuda.max_memory_allocated() - before


class Inputs(NamedTuple):
    """One set of them for the kernels, with room for the results; each array comes with its address."""

    problem: Any
    arrays: list
    loss: Any
    grad: Any


def fused(gpu, case):
    """The kernels."""
    kernels = cuda.Kernels(gpu.library, gpu.memory)
    computed = "float64" if case.dtype == "float64" else "float32"
    dtypes = [case.dtype, case.dtype, "int64" if case.kind == "pair" else case.dtype]
    put = lambda array, dtype: gpu.memory.put(stored(array, dtype))
    results = lambda: (
        gpu.memory.allocate(case.rows * itemsize(computed)),
        gpu.memory.allocate(case.elements * itemsize(case.dtype)),
    )

    def prepare(seed):
        arrays = [None if a is None else put(a, dtype) for a, dtype in zip(case.arrays(seed), dtypes)]
        pred, target, label = (a and (a[1], dtype) for a, dtype in zip(arrays, dtypes))
        problem = kernels.problem(
            (*pred, (case.rows, case.classes)),
            target,
            label,
            case.kind,
            gamma=case.gamma,
            use_sigmoid=case.use_sigmoid,
            reduce_rows=True,
        )
        return Inputs(problem, arrays, *results())

    sets = [prepare(seed) for seed in _seeds(case)]
    upstream = put(np.ones(case.rows), computed)

    def forward(given):
        kernels.forward(given.problem, given.loss[1])

    def backward(given):
        kernels.backward(given.problem, upstream[1], given.grad[1])

    def whole():
        loss, grad = results()
        given = sets[0]._replace(loss=loss, grad=grad)
        forward(given)
        backward(given)
        return grad[0]

    return Step(_passes(forward, backward, sets), whole)


def composed_in_torch(gpu, case, compiled):
    """The same formula in PyTorch, run operator by operator or under torch.compile; logits and dense targets."""
    import torch
    from torch._functorch import config

    if hasattr(config, "donated_buffer"):  # else what compiled code keeps of a forward is good for one backward
        config.donated_buffer = False
    loss = torch_loss(case, compiled, dim=1)
    dtype = getattr(torch, case.dtype)

    def prepare(seed):
        pred, target = (torch.from_numpy(array).to(gpu.place, dtype) for array in case.arrays(seed)[:2])
        pred.requires_grad_()
        return pred, target, loss(pred, target)

    sets = [prepare(seed) for seed in _seeds(case)]
    upstream = torch.ones_like(sets[0][2])

    def forward(given):
        pred, target, _ = given
        return loss(pred, target)

    def backward(given):
        pred, _, value = given
        return torch.autograd.grad(value, pred, upstream, retain_graph=True)[0]

    def whole():
        pred, target, _ = sets[0]
        return torch.autograd.grad(loss(pred, target), pred, upstream)[0]

    return Step(_passes(forward, backward, sets), whole)


def copy(gpu, case):
    """The limit: the bytes that a pass has to move, at the speed of a plain copy on the device."""
    passes = {}
    for name in ("forward", "backward"):
        half = case.bytes_moved(name) // 2  # a copy reads and writes each byte
        buffers = [[gpu.memory.allocate(half) for _ in range(2)] for _ in _seeds(case)]
        passes[name] = [functools.partial(gpu.memory.copy, a[0], b[0]) for a, b in buffers]
    return Step(passes, lambda: None)


PEERS = {
    "fused": fused,
    "torch": functools.partial(composed_in_torch, compiled=False),
    "torch.compile": functools.partial(composed_in_torch, compiled=True),
    "copy": copy,
}


def _passes(forward, backward, sets):
    return {
        "forward": [functools.partial(forward, given) for given in sets],
        "backward": [functools.partial(backward, given) for given in sets],
    }


def _seeds(case):
    """One for each set of inputs."""
    return range(min(MOST_SETS, int(CACHE / case.bytes_moved("forward")) + 1))
