"""One of the processes of tests/test_sharding.py: every target of the loss on sharded tensors; the first process writes
the results."""

import itertools
import sys
from pathlib import Path

import numpy as np

import paddle_vfl
import paddle
import paddle.distributed as dist

CLASS_WEIGHT = [0.0, 1.0, 0.5, 2.0, 3.0, 11.0]
folder = Path(sys.argv[1])
arrays = [paddle.to_tensor(array) for array in np.load(folder / "inputs.npz").values()]
mesh = dist.ProcessMesh([0, 1], dim_names=["x"])
whole = [dist.Replicate()]
results = {}
for sharding, placements in {"replicated": whole, "rows": [dist.Shard(0)], "classes": [dist.Shard(1)]}.items():
    of_rows = whole if sharding == "classes" else placements
    x, q, y = (dist.shard_tensor(tensor, mesh, placements) for tensor in arrays[:3])
    label, score = (dist.shard_tensor(tensor, mesh, of_rows) for tensor in arrays[3:])
    x.stop_gradient = False
    for kind, (target, mask) in {"dense": (q, None), "masked": (q, y), "pair": ((label, score), None)}.items():
        for reduction, weight in itertools.product(("none", "row", "sum", "mean"), (None, CLASS_WEIGHT)):
            loss = paddle_vfl.varifocal_loss(x, target, mask, reduction=reduction, class_weight=weight)
            (grad,) = paddle.grad((loss * loss).sum(), x)
            key = f"{kind} {sharding} {reduction}{'' if weight is None else ' weighted'}"
            results[f"{key} placements"] = np.array([str(t.placements[0]) for t in (loss, grad)])
            for name, tensor in (("loss", loss), ("grad", grad)):
                results[f"{key} {name}"] = dist.reshard(tensor, mesh, whole)._local_value().numpy()
if dist.get_rank() == 0:
    np.savez(folder / "results.npz", **results)
