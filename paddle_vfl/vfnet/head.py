"""The head of VarifocalNet."""

import math

import paddle
import paddle.nn.functional as F
from paddle import ParamAttr, nn
from paddle.nn.initializer import Constant, Normal
from ppdet.modeling.bbox_utils import batch_distance2bbox
from ppdet.modeling.layers import ConvNormLayer

from ..positives import averaged, iou
from .star import StarConv

__all__ = ["VFNetHead"]

# e^x is taken of at most this: boxes of 64 e^8 pixels on the finest level, whose areas are still finite
MAX_EXPONENT = 8.0
# cells that the first box reaches to each side where its outputs are 0
UNITS = {"reg_denom": 8.0, "stride": 1.0}


class VFNetHead(nn.Layer):
    """Two towers shared by all levels, a first box, the star, a refined box and the scores of it.

    Source: VarifocalNet (arXiv 2008.13367). Points lie at the corners of cells (offset 0), as its assignment has them.

    Args:
        in_channels (list[int]): channels of the levels; PaddleDetection gives them from the neck.
        strides (list[int]): pixels of a cell of each level; likewise.
        num_classes (int): classes.
        feat_channels (int): channels of the towers, a multiple of 32.
        num_convs (int): convolutions of a tower.
        prior_prob (float): score of a class before training.
        gradient_mul (float): what the gradient that reaches the first box through the star is multiplied by.
        bbox_norm_type (str): unit of the first box, and so its size before training: "reg_denom", 8 cells to each side,
            as published; "stride", 1 cell, so that the star begins as an ordinary 3 x 3 convolution.
        star (bool): the last convolutions sample the box; else, as ordinary ones, the 3 x 3 cells around the point.
        refine (bool): refine the first box; else it is the box that is scored and found.
        assigner (object): chooses the positives; ATSSAssigner.
        loss_class (object): loss of ``(logits, (label, score), avg_factor=...)``: VarifocalLoss, another of its family
            or QualityFocalLoss. The key ``loss`` is another name of it.
        loss_bbox (object): loss of boxes, shape (..., 4) -> (..., 1): GIoULoss.
        bbox_weight, refine_weight (float): weights of the losses of the first and of the refined box.
        nms (object): MultiClassNMS.

    Raises:
        ValueError: another ``bbox_norm_type``.
    """

    __shared__ = ["num_classes"]
    __inject__ = ["assigner", "loss_class", "loss_bbox", "nms"]

    def __init__(
        self,
        in_channels=(256, 256, 256, 256, 256),
        strides=(8, 16, 32, 64, 128),
        num_classes=80,
        feat_channels=256,
        num_convs=3,
        prior_prob=0.01,
        gradient_mul=0.1,
        bbox_norm_type="reg_denom",
        star=True,
        refine=True,
        assigner="ATSSAssigner",
        loss_class="VarifocalLoss",
        loss_bbox="GIoULoss",
        bbox_weight=1.5,
        refine_weight=2.0,
        nms="MultiClassNMS",
    ):
        super().__init__()
        if bbox_norm_type not in UNITS:
            raise ValueError(f"VFNetHead: bbox_norm_type is {bbox_norm_type!r}, expected one of {', '.join(UNITS)}")
        self.unit = UNITS[bbox_norm_type]
        self.strides = [int(stride) for stride in strides]
        self.num_classes = num_classes
        self.gradient_mul = gradient_mul
        self.star = star
        self.refine = refine
        self.assigner = assigner
        self.loss_class = loss_class
        self.loss_bbox = loss_bbox
        self.bbox_weight = bbox_weight
        self.refine_weight = refine_weight
        self.nms = nms

        def tower():
            channels = [in_channels[0], *[feat_channels] * num_convs]
            return nn.LayerList([_conv_norm(a, b) for a, b in zip(channels, channels[1:])])

        self.cls_convs, self.reg_convs = tower(), tower()
        self.reg_conv = _conv_norm(feat_channels, feat_channels)
        self.reg = _conv(feat_channels, 4)
        if refine:
            self.reg_refine_star = StarConv(feat_channels, feat_channels)
            self.reg_refine = _conv(feat_channels, 4)
            self.scales_refine = nn.LayerList([_Scale() for _ in self.strides])
        self.cls_star = StarConv(feat_channels, feat_channels)
        self.cls = _conv(feat_channels, num_classes, bias=-math.log((1 - prior_prob) / prior_prob))
        self.scales = nn.LayerList([_Scale() for _ in self.strides])

    @classmethod
    def from_config(cls, cfg, input_shape):
        return {"in_channels": [s.channels for s in input_shape], "strides": [s.stride for s in input_shape]}

    def forward(self, features):
        """The outputs for the maps of all levels, (N, C_in, H, W) each.

        Returns:
            tuple[list, list, list]: in training, for each level logits of shape (N, C, H, W), and the distances of the
            first and of the refined box (without ``refine`` twice the first) to the left, top, right and bottom, in
            pixels, shape (N, 4, H, W).
            tuple[list, list]: else scores of shape (N, H W, C), and boxes in pixels of the input, shape (N, H W, 4).
        """
        logits, first, refined = zip(*(self._level(level, feature) for level, feature in enumerate(features)))
        if self.training:
            return logits, first, refined
        boxes = [
            batch_distance2bbox(_points(distances, stride), _flat(distances))
            for distances, stride in zip(refined, self.strides)
        ]
        return [F.sigmoid(_flat(level)) for level in logits], boxes

    def _level(self, level, feature):
        cls_feat = reg_feat = feature
        for cls_conv, reg_conv in zip(self.cls_convs, self.reg_convs):
            cls_feat, reg_feat = F.relu(cls_conv(cls_feat)), F.relu(reg_conv(reg_feat))
        stride = self.strides[level]
        first = self.reg(F.relu(self.reg_conv(reg_feat)))
        with paddle.amp.auto_cast(enable=False):  # half precision is too coarse for places
            first = _bounded_exp(self.scales[level](first.astype("float32"))) * (self.unit * stride)
            if self.star:
                star = (self.gradient_mul * first + (1 - self.gradient_mul) * first.detach()) / stride
            else:
                star = paddle.ones_like(first)
        refined = first
        if self.refine:
            refine = self.reg_refine(F.relu(self.reg_refine_star(reg_feat, star)))
            with paddle.amp.auto_cast(enable=False):
                refined = _bounded_exp(self.scales_refine[level](refine.astype("float32"))) * first.detach()
        return self.cls(F.relu(self.cls_star(cls_feat, star))), first, refined

    def get_loss(self, outputs, gt_meta):
        """The losses.

        Args:
            outputs (tuple): of :meth:`forward` in training.
            gt_meta (dict): ``gt_class`` of shape (N, n, 1), ``gt_bbox``, (N, n, 4), ``pad_gt_mask``, (N, n, 1), as
                PaddleDetection's PadGT makes them; n may be 0.

        Returns:
            dict[str, Tensor]: loss_cls, loss_bbox and, with ``refine``, loss_bbox_refine. The first is divided by the
            number of positives, the others by the sum of their weights, the IoUs; each of these is the mean over the
            processes, at least 1.
        """
        points = [_points(level, stride) for level, stride in zip(outputs[0], self.strides)]
        # one square of 8 cells around each point
        anchors = [paddle.concat([p - 4.0 * s, p + 4.0 * s], axis=-1) for p, s in zip(points, self.strides)]
        label, target = self.assigner(
            paddle.concat(anchors),
            [level.shape[0] for level in anchors],
            gt_meta["gt_class"],
            gt_meta["gt_bbox"],
            gt_meta["pad_gt_mask"],
            bg_index=self.num_classes,
        )[:2]
        logits, first, refined = (paddle.concat([_flat(level) for level in levels], axis=1) for levels in outputs)
        positive = (label != self.num_classes).astype("float32")

        points = paddle.concat(points)
        first, refined = batch_distance2bbox(points, first), batch_distance2bbox(points, refined)
        overlaps = [iou(boxes, target) * positive for boxes in (first, refined)]
        losses = {
            "loss_cls": self.loss_class(
                logits.flatten(0, 1), (label.flatten(), overlaps[1].flatten()), avg_factor=averaged(positive.sum())
            )
        }
        boxes_and_weights = [
            ("loss_bbox", first, overlaps[0], self.bbox_weight),
            ("loss_bbox_refine", refined, overlaps[1], self.refine_weight),
        ]
        for name, boxes, overlap, weight in boxes_and_weights[: 1 + self.refine]:
            loss = (self.loss_bbox(boxes, target).squeeze(-1) * overlap).sum()
            losses[name] = weight * loss / averaged(overlap.sum())
        return losses

    def post_process(self, outputs, im_shape, scale_factor):
        """(boxes, number of boxes of each image) after NMS, inside the original images and in their pixels."""
        scores, boxes = (paddle.concat(levels, axis=1) for levels in outputs)
        boxes = paddle.minimum(boxes.clip(min=0), im_shape.flip([1]).tile([1, 2]).unsqueeze(1))
        scale = scale_factor.flip([1]).tile([1, 2]).unsqueeze(1)
        found, count, _ = self.nms(boxes / scale, scores.transpose([0, 2, 1]))
        return found, count


