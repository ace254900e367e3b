"""The CUDA kernels as a shared library without Paddle, for a GPU or for the emulator, and calls of it from NumPy
arrays."""

import concurrent.futures
import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
EMULATOR = ROOT / "tests" / "csrc" / "cuda_emulator"
DTYPES = ["float32", "float64", "float16", "bfloat16", "int32", "int64"]  # in the order of paddle_vfl::DType
KINDS = ["dense", "masked", "pair"]


def toolkit():
    """The folder of the CUDA toolkit, or None."""
    nvcc = shutil.which("nvcc")
    candidates = [os.environ.get("CUDA_HOME"), "/usr/local/cuda", nvcc and Path(nvcc).resolve().parents[1]]
    return next((Path(c) for c in candidates if c and (Path(c) / "include" / "cuda_fp16.h").exists()), None)


def build_for_gpu(folder):
    return _build(
        folder,
        [str(toolkit() / "bin" / "nvcc"), "-std=c++17", "-O3", "-arch=native", "-lineinfo", "-Xcompiler", "-fPIC"],
        [],
    )


def build_emulated(folder):
    compiler = [
        "g++",
        "-std=c++17",
        "-O1",
        "-fPIC",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unknown-pragmas",
        "-Wno-maybe-uninitialized",
    ]
    # small slices, so that small inputs show that problems are cut right
    emulated = [
        *compiler,
        f"-I{toolkit() / 'include'}",
        "-DVFL_SLICE_ELEMENTS=16384",
        "-x",
        "c++",
        "-include",
        str(EMULATOR / "emulator.h"),
    ]
    return _build(folder, emulated, [EMULATOR / "emulator.cc"])


def _build(folder, compiler, more):
    sources = [*sorted((ROOT / "csrc" / "cuda").glob("*.cu")), ROOT / "csrc" / "cuda" / "c_interface.cc", *more]

    def compile(source):
        objects = Path(folder) / (source.stem + ".o")
        _run([*compiler, "-c", str(source), "-o", str(objects)])
        return str(objects)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile, sources))
    library = Path(folder) / "libvfl.so"
    _run([compiler[0], "-shared", "-o", str(library), *objects])
    return library


def _run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class HostMemory:
    """Where the emulator's arrays lie."""

    stream = None

    def put(self, array, offset=0):
        """(what keeps the copy alive, its address). offset: bytes past a multiple of 256."""
        room = np.full(array.nbytes + 512, 0xFF, np.uint8)
        start = -room.ctypes.data % 256 + offset
        copy = room[start : start + array.nbytes]
        copy[:] = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        return copy, copy.ctypes.data

    def get(self, kept):
        return np.array(kept)


class GpuMemory:
    """Where PyTorch's arrays lie."""

    def __init__(self, torch):
        self.torch = torch

    @property
    def stream(self):
        return self.torch.cuda.current_stream().cuda_stream

    def put(self, array, offset=0):
        room = self.torch.full((array.nbytes + offset,), 0xFF, dtype=self.torch.uint8, device="cuda")
        copy = room[offset:]
        copy.copy_(self.torch.from_numpy(np.array(array).view(np.uint8).reshape(-1)))
        return copy, copy.data_ptr()

    def get(self, kept):
        return kept.cpu().numpy()


class VflProblem(ctypes.Structure):
    """VflProblem of csrc/cuda/c_interface.cc."""

    _fields_ = [
        ("rows", ctypes.c_int64),
        ("classes", ctypes.c_int64),
        ("pred", ctypes.c_void_p),
        ("target", ctypes.c_void_p),
        ("label", ctypes.c_void_p),
        ("pred_type", ctypes.c_int32),
        ("target_type", ctypes.c_int32),
        ("label_type", ctypes.c_int32),
        ("kind", ctypes.c_int32),
        ("alpha", ctypes.c_double),
        ("gamma", ctypes.c_double),
        ("iou_weighted", ctypes.c_int32),
        ("use_sigmoid", ctypes.c_int32),
        ("reduce_rows", ctypes.c_int32),
    ]


