"""Calls of the library through ctypes."""

import ctypes

import numpy as np

from ..dtypes import itemsize, numbers, stored

__all__ = ["Kernels"]

DTYPES = ["float32", "float64", "float16", "bfloat16", "int32", "int64"]  # in the order of paddle_vfl::DType
KINDS = ["dense", "masked", "pair"]  # of paddle_vfl::TargetKind
POSITIVE_WEIGHTS = ["score", "one", "modulated"]  # of paddle_vfl::PositiveWeight


class VflProblem(ctypes.Structure):
    """VflProblem of c_interface.cc."""

    _fields_ = [
        ("rows", ctypes.c_int64),
        ("classes", ctypes.c_int64),
        ("pred", ctypes.c_void_p),
        ("target", ctypes.c_void_p),
        ("label", ctypes.c_void_p),
        ("class_weight", ctypes.c_void_p),
        ("pred_type", ctypes.c_int32),
        ("target_type", ctypes.c_int32),
        ("label_type", ctypes.c_int32),
        ("kind", ctypes.c_int32),
        ("alpha", ctypes.c_double),
        ("gamma", ctypes.c_double),
        ("target_power", ctypes.c_double),
        ("positive_weight", ctypes.c_int32),
        ("detach_weight", ctypes.c_int32),
        ("use_sigmoid", ctypes.c_int32),
        ("reduce_rows", ctypes.c_int32),
    ]


class Kernels:
    """The kernels of a library (:func:`build_for_gpu`, :func:`build_emulated`) on arrays that lie in ``memory``."""

    def __init__(self, library, memory):
        self.library, self.memory = str(library), memory
        functions = ctypes.CDLL(self.library)
        self._forward, self._backward = functions.vfl_cuda_forward, functions.vfl_cuda_backward
        for function in (self._forward, self._backward):
            function.restype = ctypes.c_char_p

    def problem(
        self,
        pred,
        target,
        label,
        kind,
        alpha=0.75,
        gamma=2.0,
        positive_weight="score",
        use_sigmoid=True,
        reduce_rows=False,
        target_power=1.0,
        detach_weight=False,
        class_weight=None,
    ):
        """A VflProblem of (address, dtype) pairs; pred also gives (rows, classes). class_weight is an address."""
        address, dtype, (rows, classes) = pred
        label_address, label_dtype = label or (None, "float32")
        return VflProblem(
            rows,
            classes,
            address,
            target[0],
            label_address,
            class_weight,
            DTYPES.index(dtype),
            DTYPES.index(target[1]),
            DTYPES.index(label_dtype),
            KINDS.index(kind),
            alpha,
            gamma,
            target_power,
            POSITIVE_WEIGHTS.index(positive_weight),
            detach_weight,
            use_sigmoid,
            reduce_rows,
        )

    def forward(self, problem, loss, device=0):
        """Queue the loss of a problem, written to the address ``loss``."""
        self._call(self._forward, problem, [loss], device)

    def backward(self, problem, grad_loss, grad_pred, device=0):
        """Queue the gradient of a problem, read from and written to these addresses."""
        self._call(self._backward, problem, [grad_loss, grad_pred], device)

    def _call(self, function, problem, addresses, device):
        message = function(
            ctypes.byref(problem), *map(ctypes.c_void_p, addresses), device, ctypes.c_void_p(self.memory.stream)
        )
        if message:
            raise RuntimeError(message.decode())

    def run(
        self,
        x,
        q,
        y=None,
        *,
        dtype="float32",
        target_dtype=None,
        label_dtype=None,
        upstream=None,
        offset=0,
        class_weight=None,
        **options,
    ):
        """(loss, gradient) of NumPy arrays as float64.

        y is a mask of the shape of x, or int32 or int64 class ids with the scores q of the rows. upstream: the gradient
        of the loss. offset: elements by which every array begins past a multiple of 256 bytes.
        """
        put = lambda array, dtype: self.memory.put(stored(array, dtype), offset * itemsize(dtype))
        allocate = lambda shape, dtype: self.memory.allocate(
            int(np.prod(shape)) * itemsize(dtype), offset * itemsize(dtype)
        )
        pair = y is not None and np.issubdtype(np.asarray(y).dtype, np.integer)
        label_dtype = str(y.dtype) if pair else label_dtype or dtype
        target_dtype = target_dtype or dtype
        computed = "float64" if dtype == "float64" else "float32"
        pred, target = put(x, dtype), put(q, target_dtype)
        label = None if y is None else put(y, label_dtype)
        kind = "pair" if pair else "dense" if y is None else "masked"
        weight = None if class_weight is None else put(np.asarray(class_weight), computed)
        problem = self.problem(
            (pred[1], dtype, x.shape),
            (target[1], target_dtype),
            label and (label[1], label_dtype),
            kind,
            class_weight=weight and weight[1],
            **options,
        )
        shape = x.shape[:1] if options.get("reduce_rows") else x.shape
        upstream = np.ones(shape) if upstream is None else upstream
        loss, grad, grad_loss = allocate(shape, computed), allocate(x.shape, dtype), put(upstream, computed)
        self.forward(problem, loss[1])
        self.backward(problem, grad_loss[1], grad[1])
        result = lambda array, dtype, shape: numbers(self.memory.get(array[0]), dtype).reshape(shape)
        return result(loss, computed, shape), result(grad, dtype, x.shape)
