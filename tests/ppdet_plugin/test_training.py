"""Real training steps of real heads: which loss they reach, and that it trains as PaddleDetection's own."""

import subprocess
import sys
from pathlib import Path

import paddle
import pytest

import paddle_vfl

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
ZOO = Path(__file__).with_name("configs")
SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "train.py"

# config, changes, calls of the operator in one training step: one for each level of the feature pyramid or decoder
# layer where the head loops, and one for each of the 8 images whose cost matrix SimOTAAssigner computes
PPYOLOE = "ppyoloe_plus_digits.yml"
STEPS = {
    "PPYOLOEHead, loss": (PPYOLOE, {}, 1),
    "PPYOLOEHead, loss as a mapping": (
        PPYOLOE,
        {"PPYOLOEHead": {"loss": {"name": "VarifocalLoss", "alpha": 0.5, "gamma": 1.5}}},
        1,
    ),
    "PPYOLOEHead, use_varifocal_loss": (PPYOLOE, {"PPYOLOEHead": {"loss": None, "use_varifocal_loss": True}}, 1),
    "PPYOLOEHead, focal loss": (PPYOLOE, {"PPYOLOEHead": {"loss": None, "use_varifocal_loss": False}}, 0),
    "PPYOLOEHead, photographs": ("ppyoloe_plus_photos.yml", {"num_classes": 10, "TrainReader": {"batch_size": 2}}, 1),
    "PPYOLOEHead, photographs from scratch": ("ppyoloe_plus_photos_small.yml", {"num_classes": 10}, 1),
    "PPYOLOERHead": ("ppyoloe_r_digits.yml", {}, 1),
    "PPYOLOEContrastHead": (ZOO / "ppyoloe_contrast.yml", {}, 1),
    "PPYOLOEInsHead": (ZOO / "ppyoloe_ins.yml", {}, 1),
    "EffiDeHead": (ZOO / "yolov6.yml", {}, 1),
    "EffiDeHead, loss": (ZOO / "yolov6.yml", {"EffiDeHead": {"loss": {"name": "VarifocalLoss", "alpha": 0.5}}}, 1),
    "PicoHeadV2": ("picodet_digits.yml", {}, 1),
    "PicoHeadV2, loss": ("picodet_digits.yml", {"PicoHeadV2": {"loss": {"name": "VarifocalLoss", "alpha": 0.5}}}, 1),
    "PicoHead": (ZOO / "picodet_v1.yml", {}, 3 + 8),
    "PicoHead, YOLOX's cost": (ZOO / "picodet_v1.yml", {"PicoHead": {"assigner": {"use_vfl": False}}}, 3),
    "OTAVFLHead": (ZOO / "otavfl.yml", {}, 4 + 8),
    "VFNetHead": ("vfnet_digits.yml", {}, 1),
    "VFNetHead, loss": ("vfnet_digits.yml", {"VFNetHead": {"loss": {"name": "VarifocalLoss", "alpha": 0.5}}}, 1),
    "TOODHead": ("tood_digits.yml", {}, 1),
    "RetinaHead": ("retinanet_digits.yml", {}, 1),
    "FCOSHead": ("fcos_digits.yml", {}, 1),
    "YOLOv8Head": ("yolov8_digits.yml", {}, 1),
    "YOLOv8Head, use_varifocal_loss": (
        "yolov8_digits.yml",
        {"YOLOv8Head": {"loss": None, "use_varifocal_loss": True}},
        1,
    ),
    "GFLHead": ("gfl_digits.yml", {}, 4),
    "GFLHead, its own quality focal loss": ("gfl_digits.yml", {"GFLHead": {"loss_class": "QualityFocalLoss"}}, 4),
    "PPYOLOEHead, class weights": (
        PPYOLOE,
        {"PPYOLOEHead": {"loss": {"name": "VarifocalLoss", "class_weight": [1, 11, 11, 1, 0.5, 0, 1, 1, 1, 1]}}},
        1,
    ),
    "PPYOLOEHead, matchability-aware": (PPYOLOE, {"PPYOLOEHead": {"loss": "MatchabilityAwareLoss"}}, 1),
    "PicoHeadV2, matchability-aware": ("picodet_digits.yml", {"PicoHeadV2": {"loss": "MatchabilityAwareLoss"}}, 1),
    # the encoder's queries and 2 decoder layers, and the denoising queries of those; a mask version has one more of
    # each
    "RT-DETR": ("rtdetr_digits.yml", {}, 3 + 2),
    "RT-DETR, use_vfl": ("rtdetr_digits.yml", {"DINOHead": {"loss": {"loss": None, "use_vfl": True}}}, 3 + 2),
    "RT-DETR, matchability-aware": (
        "rtdetr_digits.yml",
        {"DINOHead": {"loss": {"loss": "MatchabilityAwareLoss"}}},
        3 + 2,
    ),
    "RT-DETR, class weights": (
        "rtdetr_digits.yml",
        {"DINOHead": {"loss": {"loss": {"name": "MatchabilityAwareLoss", "class_weight": [1, 11, *[0.5] * 8]}}}},
        3 + 2,
    ),
    "RT-DETR, focal loss": ("rtdetr_digits.yml", {"DINOHead": {"loss": {"loss": None, "use_vfl": False}}}, 0),
    "Mask RT-DETR": (ZOO / "mask_rtdetr.yml", {}, 4 + 3),
}


