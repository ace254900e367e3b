"""The implementations that are compared. Each makes a Step, one forward and backward pass, from a case."""

import collections
import math
import threading

import numpy as np

__all__ = ["PEERS", "Step"]

# run(): one pass; drop(): forget the gradient that it left
Step = collections.namedtuple("Step", ["run", "drop"])


def fused(case, threads):
    """paddle_vfl's operator."""
    import paddle_vfl
    from paddle_vfl._ops import extension

    paddle_vfl.set_num_threads(threads)
    if case.isa is not None:
        extension.set_isa(case.isa)
    pred, target, label = _paddle_inputs(case)
    options = {"gamma": case.gamma, "use_sigmoid": case.form != "masked", "reduction": "sum"}
    if case.form == "pair":
        target, label = (label, target), None
    elif case.form == "logits":
        label = None
    return _paddle_step(pred, lambda: paddle_vfl.varifocal_loss(pred, target, label, **options))


def ppdet(case, threads):
    """PaddleDetection's composed loss for the same call; for pairs, on the dense target that it needs."""
    import paddle_vfl  # noqa: F401  imports Paddle the right way
    from ppdet.modeling.heads.ppyoloe_head import PPYOLOEHead
    from ppdet.modeling.losses.varifocal_loss import varifocal_loss

    pred, target, label = _paddle_inputs(case)
    if case.form == "masked":
        return _paddle_step(pred, lambda: PPYOLOEHead._varifocal_loss(pred, target, label, gamma=case.gamma))
    if case.form == "pair":
        from paddle_vfl.reference import dense_target

        return _paddle_step(
            pred, lambda: varifocal_loss(pred, dense_target(label, target, case.classes), gamma=case.gamma).sum()
        )
    return _paddle_step(pred, lambda: varifocal_loss(pred, target, gamma=case.gamma).sum())


def torch(case, threads, compiled=False):
    """The same formula in PyTorch; logits and dense targets."""
    import torch

    torch.set_num_threads(threads)
    pred, target, _ = (torch.from_numpy(np.ascontiguousarray(a)) for a in case.arrays())
    pred.requires_grad_(True)

    def loss(pred, target):
        p = torch.sigmoid(pred)
        weight = torch.where(target > 0, target, 0.75 * (p - target).abs().pow(case.gamma))
        return (weight * torch.nn.functional.binary_cross_entropy_with_logits(pred, target, reduction="none")).sum()

    function = torch.compile(loss) if compiled else loss

    def drop():
        pred.grad = None

    def run():
        drop()
        function(pred, target).backward()

    return Step(run, drop)


def torch_compile(case, threads):
    """The PyTorch formula under torch.compile."""
    return torch(case, threads, compiled=True)


def copy(case, threads):
    """The limit: 20 bytes an element (read pred and target twice, write the gradient), at the speed of a plain copy."""
    count = case.elements * 20 // 2 // 4  # a copy reads and writes each byte
    source, sink = np.ones(count, np.float32), np.zeros(count, np.float32)
    part = math.ceil(count / threads)
    slices = [slice(i * part, (i + 1) * part) for i in range(threads)]

    def run():
        others = [threading.Thread(target=np.copyto, args=(sink[s], source[s])) for s in slices[1:]]
        for thread in others:
            thread.start()
        np.copyto(sink[slices[0]], source[slices[0]])
        for thread in others:
            thread.join()

    return Step(run, lambda: None)


PEERS = {"fused": fused, "ppdet": ppdet, "torch": torch, "torch.compile": torch_compile, "copy": copy}


def _paddle_inputs(case):
    import paddle

    pred, target, label = case.arrays()
    pred, target = (paddle.to_tensor(a).astype(case.dtype) for a in (pred, target))
    pred.stop_gradient = False
    return pred, target, paddle.to_tensor(label).astype("int64" if case.form == "pair" else case.dtype)


def _paddle_step(pred, loss):
    """The gradient is asked for as that of a tensor inside a network is: into a leaf Paddle would copy it."""
    import paddle

    kept = []

    def run():
        kept.clear()
        kept.append(paddle.grad(loss(), pred)[0])

    return Step(run, kept.clear)
