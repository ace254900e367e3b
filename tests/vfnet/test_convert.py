"""Weights of mmdetection's VFNet: the names and shapes of a whole detector, and the files that hold them.

VFNET_CHECKPOINT=OUT.pth compares the converted detector with mmdetection's own, whose outputs on an image
``tools/mmdetection_vfnet.py --checkpoint OUT.pth`` has written beside it.
"""

import os
import shutil
import sys

import numpy as np
import paddle
import pytest

from paddle_vfl import cli
from paddle_vfl.errors import UserError
from paddle_vfl.training import convert_vfnet

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def shapes(depth=50, classes=80):
    """{name: shape} of mmdetection's VFNet with ResNet of that depth."""
    names = {}

    def conv(name, out_channels, in_channels, size, bias=False):
        names[f"{name}.weight"] = (out_channels, in_channels, size, size)
        if bias:
            names[f"{name}.bias"] = (out_channels,)

    def norm(name, channels, statistics=True):
        for leaf in ("weight", "bias", *(["running_mean", "running_var"] if statistics else [])):
            names[f"{name}.{leaf}"] = (channels,)

    conv("backbone.conv1", 64, 3, 7)
    norm("backbone.bn1", 64)
    channels = 64
    for stage, (count, width) in enumerate(zip(BLOCKS[depth], (64, 128, 256, 512)), 1):
        for block in range(count):
            path = f"backbone.layer{stage}.{block}"
            for i, size in enumerate([(width, channels, 1), (width, width, 3), (4 * width, width, 1)], 1):
                conv(f"{path}.conv{i}", *size)
                norm(f"{path}.bn{i}", size[0])
            if block == 0:
                conv(f"{path}.downsample.0", 4 * width, channels, 1)
                norm(f"{path}.downsample.1", 4 * width)
            channels = 4 * width
    for i in range(3):
        conv(f"neck.lateral_convs.{i}.conv", 256, channels >> (2 - i), 1, bias=True)
    for i in range(5):
        conv(f"neck.fpn_convs.{i}.conv", 256, 256, 3, bias=True)
    for tower in ("cls_convs.0", "cls_convs.1", "cls_convs.2", "reg_convs.0", "reg_convs.1", "reg_convs.2"):
        conv(f"bbox_head.{tower}.conv", 256, 256, 3)
        norm(f"bbox_head.{tower}.gn", 256, statistics=False)
    conv("bbox_head.vfnet_reg_conv.conv", 256, 256, 3)
    norm("bbox_head.vfnet_reg_conv.gn", 256, statistics=False)
    conv("bbox_head.vfnet_reg", 4, 256, 3, bias=True)
    conv("bbox_head.vfnet_reg_refine_dconv", 256, 256, 3)
    conv("bbox_head.vfnet_reg_refine", 4, 256, 3, bias=True)
    conv("bbox_head.vfnet_cls_dconv", 256, 256, 3)
    conv("bbox_head.vfnet_cls", classes, 256, 3, bias=True)
    for i in range(5):
        names[f"bbox_head.scales.{i}.scale"] = names[f"bbox_head.scales_refine.{i}.scale"] = ()
    return names


def weights(depth=50, classes=80, **changes):
    """An array for each of them, each with a number of its own in it. ``changes``: of a shape, or None for nothing."""
    found = {**shapes(depth, classes), **changes}
    numbered = enumerate((name, shape) for name, shape in found.items() if shape is not None)
    return {name: np.broadcast_to(np.float32(number), shape) for number, (name, shape) in numbered}


@pytest.mark.parametrize("depth", BLOCKS)
def test_every_parameter_has_its_place(depth):
    from paddle_vfl.vfnet.convert import converted, model_of

    theirs = weights(depth, classes=20)
    model = model_of(theirs)
    ours = converted(theirs, model)
    assert model.backbone.depth == depth and len(ours) == len(theirs)
    assert sorted(float(array.flat[0]) for array in ours.values()) == list(range(len(theirs)))
    assert model.set_state_dict(ours) == ([], [])


