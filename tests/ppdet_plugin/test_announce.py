"""What is said of a model when PaddleDetection builds it."""

import subprocess
import sys

import pytest

import paddle_vfl

NOTHING = "nothing in this PPYOLOE computes varifocal loss: it trains with its own loss"
LOSS = {"name": "VarifocalLoss", "alpha": 0.5, "gamma": 1.5, "iou_weighted": False, "loss_weight": 2.0}


@pytest.mark.parametrize(
    "base, changes, message",
    [
        ("ppyoloe_plus_digits.yml", {}, "PPYOLOEHead: fused varifocal loss, alpha 0.75, gamma 2.0"),
        (
            "ppyoloe_plus_digits.yml",
            {"PPYOLOEHead": {"loss": LOSS}},
            "PPYOLOEHead: fused varifocal loss, alpha 0.5, gamma 1.5, positives not weighted by the IoU, "
            "loss_weight 2.0",
        ),
        ("ppyoloe_plus_digits.yml", {"PPYOLOEHead": {"loss": None, "use_varifocal_loss": False}}, NOTHING),
        ("picodet_digits.yml", {}, "PicoHeadV2: fused varifocal loss, alpha 0.75, gamma 2.0"),
        ("gfl_digits.yml", {"GFLHead": {"loss_class": "QualityFocalLoss"}}, "fused quality focal loss, beta 2.0"),
        (
            "picodet_digits.yml",
            {"PicoHeadV2": {"loss": {"name": "MatchabilityAwareLoss", "class_weight": [1, 11, *[0.5] * 8]}}},
            "fused matchability-aware loss, alpha 1.0, gamma 1.5, class weights from 0.5 to 11",
        ),
        ("gfl_digits.yml", {"VarifocalLoss": {"alpha": 0.25}}, "GFLHead: fused varifocal loss, alpha 0.25, gamma 2.0"),
    ],
)
def test_a_model_says_once_what_it_runs(base, changes, message, config, caplog):
    from ppdet.core import workspace

    cfg = workspace.load_config(str(config(base, **changes)))
    with caplog.at_level("INFO", logger="paddle_vfl"):
        workspace.create(cfg.architecture)
    assert [message in record.message for record in caplog.records] == [True]


def test_the_line_is_seen_in_an_ordinary_program(config):
    path = config("picodet_digits.yml")
    code = "import sys, ppdet.core.workspace as w; cfg = w.load_config(sys.argv[1]); w.create(cfg.architecture)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("paddle_vfl INFO: PicoHeadV2: fused varifocal loss, alpha 0.75, gamma 2.0\n") == 1


def test_nothing_is_said_once_the_plugin_is_off(config, caplog):
    from ppdet.core import workspace

    cfg = workspace.load_config(str(config("gfl_digits.yml")))
    paddle_vfl.disable()
    cfg.GFLHead.pop("loss", None)
    with caplog.at_level("INFO", logger="paddle_vfl"):
        workspace.create(cfg.architecture)
    assert not caplog.records
