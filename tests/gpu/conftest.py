"""The kernels on a GPU, if there is one, and under the emulator, if there are the CUDA headers. No Paddle is needed:

python -m pytest tests/gpu --confcutdir=tests/gpu
"""

import shutil
from pathlib import Path

import pytest

from paddle_vfl.testing import cuda

CSRC = Path(__file__).resolve().parents[2] / "csrc"


@pytest.fixture(scope="session")
def gpu():
    """PyTorch on a GPU."""
    torch = pytest.importorskip("torch", reason="no PyTorch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    if cuda.toolkit() is None:
        pytest.skip("no CUDA toolkit")
    return torch


@pytest.fixture(scope="session", params=["emulated", "gpu"])
def kernels(request, tmp_path_factory):
    """The kernels, under the emulator and on a GPU in turn."""
    if request.param == "gpu":
        request.getfixturevalue("gpu")
        return cuda.Kernels(cuda.build_for_gpu(CSRC, tmp_path_factory.mktemp("gpu")), cuda.GpuMemory())
    return cuda.Kernels(request.getfixturevalue("emulated"), cuda.HostMemory())


@pytest.fixture(scope="session")
def emulated(tmp_path_factory):
    """The library of the kernels under the emulator."""
    if cuda.toolkit() is None or shutil.which("g++") is None:
        pytest.skip("no g++ or no CUDA headers")
    return cuda.build_emulated(CSRC, tmp_path_factory.mktemp("emulated"))
