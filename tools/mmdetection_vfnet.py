"""What mmdetection's own VFNet computes, for comparison with ours: ``python tools/mmdetection_vfnet.py OUT.npz``.

Needs an environment with mmdet 3.3, mmengine, mmcv-lite 2.1 and PyTorch; no compiled operator and no network: the
deformable convolution is written here by its definition. Writes random weights, features and boxes, and the outputs,
losses, gradients and detections that the original makes of them, which tests/vfnet/test_mmdetection.py compares; with
``--checkpoint OUT.pth`` a whole detector and its outputs on an image, for tests/vfnet/test_convert.py.
"""

import argparse
import importlib.abc
import importlib.machinery
import sys
import types

import numpy as np
import torch
import torch.nn.functional as F


class DeformConv2d(torch.nn.Module):
    """Deformable convolution, version 1: nine bilinear samples, 0 outside, and a product with the weight."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, **kwargs):
        super().__init__()
        assert (kernel_size, stride, padding) == (3, 1, 1)
        self.weight = torch.nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))

    def forward(self, x, offset):
        batch, channels, height, width = x.shape
        rows = torch.arange(height, dtype=x.dtype).view(1, height, 1)
        columns = torch.arange(width, dtype=x.dtype).view(1, 1, width)
        samples = []
        for k in range(9):
            y = rows + (k // 3 - 1) + offset[:, 2 * k]
            x_ = columns + (k % 3 - 1) + offset[:, 2 * k + 1]
            samples.append(self._bilinear(x, y, x_))
        samples = torch.stack(samples, 2).reshape(batch, channels * 9, height, width)
        return F.conv2d(samples, self.weight.reshape(len(self.weight), -1, 1, 1))

    @staticmethod
    def _bilinear(x, y, x_):
        batch, channels, height, width = x.shape
        total = 0
        for row in (y.floor(), y.floor() + 1):
            for column in (x_.floor(), x_.floor() + 1):
                weight = (1 - (y - row).abs()) * (1 - (x_ - column).abs())
                inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
                index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
                index = index.view(batch, 1, -1).expand(-1, channels, -1)
                values = x.flatten(2).gather(2, index).view(batch, channels, *y.shape[1:])
                total = total + values * (weight * inside).unsqueeze(1)
        return total


class _Missing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports mmcv's compiled operators and torchvision as empty modules: what is taken from them is a placeholder."""

    def find_spec(self, name, path=None, target=None):
        if name.startswith(("mmcv.ops", "torchvision")):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Placeholders(spec.name)

    def exec_module(self, module):
        if module.__name__ == "mmcv.ops":
            module.DeformConv2d, module.batched_nms = DeformConv2d, batched_nms


class _Placeholders(types.ModuleType):
    __version__ = "0.0.0"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (torch.nn.Module,), {})


def batched_nms(boxes, scores, labels, config, class_agnostic=False):
    """Greedy non-maximum suppression of each class."""
    order = scores.argsort(descending=True)
    kept = []
    for i in order.tolist():
        same = [k for k in kept if labels[k] == labels[i]]
        if not same or _iou(boxes[i : i + 1], boxes[same]).max() <= config["iou_threshold"]:
            kept.append(i)
    kept = torch.tensor(kept, dtype=torch.long)
    return torch.cat([boxes[kept], scores[kept, None]], 1), kept


def _iou(a, b):
    size = (torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])).clamp(min=0)
    area = [(x[:, 2:] - x[:, :2]).prod(1) for x in (a, b)]
    return size.prod(2) / (area[0][:, None] + area[1][None] - size.prod(2))


def write_detector(args):
    """A VFNet with ResNet-50, random weights and statistics, as a checkpoint; its outputs on an image beside it."""
    from pathlib import Path

    import mmdet
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmdet.registry import MODELS

    init_default_scope("mmdet")
    config = Config.fromfile(Path(mmdet.__file__).parent / ".mim" / "configs" / "vfnet" / "vfnet_r50_fpn_1x_coco.py")
    config.model.backbone.init_cfg = None
    model = MODELS.build(config.model).eval()
    randomize(model)
    torch.save({"meta": {"epoch": 12, "cfg": config.pretty_text}, "state_dict": model.state_dict()}, args.checkpoint)
    image = torch.randn(1, 3, args.size, args.size)
    with torch.no_grad():
        outputs = model.bbox_head.train()(model.neck(model.backbone(image)))
    arrays = {
        f"{name}/{i}": level.numpy()
        for name, levels in zip(("logits", "first", "refined"), outputs)
        for i, level in enumerate(levels)
    }
    np.savez_compressed(Path(args.checkpoint).with_suffix(".npz"), image=image.numpy(), **arrays)
    print(sum(array.size for array in arrays.values()), "outputs")


