"""What docs/ says of PaddleDetection's own configs, tried on them: they are in its repository only (PPDET_SRC)."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import paddle_vfl
from paddle_vfl.ppdet_plugin.call_sites.site import loss_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "from_a_checkout.md"
SECTIONS = re.findall(
    r"^### [^\n]*: (configs/\S+\.yml)\n+```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE
)


def test_every_config_of_the_page_is_found():
    assert [Path(path).stem for path, _ in SECTIONS] == [
        "ppyoloe_plus_crn_s_80e_coco",
        "picodet_s_320_coco_lcnet",
        "rtdetr_r50vd_6x_coco",
    ]


def options(model):
    """(alpha, gamma) with which the model computes its classification loss."""
    if hasattr(model, "yolo_head"):
        keywords = model.yolo_head._varifocal_loss.keywords
    elif hasattr(model, "detr_head"):
        keywords = loss_of(model.detr_head.loss).formula
    else:
        keywords = vars(model.head.loss_vfl)
        assert type(model.head.loss_vfl) is paddle_vfl.VarifocalLoss and not keywords["use_sigmoid"]
    return keywords["alpha"], keywords["gamma"]


@pytest.mark.skipif(not os.environ.get("PPDET_SRC"), reason="PPDET_SRC is not set")
@pytest.mark.parametrize("whole", [True, False], ids=["block", "first line"])
@pytest.mark.parametrize("path, block", SECTIONS, ids=[path for path, _ in SECTIONS])
def test_the_change_builds_the_model(path, block, whole, tmp_path):
    from ppdet.core.workspace import create, load_config

    config = tmp_path / "changed.yml"
    config.write_text(
        f"_BASE_: [{Path(os.environ['PPDET_SRC']) / path}]\n" + (block if whole else block.splitlines()[0])
    )
    cfg = load_config(str(config))
    cfg["norm_type"] = "bn"  # a CPU has no sync_bn
    cfg["LCPAN"]["spatial_scales"] = [
        0.125,
        0.0625,
        0.03125,
    ]  # PaddleDetection would append to its own default, for all PicoDets to come
    assert paddle_vfl.status()["enabled"]
    assert options(create(cfg.architecture)) == ((0.5, 1.5) if whole else (0.75, 2.0))


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("PPDET_SRC"), reason="PPDET_SRC is not set")
def test_the_small_run_prints_what_the_page_shows(tmp_path):
    section = re.search(r"^## A small run without COCO\n.*?^## ", PAGE.read_text(), re.DOTALL | re.MULTILINE)[0]
    commands = re.findall(r"^    paddle-vfl (.*)$", section.replace("\\\n", " "), re.MULTILINE)
    (shown,) = re.findall(r"^    \[.*\] (paddle_vfl INFO: .*)$", section, re.MULTILINE)
    for name in ("configs", "ppdet", "tools"):
        (tmp_path / name).symlink_to(Path(os.environ["PPDET_SRC"]).resolve() / name)
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "paddle_vfl", *shlex.split(command)], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
    assert len(commands) == 2 and shown in done.stdout and "Epoch: [0] [3/4]" in done.stdout + done.stderr
