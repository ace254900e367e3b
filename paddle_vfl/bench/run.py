"""Runs cases on workers, peers taking turns, and reports medians and ratios."""

import contextlib
import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np
from tqdm import tqdm

from .._version import __version__
from ..processes import python_module
from . import gpu
from .cases import cases_of
from .devices import DEVICES

__all__ = ["run_benchmark"]


def run_benchmark(device="cpu", cases=None, threads=(1, 2), rounds=8, seconds=None, progress=True):
    """Measure and return everything as one JSON-ready dict.

    Args:
        device (str): "cpu" or "gpu".
        cases (Sequence[Case]): what to measure, by default all cases of the device.
        threads (Sequence[int]): thread counts of the CPU.
        rounds (int): how often the peers take turns.
        seconds (float): about how long a peer's turn lasts.
        progress (bool): show a progress bar.

    Returns:
        dict: ``machine`` and ``results``, a list of {"case", "peer", "low", "median", "high" (seconds: median and
        quartiles), "peak_bytes", "elements", "dtype", "bytes" (that must move)}, on a CPU of a step and with "threads",
        on a GPU of a "pass", "forward" or "backward". Peers that are not installed, or need more memory than there is
        on the GPU, are left out, which the standard error output says.

    Raises:
        UserError: there is no GPU, or not what it takes to use it.
    """
    cases = cases_of(device) if cases is None else cases
    results, reasons = [], []
    with (
        _settings(device, threads) as settings,
        tqdm(total=len(settings) * len(cases) * rounds, desc="bench", disable=not progress) as bar,
    ):
        for setting in settings:
            for case in cases:
                measured, missing = _measure(device, setting, case, rounds, seconds or DEVICES[device].turn, bar)
                results += measured
                for reason in (f"{peer} is left out: {why}" for peer, why in missing.items()):
                    if reason not in reasons:
                        reasons.append(reason)
                        bar.write(reason, file=sys.stderr)
    return {"machine": machine(device), "results": results}


def machine(device):
    """What the figures were taken on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": _version_of("torch"),
        "version": __version__,
        **DEVICES[device].facts(),
    }


@contextlib.contextmanager
def _settings(device, threads):
    """The options of the worker's device, one after the other."""
    if device == "cpu":
        yield [{"threads": count} for count in threads]
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield [{"library": gpu.build(folder)}]


def _measure(device, setting, case, rounds, seconds, bar):
    """(results, why peers are missing) of a case."""
    workers, missing = {}, {}
    with contextlib.ExitStack() as stack:
        for peer in case.peers_on(device):
            workers[peer] = stack.enter_context(Worker(device, setting, peer))
            workers[peer].send({"case": dataclasses.asdict(case)})
        answers = {peer: worker.receive() for peer, worker in workers.items()}
        missing = {peer: answer["missing"] for peer, answer in answers.items() if "missing" in answer}
        passes = [(peer, name) for peer, answer in answers.items() for name in answer.get("passes", ())]
        repeats = {}
        for peer, name in passes:
            answer = workers[peer].ask({"pass": name, "repeat": 1})
            if "missing" in answer:
                missing[peer] = answer["missing"]
            else:
                (once,) = answer["seconds"]
                repeats[peer, name] = max(1, int(seconds / once))
        passes = [(peer, name) for peer, name in passes if peer not in missing]
        times = {key: [] for key in passes}
        for _ in range(rounds):
            for peer, name in passes:
                times[peer, name] += workers[peer].ask({"pass": name, "repeat": repeats[peer, name]})["seconds"]
            bar.update()
        peaks = {
            peer: _peak_bytes(device, setting, case, peer, workers[peer]) for peer in workers if peer not in missing
        }
    return [
        {
            "case": case.name,
            "peer": peer,
            **({"threads": setting["threads"]} if device == "cpu" else {"pass": name}),
            "elements": case.elements,
            "dtype": case.dtype,
            "bytes": sum(case.bytes_moved(n) for n in ([name] if name else ("forward", "backward"))),
            "peak_bytes": peaks[peer],
            **dict(zip(("low", "median", "high"), np.percentile(times[peer, name], [25, 50, 75]))),
        }
        for peer, name in passes
    ], missing


# nothing that was freed stays in the process, so that its growth is what a step needs
_NO_CACHES = {"MALLOC_MMAP_THRESHOLD_": "65536", "PADDLE_VFL_CACHE_MB": "0"}


def _peak_bytes(device, setting, case, peer, worker):
    if peer == "copy":
        return None
    if device == "gpu":
        return worker.ask({"memory": True}).get("bytes")
    with Worker(device, setting, peer, **_NO_CACHES) as fresh:
        fresh.ask({"case": dataclasses.asdict(case)})
        return fresh.ask({"memory": True})["bytes"]


class Worker:
    """A process that runs one peer (worker.py)."""

    def __init__(self, device, setting, peer, **environment):
        if device == "cpu":
            count = str(setting["threads"])
            environment = {"OMP_NUM_THREADS": count, "PADDLE_VFL_NUM_THREADS": count, **environment}
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            python_module("paddle_vfl.bench.worker", device, json.dumps(setting), peer),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **environment},
        )

    def send(self, request):
        with contextlib.suppress(BrokenPipeError):  # it has died, which the answer says
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def receive(self):
        answer = self._process.stdout.readline()
        if not answer:
            self._errors.seek(0)
            raise RuntimeError(f"a benchmark process died: {self._errors.read()[-2000:]}")
        return json.loads(answer)

    def ask(self, request):
        self.send(request)
        return self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _version_of(package):
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