def test_blocks_are_in_their_order():
    from paddle_vfl.vfnet.mmdetection import paddle_names

    for depth, last in ((50, "res4f"), (101, "res4b22"), (152, "res4b35")):
        name = f"backbone.layer3.{BLOCKS[depth][2] - 1}.bn2.running_var"
        assert paddle_names(shapes(depth))[name] == f"backbone.res4.{last}.branch2b.norm._variance"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"bbox_head.vfnet_cls.weight": None}, "is no VFNet of mmdetection"),
        (
            {"backbone.layer1.3.conv1.weight": (64, 256, 1, 1)},
            r"its backbone, of \[4, 4, 6, 3\] blocks, is none of ResNet-50, 101, 152",
        ),
        (
            {
                "backbone.layer2.0.conv2.conv_offset.weight": (27, 128, 3, 3),
                "backbone.layer2.0.conv2.conv_offset.bias": (27,),
            },
            r"conv_offset.bias and 1 more: VFNet with ResNet and FPN has nothing like that \(deformable convolutions\)",
        ),
        ({"neck.fpn_convs.4.conv.bias": None}, "there is nothing for neck.fpn_7.bias of the model"),
        (  # ResNeXt
            {"backbone.layer1.0.conv2.weight": (128, 4, 3, 3)},
            r"backbone.layer1.0.conv2.weight has the shape \(128, 4, 3, 3\): expected \(64, 64, 3, 3\)",
        ),
        (
            {"bbox_head.cls_convs.3.conv.weight": (256, 256, 3, 3)},
            r"cls_convs.3.conv.weight has the shape .*: the model has nothing like that",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    from paddle_vfl.vfnet.convert import converted, model_of

    theirs = weights(**changes)
    with pytest.raises(UserError, match=message):
        converted(theirs, model_of(theirs))


def test_without_pytorch(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["convert-vfnet", "a.pth", "b.pdparams"]) == 2
    assert "PyTorch 2.6 or newer, which reads the file, is not installed: pip install torch" in capsys.readouterr().err


def test_the_target_is_a_file_of_paddle():
    with pytest.raises(UserError, match="b.pth: expected a name that ends in .pdparams"):
        convert_vfnet("a.pth", "b.pth")


# what follows needs PyTorch


def save(path, content, **options):
    import torch

    torch.save(content, path, **options)
    return str(path)


def tensors():
    torch = pytest.importorskip("torch")
    state = {name: torch.tensor(array.flat[0]).expand(array.shape) for name, array in weights().items()}
    return {**state, "backbone.bn1.num_batches_tracked": torch.tensor(7)}


class Running:
    """Stands for an object of the training run, whose class must not be made."""

    def __reduce__(self):
        return shutil.copyfile, (__file__, "made by the file")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before PyTorch 1.6"])
def test_a_checkpoint_becomes_weights(zipped, tmp_path, capsys):
    content = {"meta": {"epoch": 12, "CLASSES": ("a",)}, "state_dict": tensors()}
    path = save(tmp_path / "a.pth", content, _use_new_zipfile_serialization=zipped)
    assert cli.main(["convert-vfnet", path, str(tmp_path / "b.pdparams")]) == 0
    found = paddle.load(str(tmp_path / "b.pdparams"))
    assert len(found) == len(shapes()) and f"{len(found)} tensors" in capsys.readouterr().out
    assert (found["head.reg.bias"].numpy() == list(shapes()).index("bbox_head.vfnet_reg.bias")).all()


def test_nothing_but_the_weights_is_made(tmp_path, monkeypatch):
    """Of a checkpoint that a training run leaves, NumPy's scalars and objects of other classes are."""
    content = {"meta": {"seed": np.int64(3)}, "state_dict": tensors(), "message_hub": [Running(), np.zeros(2)]}
    path = save(tmp_path / "a.pth", content)
    monkeypatch.chdir(tmp_path)
    assert convert_vfnet(path, "b.pdparams") == len(shapes())
    assert not os.path.exists("made by the file")


def test_weights_in_half_precision(tmp_path):
    path = save(tmp_path / "a.pth", {name: tensor.bfloat16() for name, tensor in tensors().items()})
    convert_vfnet(path, str(tmp_path / "b.pdparams"))
    assert paddle.load(str(tmp_path / "b.pdparams"))["head.reg.bias"].dtype == paddle.float32


def test_files_of_other_bytes(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "a.pth"
    path.write_bytes(b"other bytes")
    with pytest.raises(UserError, match="a.pth is no checkpoint that PyTorch reads without executing it"):
        convert_vfnet(str(path), str(tmp_path / "b.pdparams"))
    with pytest.raises(UserError, match="gone.pth: No such file or directory"):
        convert_vfnet(str(tmp_path / "gone.pth"), str(tmp_path / "b.pdparams"))


def test_a_config_says_which_model(tmp_path, config):
    path = save(tmp_path / "a.pth", {"state_dict": tensors()})
    with pytest.raises(UserError, match="a.pth: .*backbone"):
        convert_vfnet(path, str(tmp_path / "b.pdparams"), str(config("vfnet_digits.yml")))
    with pytest.raises(UserError, match="^config gone.yml does not exist"):
        convert_vfnet(path, str(tmp_path / "b.pdparams"), "gone.yml")


@pytest.mark.skipif("VFNET_CHECKPOINT" not in os.environ, reason="VFNET_CHECKPOINT is not set")
def test_the_converted_detector_computes_what_the_original_does(tmp_path):
    from paddle_vfl.vfnet.convert import model_of
    from paddle_vfl.vfnet.torch_files import read_tensors

    checkpoint, target = os.environ["VFNET_CHECKPOINT"], str(tmp_path / "b.pdparams")
    convert_vfnet(checkpoint, target)
    model = model_of(read_tensors(checkpoint))
    assert model.set_state_dict(paddle.load(target)) == ([], [])
    original = np.load(os.path.splitext(checkpoint)[0] + ".npz")
    model.eval()
    model.head.train()  # gives logits and distances
    outputs = model.head(model.neck(model.backbone({"image": paddle.to_tensor(original["image"])})))
    for name, levels in zip(("logits", "first", "refined"), outputs):
        for i, level in enumerate(levels):
            theirs = original[f"{name}/{i}"]
            worst = np.abs(level.numpy() - theirs).max() / np.abs(theirs).max()
            print(f"{name}, level {i}: {worst:.1e} of the largest")
            assert worst < 1e-4
