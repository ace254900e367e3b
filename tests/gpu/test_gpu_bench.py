"""The benchmark on a GPU: its peers under the emulator too, the whole of it with the emulator as the GPU, and on a real
one."""

import contextlib
import dataclasses
import json
import subprocess
import sys
import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from paddle_vfl.bench import gpu as gpu_module
from paddle_vfl.bench import run
from paddle_vfl.bench.cases import Case
from paddle_vfl.bench.report import plot, table
from paddle_vfl.bench.step import Step
from paddle_vfl.bench.worker import Peer
from paddle_vfl.testing import cuda, oracle
from paddle_vfl.testing.dtypes import numbers, rounded

SMALL = dict(rows=50, classes=4)
CASES = [
    Case("tiny", **SMALL),
    Case("tiny mask", **SMALL, kind="masked", use_sigmoid=False),
    Case("tiny pair", **SMALL, kind="pair"),
    Case("tiny half", **SMALL, dtype="bfloat16"),
    Case("tiny double", **SMALL, dtype="float64", gamma=1.5),
]
by_name = dict(ids=lambda case: case.name)


class EmulatedGpu(gpu_module.Gpu):
    """The emulator as the GPU: the host's memory and clock, and calls instead of a graph of them."""

    place = "cpu"

    def __init__(self, library):
        self.library, self.memory, self.left_out = library, cuda.HostMemory(), (ImportError,)

    def timer(self, calls):
        def seconds(repeat):
            start = time.perf_counter()
            for call in calls:
                call()
            return [(time.perf_counter() - start) / len(calls)]

        return seconds

    def peak_bytes(self, step):
        tracemalloc.start()
        step.whole()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak


@pytest.fixture
def device(kernels):
    """The benchmark's device: the emulator, or the GPU, with the library that the kernels are tested with."""
    if isinstance(kernels.memory, cuda.GpuMemory):
        return gpu_module.Gpu(kernels.library)
    return EmulatedGpu(kernels.library)


def expected_gradient(case):
    pred, target, label = case.arrays()
    pred, target = rounded(pred, case.dtype), rounded(target, case.dtype)
    if case.kind == "pair":
        target, label = oracle.dense_target(label, target, case.classes), None
    return oracle.loss_and_grad(pred, target, label, gamma=case.gamma, use_sigmoid=case.use_sigmoid)[1]


def check(grad, case):
    tolerance = {"bfloat16": 1e-2, "float32": 1e-5, "float64": 1e-12}[case.dtype]
    expected = expected_gradient(case)
    np.testing.assert_allclose(grad, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("case", CASES, **by_name)
def test_the_kernels_compute_the_gradient_of_the_case(device, case):
    step = device.step("fused", case)
    grad = device.memory.get(step.whole())
    check(numbers(grad, case.dtype).reshape(case.rows, case.classes), case)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "dense"], **by_name)
@pytest.mark.parametrize("peer", ["torch", pytest.param("torch.compile", marks=pytest.mark.slow)])
def test_pytorch_computes_the_same(device, case, peer):
    pytest.importorskip("torch")
    step = device.step(peer, case)
    check(step.whole().double().cpu().numpy(), case)
    # what is timed gives the same too, again and again
    for _ in range(2):
        check(step.passes["backward"][0]().double().cpu().numpy(), case)
    forward = step.passes["forward"][0]().detach().double().cpu().numpy()
    pred, target, _ = (None if a is None else rounded(a, case.dtype) for a in case.arrays())
    loss, _ = oracle.loss_and_grad(pred, target, gamma=case.gamma)
    np.testing.assert_allclose(forward, loss.sum(1), rtol=1e-5, atol=1e-6)


def test_the_sets_of_inputs_are_more_than_the_caches_hold(device):
    case = Case("larger", rows=12_500, classes=80)
    for calls in device.step("copy", case).passes.values():
        assert len(calls) * case.bytes_moved("forward") > gpu_module.CACHE


class FakeCuda:
    """Takes the part of torch.cuda: counts replays, of 3 ms each, and has allocated what the test says."""

    OutOfMemoryError = MemoryError
    Stream = SimpleNamespace

    def __init__(self):
        self.replays, self.allocated, self.peak = 0, 1000, 0

    def set_stream(self, stream):
        self.stream = stream

    def CUDAGraph(self):
        def replay():
            self.replays += 1

        return SimpleNamespace(replay=replay)

    @contextlib.contextmanager
    def graph(self, graph, stream):
        assert stream is self.stream
        yield

    def Event(self, enable_timing):
        event = SimpleNamespace(record=lambda: setattr(event, "at", self.replays), synchronize=lambda: None)
        event.elapsed_time = lambda end: 3 * (end.at - event.at)
        return event

    def synchronize(self):
        pass

    def reset_peak_memory_stats(self):
        self.peak = self.allocated

    def memory_allocated(self):
        return self.allocated

    def max_memory_allocated(self):
        return self.peak


