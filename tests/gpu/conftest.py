"""The kernels on a GPU, if there is one, and under the emulator, if there are the CUDA headers. No Paddle is needed:

pytest tests/gpu --confcutdir=tests/gpu
"""

import shutil

import cuda_kernels
import pytest


@pytest.fixture(scope="session")
def gpu():
    """PyTorch on a GPU."""
    torch = pytest.importorskip("torch", reason="no PyTorch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    if cuda_kernels.toolkit() is None:
        pytest.skip("no CUDA toolkit")
    return torch


@pytest.fixture(scope="session", params=["emulated", "gpu"])
def kernels(request, tmp_path_factory):
    """The kernels, under the emulator and on a GPU in turn."""
    if request.param == "gpu":
        torch = request.getfixturevalue("gpu")
        return cuda_kernels.Kernels(
            cuda_kernels.build_for_gpu(tmp_path_factory.mktemp("gpu")), cuda_kernels.GpuMemory(torch)
        )
    if cuda_kernels.toolkit() is None or shutil.which("g++") is None:
        pytest.skip("no g++ or no CUDA headers")
    return cuda_kernels.Kernels(
        cuda_kernels.build_emulated(tmp_path_factory.mktemp("emulated")), cuda_kernels.HostMemory()
    )
