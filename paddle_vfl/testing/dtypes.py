"""Numbers as the operator's dtypes hold them, in NumPy alone, which has no bfloat16."""

import numpy as np

__all__ = ["itemsize", "numbers", "rounded", "stored"]

_SIZES = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2, "int32": 4, "int64": 8}


def itemsize(dtype):
    """Bytes of one number."""
    return _SIZES[dtype]


def stored(array, dtype):
    """The numbers in a storage type; bfloat16 as its bits, rounded to nearest even."""
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):
            return np.asarray(array).astype(dtype)
    wide = np.asarray(array, np.float32).reshape(-1)
    bits = wide.view(np.uint32).astype(np.uint64)
    nearest = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(wide), np.uint16(0x7FC0), nearest).reshape(np.shape(array))


def numbers(data, dtype):
    """float64 numbers of stored bytes."""
    if dtype != "bfloat16":
        return data.view(np.uint8).view(dtype).astype(np.float64)
    return (data.view(np.uint8).view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def rounded(array, dtype):
    """float64 numbers as the storage type holds them."""
    return numbers(stored(array, dtype).reshape(-1).view(np.uint8), dtype).reshape(np.shape(array))
