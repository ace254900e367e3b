"""Weights of mmdetection's VFNet for ours."""

import re

from ..errors import UserError, one_line

__all__ = ["convert", "paddle_names"]

DEPTHS = {6: 50, 23: 101}  # of ResNet, by the blocks of its third stage
LEAVES = {"weight": "weight", "bias": "bias", "running_mean": "_mean", "running_var": "_variance", "scale": "scale"}
HEAD = {
    "vfnet_reg_conv": "reg_conv",
    "vfnet_reg": "reg",
    "vfnet_reg_refine_dconv": "reg_refine_star",
    "vfnet_reg_refine": "reg_refine",
    "vfnet_cls_dconv": "cls_star",
    "vfnet_cls": "cls",
}
NECK = {
    "lateral_convs.0": "fpn_inner_res3_sum_lateral",
    "lateral_convs.1": "fpn_inner_res4_sum_lateral",
    "lateral_convs.2": "fpn_inner_res5_sum",
    "fpn_convs.0": "fpn_res3_sum",
    "fpn_convs.1": "fpn_res4_sum",
    "fpn_convs.2": "fpn_res5_sum",
    "fpn_convs.3": "fpn_6",
    "fpn_convs.4": "fpn_7",
}


def convert(source, target):
    """Write the weights of an mmdetection checkpoint as PaddleDetection reads them.

    Args:
        source (str): a checkpoint of a VFNet with ResNet-50 or ResNet-101 and FPN, as mmdetection publishes it. It is read
            without executing what it holds (``torch.load(weights_only=True)``).
        target (str): the ``.pdparams`` file to write.

    Returns:
        int: how many tensors were converted.

    Raises:
        UserError: PyTorch is missing, the file is not such a checkpoint, or its tensors do not fit.
    """
    import paddle

    theirs = _read(source)
    names = paddle_names(theirs)
    wanted = {name: tuple(value.shape) for name, value in _model(theirs).state_dict().items()}
    unknown = sorted(set(theirs) - set(names))
    if unknown:
        raise UserError(f"{source}: {unknown[0]}{_more(unknown)} is nothing that VFNet with ResNet and FPN has")
    ours = {names[name]: array.reshape(-1) if array.ndim == 0 else array for name, array in theirs.items()}
    missing = sorted(set(wanted) - set(ours))
    if missing:
        raise UserError(f"{source} has nothing for {missing[0]}{_more(missing)}")
    for name, array in ours.items():
        if array.shape != wanted.get(name):
            raise UserError(f"{source}: {name} has shape {array.shape}, expected {wanted.get(name, 'no such tensor')}")
    try:
        paddle.save(ours, str(target))
    except OSError as error:
        raise UserError(f"{target}: {error.strerror}") from error
    return len(ours)


def paddle_names(theirs):
    """{name in mmdetection: name in PaddleDetection} of what has one."""
    long = any(name.startswith("backbone.layer3.10.") for name in theirs)
    found = ((name, _paddle_name(name)) for name in theirs)
    names = {name: ours for name, ours in found if ours is not None}
    # PaddleDetection counts the blocks of a long stage a, b1, b2, ... instead of a, b, c, ...
    count = lambda match: f"res4{'a' if match[1] == 'a' else 'b' + str(ord(match[1]) - ord('a'))}."
    return {name: re.sub(r"res4([a-z])\.", count, ours) if long else ours for name, ours in names.items()}


def _paddle_name(name):
    path, _, leaf = name.rpartition(".")
    if leaf not in LEAVES:
        return None
    part, _, path = path.partition(".")
    ours = {"backbone": _backbone, "neck": _neck, "bbox_head": _head}.get(part, lambda path: None)(path)
    return None if ours is None else f"{ours}.{LEAVES[leaf]}"


def _backbone(path):
    if path in ("conv1", "bn1"):
        return f"backbone.conv1.conv1.{'conv' if path == 'conv1' else 'norm'}"
    match = re.fullmatch(r"layer(\d)\.(\d+)\.(?:(conv|bn)(\d)|downsample\.([01]))", path)
    if match is None:
        return None
    stage, block, what, number, short = match.groups()
    branch = f"branch2{'abc'[int(number) - 1]}" if what else "short"
    part = "norm" if what == "bn" or short == "1" else "conv"
    return f"backbone.res{int(stage) + 1}.res{int(stage) + 1}{chr(ord('a') + int(block))}.{branch}.{part}"


def _neck(path):
    ours = NECK.get(path[: -len(".conv")] if path.endswith(".conv") else path)
    return None if ours is None else f"neck.{ours}"


def _head(path):
    match = re.fullmatch(r"((?:cls|reg)_convs\.\d+|vfnet_reg_conv)\.(conv|gn)", path)
    if match:
        return f"head.{HEAD.get(match[1], match[1])}.{'conv' if match[2] == 'conv' else 'norm'}"
    if re.fullmatch(r"scales(_refine)?\.\d+", path):
        return f"head.{path}"
    return f"head.{HEAD[path]}" if path in HEAD else None


def _read(source):
    try:
        import torch
    except ImportError as error:
        raise UserError("mmdetection's checkpoints are read with PyTorch: pip install torch") from error
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{source}: {error.strerror or one_line(error)}") from error
    except Exception as error:  # whatever PyTorch makes of other bytes
        raise UserError(
            f"{source} is no checkpoint that can be read without executing it: {one_line(error)}"
        ) from error
    tensors = content.get("state_dict", content) if isinstance(content, dict) else {}
    arrays = {name: value.numpy() for name, value in tensors.items() if isinstance(value, torch.Tensor)}
    arrays = {name: array for name, array in arrays.items() if not name.endswith("num_batches_tracked")}
    if "bbox_head.vfnet_cls.weight" not in arrays:
        raise UserError(f"{source} has no bbox_head.vfnet_cls.weight: it is no VFNet of mmdetection")
    return arrays


def _model(theirs):
    """Our VFNet of the size of theirs."""
    from ..ppdet_plugin import enable

    enable()
    from ppdet.modeling.backbones.resnet import ResNet
    from ppdet.modeling.necks.fpn import FPN

    from .architecture import VFNet
    from .head import VFNetHead

    blocks = len({name.split(".")[2] for name in theirs if name.startswith("backbone.layer3.")})
    if blocks not in DEPTHS:
        raise UserError(
            f"its backbone has {blocks} blocks in the third stage, expected those of ResNet-50 or ResNet-101"
        )
    backbone = ResNet(depth=DEPTHS[blocks], variant="b", freeze_at=0, return_idx=[1, 2, 3])
    scales = [1 / 8, 1 / 16, 1 / 32]
    neck = FPN([512, 1024, 2048], 256, scales, has_extra_convs=True, extra_stage=2, use_c5=False)
    head = VFNetHead(num_classes=theirs["bbox_head.vfnet_cls.weight"].shape[0], assigner=None, nms=None)
    return VFNet(backbone, neck, head)


def _more(names):
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