class _Scale(nn.Layer):
    def __init__(self):
        super().__init__()
        self.scale = self.create_parameter([1], default_initializer=Constant(1.0))

    def forward(self, x):
        return x * self.scale


def _conv(in_channels, out_channels, bias=0.0):
    return nn.Conv2D(
        in_channels,
        out_channels,
        3,
        padding=1,
        weight_attr=ParamAttr(initializer=Normal(std=0.01)),
        bias_attr=ParamAttr(initializer=Constant(bias), learning_rate=2.0, regularizer=paddle.regularizer.L2Decay(0.0)),
    )


def _conv_norm(in_channels, out_channels):
    return ConvNormLayer(in_channels, out_channels, filter_size=3, stride=1, norm_type="gn")


def _points(level, stride):
    """(x, y) of the cells of a map in pixels, shape (H W, 2)."""
    height, width = level.shape[2:] if paddle.in_dynamic_mode() else paddle.shape(level)[2:]
    y, x = paddle.meshgrid(paddle.arange(height, dtype="float32"), paddle.arange(width, dtype="float32"))
    return paddle.stack([x.flatten(), y.flatten()], axis=-1) * float(stride)


def _flat(output):
    """(N, H W, C) of (N, C, H, W)."""
    return output.flatten(2).transpose([0, 2, 1])


def _bounded_exp(x):
    return x.clip(max=MAX_EXPONENT).exp()
