"""Runs cases on workers, peers taking turns, and reports medians and ratios."""

import dataclasses
import json
import os
import platform
import subprocess
import sys
import time

import numpy as np
from tqdm import tqdm

from .cases import CASES

__all__ = ["run_benchmark"]


def run_benchmark(threads=(1, 2), cases=CASES, rounds=8, seconds=0.25, progress=True):
    """Measure and return everything as one JSON-ready dict.

    Args:
        threads (Sequence[int]): thread counts.
        cases (Sequence[Case]): what to measure.
        rounds (int): how often the peers take turns.
        seconds (float): about how long a peer's turn lasts.
        progress (bool): show a progress bar.

    Returns:
        dict: ``machine`` and ``results``, a list of {"case", "peer", "threads", "median", "low", "high" (seconds a
        step: median and quartiles), "peak_bytes", "elements"}. Peers that are not installed are left out.
    """
    results = []
    with tqdm(total=len(threads) * len(cases) * rounds, desc="bench", disable=not progress) as bar:
        for count in threads:
            for case in cases:
                results += _measure(case, count, rounds, seconds, bar)
    return {"machine": machine(), "results": results}


def machine():
    """What the figures were taken on."""
    import paddle

    import paddle_vfl

    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "torch": _version_of("torch"),
        **paddle_vfl.build_info(),
    }


def _measure(case, threads, rounds, seconds, bar):
    workers = {}
    try:
        for peer in case.peers:
            worker = _Worker(peer, threads)
            if "missing" in worker.ask(case=dataclasses.asdict(case)):
                worker.close()
            else:
                workers[peer] = worker
        repeats = {peer: max(1, int(seconds / worker.ask(repeat=1)["seconds"][0])) for peer, worker in workers.items()}
        times = {peer: [] for peer in workers}
        for _ in range(rounds):
            for peer, worker in workers.items():
                times[peer] += worker.ask(repeat=repeats[peer])["seconds"]
            bar.update()
        return [
            {
                "case": case.name,
                "peer": peer,
                "threads": threads,
                "elements": case.elements,
                "peak_bytes": _peak_bytes(case, peer, threads),
                **dict(zip(("low", "median", "high"), np.percentile(times[peer], [25, 50, 75]))),
            }
            for peer in workers
        ]
    finally:
        for worker in workers.values():
            worker.close()


# nothing that was freed stays in the process, so that its growth is what a step needs
_NO_CACHES = {"MALLOC_MMAP_THRESHOLD_": "65536", "PADDLE_VFL_CACHE_MB": "0"}


def _peak_bytes(case, peer, threads):
    if peer == "copy":
        return None
    worker = _Worker(peer, threads, **_NO_CACHES)
    try:
        worker.ask(case=dataclasses.asdict(case))
        return worker.ask(memory=True)["bytes"]
    finally:
        worker.close()


class _Worker:
    def __init__(self, peer, threads, **environment):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "PADDLE_VFL_NUM_THREADS": str(threads),
            **environment,
        }
        command = [sys.executable, "-m", "paddle_vfl.bench.worker", peer, str(threads)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, **request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a benchmark process died: {self._process.stderr.read()[-2000:]}")
        return json.loads(answer)

    def close(self):
        self._process.kill()
        self._process.communicate()


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
