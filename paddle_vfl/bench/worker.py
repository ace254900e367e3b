"""A process that runs one peer: ``python -m paddle_vfl.bench.worker PEER THREADS``.

Reads one JSON object a line: {"case": {...}} prepares a case, {"repeat": n} times n steps, {"memory": true} measures
the peak of a step. Answers each with one JSON line on the descriptor that was stdout; whatever libraries print goes to
stderr.
"""

import json
import os
import sys
import time


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer, threads = sys.argv[1], int(sys.argv[2])
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "case" in request:
                from .cases import Case
                from .peers import PEERS

                step = PEERS[peer](Case(**request["case"]), threads)
                # to a steady state, but a step may take half a minute
                first = _time(step)
                for _ in range(2 if first < 1 else 0):
                    step.run()
                answer = {}
            elif "repeat" in request:
                answer = {"seconds": [_time(step) for _ in range(request["repeat"])]}
            else:
                answer = {"bytes": _peak(step)}
        except ImportError as error:
            answer = {"missing": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


def _time(step):
    start = time.perf_counter()
    step.run()
    return time.perf_counter() - start


def _peak(step):
    """Bytes that the process grows by at most during one step, beyond the inputs: the gradient and what comes and
    goes."""
    step.drop()
    before = _status("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the peak
    step.run()
    return _status("VmHWM") - before


def _status(key):
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")


if __name__ == "__main__":
    main()
