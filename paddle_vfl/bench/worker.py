"""A process that runs one peer: its arguments are DEVICE OPTIONS PEER, OPTIONS in JSON.

Reads one JSON object a line: {"case": {...}} prepares a case and gives the names of its passes, {"pass": name,
"repeat": n} times n of them, {"memory": true} measures the peak of a step. Answers each with one JSON line on the
descriptor that was stdout; whatever libraries print goes to stderr.
"""

import json
import os
import sys

from ..errors import one_line
from .cases import Case
from .devices import DEVICES

__all__ = ["Peer"]


class Peer:
    """One peer on a device, and its answers to requests."""

    def __init__(self, device, name):
        self._device, self._name = device, name
        self._step, self._timers = None, {}

    def answer(self, request):
        try:
            if "case" in request:
                self._step = self._device.step(self._name, Case(**request["case"]))
                self._timers = {name: self._device.timer(calls) for name, calls in self._step.passes.items()}
                return {"passes": list(self._timers)}
            if "repeat" in request:
                return {"seconds": self._timers[request["pass"]](request["repeat"])}
            return {"bytes": self._device.peak_bytes(self._step)}
        except self._device.left_out as error:
            return {"missing": one_line(error)}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    device, options, name = sys.argv[1:]
    peer = Peer(DEVICES[device](**json.loads(options)), name)
    for line in sys.stdin:
        print(json.dumps(peer.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