def test_every_config_takes_a_step():
    assert {path.name for path in CONFIGS.glob("*.yml")} <= {Path(base).name for base, _, _ in STEPS.values()}


# what not every PaddleDetection has
NEEDS = {
    "picodet_digits.yml": "PicoHeadV2",
    "picodet_v1.yml": "PicoHead",
    "otavfl.yml": "OTAVFLHead",
    "gfl_digits.yml": "GFLHead",
    "tood_digits.yml": "TOODHead",
    "retinanet_digits.yml": "RetinaHead",
    "fcos_digits.yml": "FCOSHead",
    "yolov8_digits.yml": "YOLOv8Head",
    "ppyoloe_r_digits.yml": "PPYOLOERHead",
    "ppyoloe_contrast.yml": "PPYOLOEContrastHead",
    "ppyoloe_ins.yml": "PPYOLOEInsHead",
    "rtdetr_digits.yml": "RTDETRTransformer",
    "mask_rtdetr.yml": "MaskRTDETR",
    "yolov6.yml": "EffiDeHead",
}


def needs(base):
    """Skip what this PaddleDetection does not have."""
    from ppdet.core.workspace import global_config

    needed = NEEDS.get(Path(base).name)
    if needed is not None and needed not in global_config:
        pytest.skip(f"this PaddleDetection has no {needed}")


@pytest.mark.parametrize("name", STEPS)
def test_a_training_step_calls_the_operator(name, config, train_steps, op_calls):
    from ppdet.core.workspace import load_config

    base, changes, expected = STEPS[name]
    needs(base)
    losses = train_steps(load_config(str(config(base, **changes))), 1)
    assert len(op_calls) == expected
    assert all(abs(value) < 1e4 for value in losses[0].values()), losses


@pytest.mark.parametrize("base", ["tood_digits.yml", "retinanet_digits.yml", "fcos_digits.yml", "yolov8_digits.yml"])
def test_heads_that_had_another_loss_are_evaluated(base, config):
    from ppdet.core.workspace import load_config
    from ppdet.engine import Trainer

    needs(base)
    nms = {"name": "MultiClassNMS", "nms_top_k": 100, "keep_top_k": 10, "score_threshold": 0.0, "nms_threshold": 0.6}
    trainer = Trainer(load_config(str(config(base, **{NEEDS[base]: {"nms": nms}}))), mode="eval")
    trainer.model.eval()
    found = trainer.model(next(iter(trainer.loader)))
    assert found["bbox_num"].sum() == len(found["bbox"]) > 0 and bool(paddle.isfinite(found["bbox"]).all())
    trainer.evaluate()


MOMENTUM = {
    "LearningRate": {"base_lr": 0.001},
    "OptimizerBuilder": {"optimizer": {"type": "Momentum", "momentum": 0.9, "weight_decay": None}},
}


