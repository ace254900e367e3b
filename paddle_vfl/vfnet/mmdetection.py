"""What mmdetection's VFNet calls its parameters, and we ours."""

import re

__all__ = ["paddle_names"]

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


def paddle_names(theirs):
    """{name in mmdetection: name in PaddleDetection} of what has one."""
    # PaddleDetection counts the blocks of a long stage a, b1, b2, ... instead of a, b, c, ...
    long = any(name.startswith("backbone.layer3.10.") for name in theirs)
    found = {name: _paddle_name(name, long) for name in theirs}
    return {name: ours for name, ours in found.items() if ours is not None}


def _paddle_name(name, long):
    path, _, leaf = name.rpartition(".")
    part, _, path = path.partition(".")
    if leaf not in LEAVES:
        return None
    ours = {"backbone": lambda: _backbone(path, long), "neck": lambda: _neck(path), "bbox_head": lambda: _head(path)}
    found = ours.get(part, lambda: None)()
    return None if found is None else f"{found}.{LEAVES[leaf]}"


def _backbone(path, long):
    if path in ("conv1", "bn1"):
        return f"backbone.conv1.conv1.{'conv' if path == 'conv1' else 'norm'}"
    match = re.fullmatch(r"layer(\d)\.(\d+)\.(?:(conv|bn)(\d)|downsample\.([01]))", path)
    if match is None:
        return None
    stage, block, what, number, short = match.groups()
    letter = f"b{block}" if long and stage == "3" and block != "0" else chr(ord("a") + int(block))
    branch = f"branch2{'abc'[int(number) - 1]}" if what else "short"
    part = "norm" if what == "bn" or short == "1" else "conv"
    return f"backbone.res{int(stage) + 1}.res{int(stage) + 1}{letter}.{branch}.{part}"


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
