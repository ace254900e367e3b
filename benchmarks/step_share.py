"""The part of a PP-YOLOE+ training step that the classification loss takes, before and after.

    python benchmarks/step_share.py
    python benchmarks/step_share.py --width 0.125 --size 160 --batch 16 --classes 10

The first is a PP-YOLOE+ s, batch 8 at 640 x 640, 80 classes, on random images; the second is the demo's model.
PaddleDetection's own loss and the fused one take turns in the same model on the same batch, and so do the two alone,
forward and backward, on what the model gives them. The share is the time of the loss alone over that of the step: steps
differ by more among themselves than by the loss.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "ppyoloe_plus_digits.yml"


def batch_of(paddle, size, batch, classes):
    """Random images, each with 8 boxes, as PaddleDetection's reader gives them."""
    import numpy as np

    rng = np.random.default_rng(0)
    corner, extent = rng.uniform(0, 0.7 * size, (batch, 8, 2)), rng.uniform(0.1 * size, 0.3 * size, (batch, 8, 2))
    tensor = paddle.to_tensor
    return {
        "image": tensor(rng.normal(size=(batch, 3, size, size)).astype("float32")),
        "im_shape": tensor(np.full((batch, 2), size, "float32")),
        "scale_factor": tensor(np.ones((batch, 2), "float32")),
        "gt_bbox": tensor(np.concatenate([corner, corner + extent], 2).astype("float32")),
        "gt_class": tensor(rng.integers(0, classes, (batch, 8, 1)).astype("int32")),
        "pad_gt_mask": tensor(np.ones((batch, 8, 1), "float32")),
        "epoch_id": 0,
        "curr_iter": tensor([0]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=float, default=0.5, help="width_mult of the model (default: %(default)s)")
    parser.add_argument("--size", type=int, default=640, help="side of the images in pixels (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="steps with each loss (default: %(default)s)")
    parser.add_argument("--json", help="file for the raw figures")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)

    import paddle_vfl  # before paddle

    import paddle
    from tqdm import trange

    paddle_vfl.set_num_threads(args.threads)
    paddle_vfl.enable()
    from ppdet.core.workspace import create, load_config, merge_config
    from ppdet.modeling.heads.ppyoloe_head import PPYOLOEHead

    cfg = load_config(str(CONFIG))
    merge_config({"width_mult": args.width, "num_classes": args.classes, "pretrain_weights": None})
    del cfg["PPYOLOEHead"]["loss"]  # the native call
    model = create(cfg.architecture)
    model.train()
    optimizer = paddle.optimizer.SGD(1e-4, parameters=model.parameters())
    data = batch_of(paddle, args.size, args.batch, args.classes)

    fused = PPYOLOEHead.__dict__["_varifocal_loss"]
    paddle_vfl.disable()
    own = PPYOLOEHead.__dict__["_varifocal_loss"]
    paddle_vfl.enable()
    losses = {"ppdet": own, "fused": fused}
    given = {}

    def step(name):
        def loss(pred, *args, **kwargs):
            given.update(pred=pred.detach(), args=[a.detach() for a in args], kwargs=kwargs)
            return losses[name].__func__(pred, *args, **kwargs)

        model.yolo_head._varifocal_loss = loss
        start = time.perf_counter()
        model(data)["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        return time.perf_counter() - start

    def alone(name):
        pred = given["pred"].clone()
        pred.stop_gradient = False
        start = time.perf_counter()
        paddle.grad(losses[name].__func__(pred, *given["args"], **given["kwargs"]), pred)
        return time.perf_counter() - start

    steps, losses_alone = {name: [] for name in losses}, {name: [] for name in losses}
    for i in trange(args.rounds + 1, desc="step_share"):
        for name in losses:
            seconds = step(name), *(alone(name) for _ in range(5))
            if i > 0:  # the first round warms up
                steps[name].append(seconds[0])
                losses_alone[name] += seconds[1:]
    median = statistics.median
    print(
        f"{given['pred'].size:,} predictions\n\n"
        "| loss | step (median) | smallest - largest | the loss alone | its share |\n|---|---|---|---|---|"
    )
    for name in losses:
        whole, part = median(steps[name]), median(losses_alone[name])
        spread = f"{min(steps[name]) * 1e3:.0f} - {max(steps[name]) * 1e3:.0f} ms"
        print(f"| {name} | {whole * 1e3:.0f} ms | {spread} | {part * 1e3:.3g} ms | {100 * part / whole:.2g}% |")
    if args.json:
        Path(args.json).write_text(
            json.dumps({"arguments": vars(args), "steps": steps, "losses": losses_alone}, indent=1)
        )


if __name__ == "__main__":
    main()