@pytest.fixture
def fake_cuda(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=FakeCuda()))
    return sys.modules["torch"].cuda


def test_a_replay_has_the_calls_of_all_sets(fake_cuda):
    calls = []
    seconds = gpu_module.Gpu("library").timer([lambda: calls.append("first set"), lambda: calls.append("second set")])
    assert len(calls) == 6  # twice to warm up, once into the graph
    assert seconds(10) == [pytest.approx(0.003 / 2)] and fake_cuda.replays == 1 + 5
    assert seconds(1) == [pytest.approx(0.003 / 2)]  # at least one replay


def test_the_peak_is_beyond_what_lay_there_before(fake_cuda):
    step = Step({}, whole=lambda: setattr(fake_cuda, "peak", 1234))
    assert gpu_module.Gpu("library").peak_bytes(step) == 234


def test_a_peer_that_does_not_fit_is_left_out(fake_cuda, monkeypatch):
    def too_large(device, case):
        raise fake_cuda.OutOfMemoryError("out of memory:\n2 GiB")

    monkeypatch.setitem(gpu_module.PEERS, "torch", too_large)
    answer = Peer(gpu_module.Gpu("library"), "torch").answer({"case": dataclasses.asdict(CASES[0])})
    assert answer == {"missing": "out of memory: 2 GiB"}


class InProcess:
    """Takes the part of run.Worker."""

    def __init__(self, device, setting, peer):
        assert device == "gpu"
        self._peer = Peer(EmulatedGpu(**setting), peer)

    def send(self, request):
        self._answer = self._peer.answer(json.loads(json.dumps(request)))

    def receive(self):
        return json.loads(json.dumps(self._answer))

    def ask(self, request):
        self.send(request)
        return self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def check_report(report, cases):
    """Every peer and pass of every case has its figures, and they can be read."""
    results = report["results"]
    assert [(r["case"], r["peer"], r["pass"]) for r in results if not r["peer"].startswith("torch")] == [
        (case.name, peer, name) for case in cases for peer in ("fused", "copy") for name in ("forward", "backward")
    ]
    for r in results:
        assert 0 < r["low"] <= r["median"] <= r["high"]
        assert (r["peak_bytes"] is None) == (r["peer"] == "copy")
        if r["peer"] == "fused":  # loss and gradient, and what each allocation takes more
            case = next(case for case in cases if case.name == r["case"])
            assert case.elements * np.dtype(np.float16).itemsize <= r["peak_bytes"] <= 20 * case.elements + 20_000
    assert json.loads(json.dumps(report)) == report and "gpu" in report["machine"]
    header, _, *lines = table(results).splitlines()
    assert len(lines) == len(results) and "pass" in header and "GB/s" in header and "threads" not in header


def test_the_whole_benchmark_under_the_emulator(emulated, monkeypatch, tmp_path):
    monkeypatch.setattr(run, "Worker", InProcess)
    monkeypatch.setattr(gpu_module, "build", lambda folder: str(emulated))
    monkeypatch.setattr(gpu_module.Gpu, "facts", staticmethod(lambda: {"gpu": "emulated"}))
    monkeypatch.setitem(sys.modules, "torch", None)  # its peers are tested above, and their compiler takes long
    cases = [CASES[0], CASES[2], Case("100,000 elements, bfloat16", rows=1_250, dtype="bfloat16")]
    monkeypatch.setattr(gpu_module, "CACHE", 1)
    report = run.run_benchmark("gpu", cases, rounds=2, seconds=1e-4, progress=False)
    check_report(report, cases)
    pytest.importorskip("matplotlib")
    paths = plot(report["results"], tmp_path)
    assert [path.name for path in paths] == ["time.png", "memory.png", "limit.png"]


@pytest.mark.slow
def test_the_whole_benchmark_on_a_gpu(gpu):
    cases = [CASES[0], CASES[2], Case("larger", rows=12_500)]
    report = run.run_benchmark("gpu", cases, rounds=2, seconds=1e-3, progress=False)
    check_report(report, cases)
    assert {r["peer"] for r in report["results"]} == {"fused", "torch", "torch.compile", "copy"}


def test_the_command_needs_pytorch_and_no_paddle():
    code = (
        "import sys; sys.modules.update(paddle=None, torch=None); from paddle_vfl import cli; "
        "sys.exit(cli.main(['bench', '--device', 'gpu']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (2, "paddle-vfl bench: there is no PyTorch: pip install torch\n")