@pytest.mark.parametrize(
    "base, dtype, changes, tolerance",
    [
        ("ppyoloe_plus_digits.yml", "float32", MOMENTUM, 1e-5),
        ("ppyoloe_plus_digits.yml", "float64", {"CSPResNet": {"use_alpha": False}}, 1e-6),  # alpha is float32 always
        ("picodet_digits.yml", "float64", {}, 1e-6),
    ],
)
def test_trains_as_with_ppdets_own_loss(
    base, dtype, changes, tolerance, config, train_steps, version_fixes_only, op_calls
):
    """From the same seed, the loss curves of 20 steps agree.

    In float64 where training itself is chaotic: in float32, two runs with PaddleDetection's own loss whose first
    weights differ by 1e-7 are 1e-3 apart after ten steps of AdamW, or after four steps of PicoDet with any optimizer
    (docs/measured.md).
    """
    from ppdet.core.workspace import load_config

    if dtype == "float64" and paddle.__version__ < "3":
        pytest.skip("PaddleDetection's assigners mix float32 and float64, which Paddle 2.6 refuses")
    changes = {"TrainReader": {"batch_size": 4}, **changes}
    fused = train_steps(load_config(str(config(base, **changes))), 20, dtype)
    assert len(op_calls) == 20
    cfg = load_config(str(config(base, **changes)))
    version_fixes_only()
    own = train_steps(cfg, 20, dtype)
    assert len(op_calls) == 20 and not paddle_vfl.status()["enabled"]
    assert own[0]["loss"] != own[-1]["loss"]
    worst = max(abs(ours["loss"] / theirs["loss"] - 1) for ours, theirs in zip(fused, own))
    print(f"{base}, {dtype}: largest relative difference of the loss in 20 steps {worst:.1e}")
    assert worst < tolerance


COUNTING = """
import sys
from paddle_vfl import _ops
calls, run = [], _ops._run
_ops._run = lambda name, *args: calls.append(name) or run(name, *args)
sys.argv = sys.argv[1:]
status = 0
try:
    {start}
finally:
    print("operator calls:", len(calls))
sys.exit(status)
"""
SCRIPT_AS_IT_IS = "import runpy; sys.path[0] = sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
WAYS = {
    "yaml line": SCRIPT_AS_IT_IS,
    "enable()": f"import paddle_vfl; paddle_vfl.enable(); {SCRIPT_AS_IT_IS}",
    "paddle-vfl run": "from paddle_vfl.cli import main; status = main(['run', *sys.argv])",
    "neither": SCRIPT_AS_IT_IS,
}


@pytest.mark.parametrize("way", WAYS)
def test_an_unmodified_script_reaches_the_operator(way, config, tmp_path):
    """The YAML line, enable() in front of the same script, or the command that runs it; 2 steps."""
    loss = {} if way == "yaml line" else {"PPYOLOEHead": {"loss": "VarifocalLoss"}}
    if way == "neither":
        base = tmp_path / "native.yml"
        base.write_text((CONFIGS / PPYOLOE).read_text().replace("  loss: VarifocalLoss\n", ""))
        loss = {}
    path = config(PPYOLOE if way != "neither" else base, plugin_line=way == "yaml line", epoch=1, **loss)
    code = COUNTING.format(start=WAYS[way])
    done = subprocess.run(
        [sys.executable, "-c", code, str(SCRIPT), "-c", str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == (1 if way == "neither" and _needs_version_fixes() else 0), done.stderr[-3000:]
    assert f"operator calls: {0 if way == 'neither' else 2}" in done.stdout


def _needs_version_fixes():
    """PaddleDetection 2.6.0 does not train on Paddle 3 as it is."""
    import ppdet

    return paddle.__version__ >= "3" and getattr(ppdet, "__version__", "develop") == "2.6.0"


@pytest.mark.slow
@pytest.mark.parametrize("base", ["ppyoloe_plus_digits.yml", "vfnet_digits.yml"])
def test_training_as_a_static_graph(base, config, digits, tmp_path, monkeypatch):
    """PaddleDetection's to_static training has the same classification loss as its dynamic training."""
    from paddle_vfl import training
    from paddle_vfl.training.history import read_history

    monkeypatch.setattr("gc.collect", lambda *_: 0)  # Paddle calls it at each of 100 translations
    losses = []
    data = {"dataset_dir": str(digits), "sample_num": 8}  # one step an epoch, of the same images
    for to_static in (False, True):
        path = config(base, epoch=2, TrainDataset=data)
        training.train(str(path), to_static=to_static, seed=0)
        steps, _ = read_history(tmp_path / "output" / path.stem / "history.jsonl")
        losses.append([step["losses"]["loss_cls"] for step in steps])
    assert len(losses[0]) == len(losses[1]) == 2
    # of the first step: rounding makes the next ones differ
    assert losses[1][0] == pytest.approx(losses[0][0], rel=1e-6)
