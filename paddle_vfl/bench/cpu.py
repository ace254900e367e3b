"""On a CPU: the implementations that are compared, time and memory. Each peer makes a Step from a case."""

import concurrent.futures
import functools
import math
import threading
import time

import numpy as np

from .step import LeftOut, Step, torch_loss

__all__ = ["Cpu"]


class Cpu:
    """The peers on a number of threads, their clock and their memory."""

    turn = 0.25  # about how many seconds a peer is timed before the next one is
    left_out = (ImportError, LeftOut)  # for these reasons a peer does not take part

    def __init__(self, threads):
        self.threads = threads

    @staticmethod
    def facts():
        """What the operator was built from, and Paddle's version."""
        import paddle

        import paddle_vfl

        return {"paddle": paddle.__version__, **paddle_vfl.build_info()}

    def step(self, peer, case):
        return PEERS[peer](case, self.threads)

    def timer(self, calls):
        """A function that makes so many calls and returns the seconds of each."""
        (call,) = calls
        # to a steady state, but a step may take half a minute
        for _ in range(2 if _time(call) < 1 else 0):
            call()
        return lambda repeat: [_time(call) for _ in range(repeat)]

    def peak_bytes(self, step):
        """Bytes that the process grows by at most during one step, beyond the inputs: the gradient and what comes and
        goes."""
        step.drop()
        before = _status("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # resets the peak
        step.whole()
        return _status("VmHWM") - before


def _time(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _status(key):
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")


def fused(case, threads):
    """paddle_vfl's operator."""
    import paddle_vfl
    from paddle_vfl._ops import extension

    paddle_vfl.set_num_threads(threads)
    if case.isa is not None:
        if case.isa not in extension.isa_supported():
            raise LeftOut(f"this processor or this build has no {case.isa}")
        extension.set_isa(case.isa)
    pred, target, label = _paddle_inputs(case)
    options = {"gamma": case.gamma, "use_sigmoid": case.use_sigmoid, "reduction": "sum"}
    if case.kind == "pair":
        target, label = (label, target), None
    return _paddle_step(case, pred, lambda: paddle_vfl.varifocal_loss(pred, target, label, **options))


def ppdet(case, threads):
    """PaddleDetection's composed loss for the same call; for pairs, on the dense target that it needs."""
    import paddle_vfl  # noqa: F401  imports Paddle the right way
    from ppdet.modeling.heads.ppyoloe_head import PPYOLOEHead
    from ppdet.modeling.losses.varifocal_loss import varifocal_loss

    from paddle_vfl.reference import dense_target

    pred, target, label = _paddle_inputs(case)
    options = {"gamma": case.gamma, "use_sigmoid": case.use_sigmoid}
    losses = {
        "dense": lambda: varifocal_loss(pred, target, **options).sum(),
        "masked": lambda: PPYOLOEHead._varifocal_loss(pred, target, label, gamma=case.gamma),
        "pair": lambda: varifocal_loss(pred, dense_target(label, target, case.classes), **options).sum(),
    }
    return _paddle_step(case, pred, losses[case.kind])


def composed_in_torch(case, threads, compiled):
    """The same formula in PyTorch, run operator by operator or under torch.compile; logits and dense targets."""
    import torch

    torch.set_num_threads(threads)
    pred, target = map(torch.from_numpy, case.arrays()[:2])
    pred.requires_grad_(True)
    loss = torch_loss(case, compiled)

    def drop():
        pred.grad = None

    def run():
        drop()
        _scaled(case, loss(pred, target)).backward()
        return pred.grad

    if compiled:
        try:
            run()
        except RuntimeError as error:  # there is no compiler
            raise LeftOut(error) from error
    return Step({None: [run]}, run, drop)


def copy(case, threads):
    """The limit: the bytes that both passes have to move, at the speed of a plain copy."""
    moved = case.bytes_moved("forward") + case.bytes_moved("backward")
    count = moved // 2 // 4  # a copy reads and writes each byte
    source, sink = np.ones(count, np.float32), np.zeros(count, np.float32)
    part = math.ceil(count / threads)
    first, *others = (slice(i * part, (i + 1) * part) for i in range(threads))
    pool = _running_pool(threads - 1)

    def run():
        copies = [pool.submit(np.copyto, sink[s], source[s]) for s in others]
        np.copyto(sink[first], source[first])
        for done in copies:
            done.result()

    return Step({None: [run]}, run)


PEERS = {
    "fused": fused,
    "ppdet": ppdet,
    "torch": functools.partial(composed_in_torch, compiled=False),
    "torch.compile": functools.partial(composed_in_torch, compiled=True),
    "copy": copy,
}


def _running_pool(threads):
    """A pool whose threads are all there: an executor starts them only when it needs them."""
    if threads == 0:
        return None
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    everyone = threading.Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(everyone.wait)
    everyone.wait()
    return pool


def _paddle_inputs(case):
    import paddle

    pred, target, label = case.arrays()
    pred, target = (paddle.to_tensor(a).astype(case.dtype) for a in (pred, target))
    pred.stop_gradient = False
    if label is not None:
        label = paddle.to_tensor(label).astype("int64" if case.kind == "pair" else case.dtype)
    return pred, target, label


def _scaled(case, loss):
    return loss if case.factor == 1 else loss * case.factor


def _paddle_step(case, pred, loss):
    """The gradient is asked for as that of a tensor inside a network is: into a leaf Paddle would copy it."""
    import paddle

    kept = []

    def run():
        kept.clear()
        kept.append(paddle.grad(_scaled(case, loss()), pred)[0])
        return kept[0]

    return Step({None: [run]}, run, kept.clear)
