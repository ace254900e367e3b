"""The version, and what a build adds to it. setup.py uses it too: the standard library alone."""

__version__ = "0.2.0"


def local_version(paddle_version, cuda_version=None):
    """What a build is made for, as the local part of its version: "paddle3.3.1", or "paddle3.3.1.cu126" with CUDA.

    ``cuda_version`` is that of Paddle, such as "12.6".
    """
    cuda = f".cu{cuda_version.replace('.', '')}" if cuda_version else ""
    return f"paddle{paddle_version.replace('+', '.')}{cuda}"
