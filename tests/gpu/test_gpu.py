"""What only a GPU can show: sizes past 2^31 elements, streams, the sanitizer, Paddle's own tensors."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from paddle_vfl.testing import cuda, oracle


@pytest.fixture
def on_gpu(kernels):
    if not isinstance(kernels.memory, cuda.GpuMemory):
        pytest.skip("for a GPU")
    return kernels


def test_more_than_2_to_the_31_elements(on_gpu, gpu):
    rows, classes = 27_000_000, 80
    if gpu.cuda.mem_get_info()[0] < 14 * rows * classes // 2:
        pytest.skip("too little memory")
    x = gpu.randn(rows, classes, device="cuda", dtype=gpu.bfloat16)
    q = gpu.zeros_like(x)
    q[-1, -1] = 0.5
    loss, grad = gpu.full((rows,), float("nan"), device="cuda"), gpu.full_like(x, float("nan"))
    upstream = gpu.ones(rows, device="cuda")
    problem = on_gpu.problem(
        (x.data_ptr(), "bfloat16", (rows, classes)), (q.data_ptr(), "bfloat16"), None, "dense", reduce_rows=True
    )
    on_gpu.forward(problem, loss.data_ptr())
    on_gpu.backward(problem, upstream.data_ptr(), grad.data_ptr())
    assert not loss.isnan().any() and not any(part.isnan().any() for part in grad.split(1_000_000))
    for first in (0, rows // 2, rows - 10):  # at the ends and between
        part = slice(first, first + 10)
        expected_loss, expected_grad = oracle.loss_and_grad(
            x[part].double().cpu().numpy(), q[part].double().cpu().numpy()
        )
        np.testing.assert_allclose(loss[part].cpu().numpy(), expected_loss.sum(1), rtol=1e-5)
        np.testing.assert_allclose(grad[part].double().cpu().numpy(), expected_grad, rtol=0.02, atol=1e-3)


def test_the_work_is_queued_on_the_given_stream(on_gpu, gpu):
    stream = gpu.cuda.Stream()
    with gpu.cuda.stream(stream):
        gpu.cuda._sleep(200_000_000)  # what follows must wait for it
        x = gpu.full((4096, 80), 3.0, device="cuda")
        q, loss = gpu.zeros_like(x), gpu.zeros(4096, device="cuda")
        problem = on_gpu.problem(
            (x.data_ptr(), "float32", (4096, 80)), (q.data_ptr(), "float32"), None, "dense", reduce_rows=True
        )
        on_gpu.forward(problem, loss.data_ptr())
    stream.synchronize()
    np.testing.assert_allclose(
        loss.cpu().numpy(), oracle.loss_and_grad(np.full((1, 80), 3.0), np.zeros((1, 80)))[0].sum(), rtol=1e-5
    )


def test_a_launch_that_fails_is_named(on_gpu, gpu):
    x = gpu.zeros(8, 80, device="cuda")
    problem = on_gpu.problem((x.data_ptr(), "float32", (8, 80)), (x.data_ptr(), "float32"), None, "dense")
    with pytest.raises(RuntimeError, match="cudaSetDevice: cudaErrorInvalidDevice"):
        on_gpu.forward(problem, x.data_ptr(), device=4096)


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck"])
def test_the_sanitizer_finds_nothing(on_gpu, tool):
    sanitizer = shutil.which("compute-sanitizer") or str(cuda.toolkit() / "bin" / "compute-sanitizer")
    if not Path(sanitizer).exists():
        pytest.skip("no compute-sanitizer")
    tests = Path(__file__).with_name("test_kernels.py")
    names = "test_row_sums or test_label_and_score or test_less_than_a_vector or test_arrays_that_begin"
    command = [
        sanitizer,
        "--tool",
        tool,
        "--error-exitcode",
        "1",
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--confcutdir",
        str(tests.parent),
        "-k",
        f"not emulated and ({names})",
        str(tests),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    )
    summary = "RACECHECK SUMMARY: 0 hazards" if tool == "racecheck" else "ERROR SUMMARY: 0 errors"
    assert done.returncode == 0 and summary in done.stdout and " passed" in done.stdout, done.stdout[-4000:]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("reduction", ["none", "row", "sum", "mean"])
def test_paddle_on_the_gpu_equals_paddle_on_the_cpu(reduction, dtype):
    paddle = pytest.importorskip("paddle")
    import paddle_vfl

    if (
        not paddle.is_compiled_with_cuda()
        or paddle.device.cuda.device_count() == 0
        or paddle_vfl.build_info()["cuda"] is None
    ):
        pytest.skip("no GPU for Paddle")
    rng = np.random.default_rng(0)
    x, q = rng.normal(-1, 3, (300, 80)), rng.random((300, 80)) * (rng.random((300, 80)) < 0.1)
    results = []
    for place in (paddle.CPUPlace(), paddle.CUDAPlace(0)):
        pred = paddle.to_tensor(x, dtype=dtype, place=place, stop_gradient=False)
        loss = paddle_vfl.varifocal_loss(pred, paddle.to_tensor(q, dtype=dtype, place=place), reduction=reduction)
        loss.sum().backward()
        results.append((loss.astype("float64").numpy(), pred.grad.astype("float64").numpy()))
    for on_cpu, on_gpu in zip(*results):
        np.testing.assert_allclose(
            on_gpu, on_cpu, rtol=2e-5 if dtype[:5] == "float" and dtype != "float16" else 1e-2, atol=1e-6
        )