class Kernels:
    def __init__(self, library, memory):
        self.memory = memory
        self._library = ctypes.CDLL(str(library))
        for function in (self._library.vfl_cuda_forward, self._library.vfl_cuda_backward):
            function.restype = ctypes.c_char_p

    def problem(
        self, pred, target, label, kind, alpha=0.75, gamma=2.0, iou_weighted=True, use_sigmoid=True, reduce_rows=False
    ):
        """A VflProblem of (address, dtype) pairs; pred also gives (rows, classes)."""
        address, dtype, (rows, classes) = pred
        label_address, label_dtype = label or (None, "float32")
        return VflProblem(
            rows,
            classes,
            address,
            target[0],
            label_address,
            DTYPES.index(dtype),
            DTYPES.index(target[1]),
            DTYPES.index(label_dtype),
            KINDS.index(kind),
            alpha,
            gamma,
            iou_weighted,
            use_sigmoid,
            reduce_rows,
        )

    def forward(self, problem, loss, device=0):
        self._call(self._library.vfl_cuda_forward, problem, [loss], device)

    def backward(self, problem, grad_loss, grad_pred, device=0):
        self._call(self._library.vfl_cuda_backward, problem, [grad_loss, grad_pred], device)

    def _call(self, function, problem, addresses, device):
        message = function(
            ctypes.byref(problem), *map(ctypes.c_void_p, addresses), device, ctypes.c_void_p(self.memory.stream)
        )
        if message:
            raise RuntimeError(message.decode())

    def run(
        self, x, q, y=None, *, dtype="float32", target_dtype=None, label_dtype=None, upstream=None, offset=0, **options
    ):
        """(loss, gradient) of NumPy arrays as float64.

        y is a mask of the shape of x, or int32 or int64 class ids with the scores q of the rows. upstream: the gradient
        of the loss. offset: elements by which every array begins past a multiple of 256 bytes.
        """
        put = lambda array, dtype: self.memory.put(stored(array, dtype), offset * itemsize(dtype))
        pair = y is not None and np.issubdtype(np.asarray(y).dtype, np.integer)
        label_dtype = str(y.dtype) if pair else label_dtype or dtype
        target_dtype = target_dtype or dtype
        computed = "float64" if dtype == "float64" else "float32"
        pred, target = put(x, dtype), put(q, target_dtype)
        label = None if y is None else put(y, label_dtype)
        kind = "pair" if pair else "dense" if y is None else "masked"
        problem = self.problem(
            (pred[1], dtype, x.shape), (target[1], target_dtype), label and (label[1], label_dtype), kind, **options
        )
        shape = x.shape[:1] if options.get("reduce_rows") else x.shape
        upstream = np.ones(shape) if upstream is None else upstream
        # bytes of 0xff: a NaN of every type, in what is not written
        poison = lambda shape, dtype: self.memory.put(
            np.full(int(np.prod(shape)) * itemsize(dtype), 0xFF, np.uint8), offset * itemsize(dtype)
        )
        loss, grad, grad_loss = poison(shape, computed), poison(x.shape, dtype), put(upstream, computed)
        self.forward(problem, loss[1])
        self.backward(problem, grad_loss[1], grad[1])
        return numbers(self.memory.get(loss[0]), computed).reshape(shape), numbers(
            self.memory.get(grad[0]), dtype
        ).reshape(x.shape)


def itemsize(dtype):
    return {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int32": 4, "int64": 8}[dtype]


def stored(array, dtype):
    """The numbers in a storage type; bfloat16 as its bits, rounded to nearest even."""
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):
            return np.asarray(array).astype(dtype)
    wide = np.asarray(array, np.float32)
    bits = wide.view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(wide), np.uint16(0x7FC0), rounded)


def numbers(data, dtype):
    """float64 numbers of stored bytes."""
    if dtype != "bfloat16":
        return data.view(np.uint8).view(dtype).astype(np.float64)
    return (data.view(np.uint8).view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def rounded(array, dtype):
    """float64 numbers as the storage type holds them."""
    return numbers(stored(array, dtype).reshape(-1).view(np.uint8), dtype).reshape(np.shape(array))