def randomize(model):
    """Weights with which signals neither grow nor vanish, and everything else unlike what it begins as."""
    with torch.no_grad():
        for name, parameter in [*model.named_parameters(), *model.named_buffers()]:
            if parameter.ndim == 4:
                parameter.normal_(0, 1.0 / (parameter[0].numel() ** 0.5))
            elif parameter.ndim == 0 and parameter.is_floating_point():
                parameter.uniform_(0.8, 1.2)
            elif "gn.weight" in name or (".bn" in name and name.endswith((".weight", "running_var"))):
                parameter.uniform_(0.5, 1.5)
            elif "downsample.1" in name and name.endswith((".weight", "running_var")):
                parameter.uniform_(0.5, 1.5)
            elif "vfnet_cls.bias" in name:
                parameter.normal_(-3, 0.5)
            elif parameter.is_floating_point():
                parameter.normal_(0, 0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="?", default="vfnet.npz")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--convs", type=int, default=3)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--size", type=int, default=256, help="pixels of the two square images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--checkpoint", metavar="OUT.pth", help="write a whole detector instead, as a checkpoint, and its outputs"
    )
    args = parser.parse_args()
    sys.meta_path.insert(0, _Missing())
    if args.checkpoint:
        return write_detector(args)
    from mmdet.models.dense_heads.vfnet_head import VFNetHead
    from mmengine.config import ConfigDict
    from mmengine.structures import InstanceData

    torch.manual_seed(args.seed)
    train = ConfigDict(assigner={"type": "ATSSAssigner", "topk": 9}, allowed_border=-1, pos_weight=-1, debug=False)
    test = ConfigDict(
        nms_pre=1000, min_bbox_size=0, score_thr=0.05, nms={"type": "nms", "iou_threshold": 0.6}, max_per_img=100
    )
    head = VFNetHead(
        num_classes=args.classes,
        in_channels=args.channels,
        stacked_convs=args.convs,
        feat_channels=args.channels,
        strides=[8, 16, 32, 64, 128],
        center_sampling=False,
        dcn_on_last_conv=False,
        use_atss=True,
        use_vfl=True,
        loss_cls={
            "type": "VarifocalLoss",
            "use_sigmoid": True,
            "alpha": 0.75,
            "gamma": 2.0,
            "iou_weighted": True,
            "loss_weight": 1.0,
        },
        loss_bbox={"type": "GIoULoss", "loss_weight": 1.5},
        loss_bbox_refine={"type": "GIoULoss", "loss_weight": 2.0},
        train_cfg=train,
        test_cfg=test,
    )
    randomize(head)
    sizes = [-(-args.size // stride) for stride in (8, 16, 32, 64, 128)]
    features = [torch.randn(2, args.channels, n, n, requires_grad=True) for n in sizes]
    box_count = 4
    corner = torch.rand(2, box_count, 2) * args.size * 0.6
    side = 8 + torch.rand(2, box_count, 2) * args.size * 0.35
    boxes = torch.cat([corner, corner + side], 2)
    labels = torch.randint(0, args.classes, (2, box_count))
    metas = [{"img_shape": (args.size, args.size), "pad_shape": (args.size, args.size), "scale_factor": (1.0, 1.0)}] * 2
    arrays = {f"weight/bbox_head.{name}": value.detach().numpy() for name, value in head.state_dict().items()}
    arrays.update({f"feature/{i}": feature.detach().numpy() for i, feature in enumerate(features)})
    arrays.update(boxes=boxes.numpy(), labels=labels.numpy(), size=args.size)

    head.train()
    logits, first, refined = head(features)
    for i in range(5):
        arrays[f"logits/{i}"], arrays[f"refined/{i}"] = logits[i].detach().numpy(), refined[i].detach().numpy()
        arrays[f"first/{i}"] = first[i].detach().numpy()
    instances = [InstanceData(bboxes=b, labels=c) for b, c in zip(boxes, labels)]
    losses = head.loss_by_feat(logits, first, refined, instances, metas)
    sum(losses.values()).backward()
    for ours, theirs in (("loss_cls", "loss_cls"), ("loss_bbox", "loss_bbox"), ("loss_bbox_refine", "loss_bbox_rf")):
        arrays[f"loss/{ours}"] = losses[theirs].detach().numpy()
    arrays.update({f"grad/bbox_head.{name}": value.grad.numpy() for name, value in head.named_parameters()})
    arrays.update({f"grad_feature/{i}": feature.grad.numpy() for i, feature in enumerate(features)})

    head.eval()
    with torch.no_grad():
        outputs = head([feature.detach() for feature in features])
        found = head.predict_by_feat(*outputs, batch_img_metas=metas, cfg=test, rescale=False, with_nms=True)
    for i, result in enumerate(found):
        arrays[f"found/{i}"] = torch.cat(
            [result.labels[:, None].float(), result.scores[:, None], result.bboxes], 1
        ).numpy()
    np.savez_compressed(args.output, **arrays)
    print({name: float(arrays[name]) for name in arrays if name.startswith("loss/")}, [len(r) for r in found])


if __name__ == "__main__":
    main()
