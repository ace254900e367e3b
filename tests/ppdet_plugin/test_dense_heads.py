"""``loss:`` on heads that have no varifocal loss of their own: value and gradient of their classification loss against
float64, from the outputs that a head gives to its loss; what it is divided by, what goes with it, and what is refused.

Which boxes are positive is PaddleDetection's business, and its assigners are asked; boxes, IoU and loss are computed
anew.
"""

import copy
import functools
import math
import re
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml

import paddle_vfl
from paddle_vfl.ppdet_plugin.errors import ConfigError
from paddle_vfl.testing.oracle import dense_target, loss_and_grad

ShapeSpec = pytest.importorskip("ppdet.modeling.shape_spec").ShapeSpec

CLASSES, SIDE, STRIDES = 3, 64, (8, 16, 32)
CELLS = [(SIDE // stride) ** 2 for stride in STRIDES]
BOXES = np.array([[[4, 6, 40, 36], [30, 28, 62, 60]], [[10, 2, 28, 24], [0, 20, 50, 63]]], "float32")
LABELS = np.array([[[0], [2]], [[1], [1]]], "int64")

MAPPING = {"name": "VarifocalLoss", "alpha": 0.5, "gamma": 1.5, "iou_weighted": False, "loss_weight": 2.0}
MATCHABILITY = {"gamma": 1.5, "alpha": 1.0, "target_power": 1.5, "positive_weight": "one", "detach_weight": True}
# what a config says -> the formula
LOSSES = {
    "name": ("VarifocalLoss", {}),
    "mapping": (MAPPING, {"alpha": 0.5, "gamma": 1.5, "iou_weighted": False, "loss_weight": 2.0}),
    "quality focal": ("QualityFocalLoss", {"alpha": 1.0, "gamma": 2.0, "positive_weight": "modulated"}),
    "matchability-aware, class weights": (
        {"name": "MatchabilityAwareLoss", "class_weight": [1, 2, 0.5]},
        {**MATCHABILITY, "class_weight": [1, 2, 0.5]},
    ),
}


def make(name, channels=None, **options):
    """The module of that name, made by PaddleDetection from a config, for features of so many channels."""
    paddle_vfl.enable()
    from ppdet.core.workspace import create, global_config, merge_config

    if name not in global_config:
        pytest.skip(f"this PaddleDetection has no {name}")
    known = {key: value for key, value in options.items() if key in global_config[name].schema or key == "loss"}
    merge_config({name: known, "num_classes": CLASSES})
    if channels is None:
        return create(name)
    return create(name, input_shape=[ShapeSpec(channels=channels, stride=stride) for stride in STRIDES])


def leaf(array):
    return paddle.to_tensor(np.asarray(array, "float32"), stop_gradient=False)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def iou(boxes, targets):
    """Of each box with its target, (x1, y1, x2, y2), float64; at least 1e-6, as the score of a positive."""
    boxes, targets = np.asarray(boxes, np.float64), np.asarray(targets, np.float64)
    sides = np.minimum(boxes[..., 2:], targets[..., 2:]) - np.maximum(boxes[..., :2], targets[..., :2])
    common = np.maximum(sides, 0).prod(-1)
    return np.maximum(common / (sum((b[..., 2:] - b[..., :2]).prod(-1) for b in (boxes, targets)) - common), 1e-6)


def grid():
    """(centers of the cells, their strides) of all levels, in pixels."""
    centers, strides = [], []
    for stride in STRIDES:
        steps = (np.arange(SIDE // stride) + 0.5) * stride
        centers.append(np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2))
        strides.append(np.full((len(centers[-1]), 1), stride))
    return np.concatenate(centers), np.concatenate(strides)


def ground_truth(**more):
    tensors = {"gt_class": LABELS, "gt_bbox": BOXES, "pad_gt_mask": np.ones((2, 2, 1), "float32")}
    return {**{key: paddle.to_tensor(value) for key, value in tensors.items()}, **more}


def levels(array):
    """(images, cells, channels) as a list of (images, channels, height, width)."""
    sides = [SIDE // stride for stride in STRIDES]
    parts = np.split(array, np.cumsum(CELLS)[:-1], axis=1)
    return [part.transpose(0, 2, 1).reshape(2, -1, side, side) for part, side in zip(parts, sides)]


class Case:
    """One head with random outputs: ``run()`` is its classification loss, of the leaves ``predictions`` and of
    ``truth``. The expectation is the sum over ``rows`` of predictions with ``scores``, divided by ``count``;
    ``all_rows``: with those that do not count there."""

    use_sigmoid = True
    mask = all_rows = None
    calls = 1
    weight = 1.0
    least = 1  # what the sum is divided by where there is no positive

    def arrange(self, gradients):
        """An array like ``rows`` as a list of arrays like ``predictions``."""
        return [gradients]


class TOOD(Case):
    use_sigmoid = False

    def __init__(self, rng, loss, epoch=10):
        head = make("TOODHead", channels=32, stacked_convs=1, nms=None, loss=loss,
                    static_assigner={"name": "ATSSAssigner", "topk": 4},
                    assigner={"name": "TaskAlignedAssigner", "topk": 5})  # fmt: skip
        centers, strides = grid()
        probabilities = sigmoid(rng.normal(-1, 2, (2, len(centers), CLASSES)))
        sizes = rng.uniform(0.5, 3, (2, len(centers), 4)) * [-1, -1, 1, 1]
        boxes = np.tile(centers / strides, 2) + sizes
        anchors = np.concatenate([centers - 4 * strides, centers + 4 * strides], -1)
        self.predictions = [leaf(probabilities)]
        outputs = [self.predictions[0], leaf(boxes), *map(paddle.to_tensor, map(np.float32, (anchors, strides)))]
        outputs.insert(3, CELLS)
        found = [paddle.to_tensor(LABELS), paddle.to_tensor(BOXES), paddle.ones([2, 2, 1])]
        if epoch < head.static_assigner_epoch:
            labels, targets, scores, *_ = head.static_assigner(outputs[2], CELLS, *found, bg_index=CLASSES)
            quality = np.where(labels.numpy() < CLASSES, iou(boxes * strides, targets.numpy()), 0)
            self.scores = scores.numpy() * quality[..., None]
            assert len(np.unique(self.scores)) > 4
        else:
            pixels, points = outputs[1].detach() * outputs[4], paddle.to_tensor(np.float32(centers))
            assigned = head.assigner(self.predictions[0].detach(), pixels, points, CELLS, *found, bg_index=CLASSES)
            self.scores = assigned[2].numpy()
        self.rows, self.count = probabilities, max(self.scores.sum(), 1)
        self.truth = ground_truth(epoch_id=epoch)
        self.run = lambda: head.get_loss(outputs, self.truth)["loss_class"]


class TOODFirstEpochs(TOOD):
    """Their assigner has no scores: they are the IoU."""

    def __init__(self, rng, loss):
        super().__init__(rng, loss, epoch=0)


class FCOSR(Case):
    use_sigmoid = False

    def __init__(self, rng, loss):
        ranges = [[-1, 24], [24, 48], [48, 10000]]
        assigner = {"name": "FCOSRAssigner", "boundary": ranges, "score_type": "gaussian"}
        head = make("FCOSRHead", channels=8, feat_channels=32, stacked_convs=1, fpn_strides=STRIDES, nms=None,
                    loss=loss, assigner=assigner)  # fmt: skip
        centers, strides = grid()
        probabilities = sigmoid(rng.normal(-1, 2, (2, len(centers), CLASSES)))
        middle, size = (BOXES[..., :2] + BOXES[..., 2:]) / 2, BOXES[..., 2:] - BOXES[..., :2]
        rotated = paddle.to_tensor(np.concatenate([middle, size, np.full((2, 2, 1), 0.2)], -1).astype("float32"))
        self.predictions = [leaf(probabilities)]
        regression = rng.uniform(4, 20, (2, len(centers), 5)) * [0.1, 0.1, 1, 1, 0.05]
        points, of_points = (paddle.to_tensor(np.float32(array)[None]) for array in (centers, strides))
        outputs = [self.predictions[0], leaf(regression), points, of_points, CELLS]
        self.truth = ground_truth(gt_rbox=rotated)
        found = [self.truth[key] for key in ("gt_class", "gt_bbox", "gt_rbox", "pad_gt_mask")]
        labels, _, scores = head.assigner(points, of_points, CELLS, *found, CLASSES, None)
        self.rows, self.scores, self.count = probabilities, scores.numpy(), int((labels < CLASSES).sum())
        self.run = lambda: head.get_loss(outputs, self.truth)["loss_cls"]


class YOLOv8(Case):
    name = "YOLOv8Head"
    weight = 0.5 * 2  # its loss_weight, and the images of the batch, by which it multiplies its losses

    def __init__(self, rng, loss):
        head = make(self.name, channels=16, reg_max=8, nms=None, loss=loss)
        centers, strides = grid()
        logits, distances = rng.normal(-1, 2, (2, len(centers), CLASSES)), rng.uniform(0.5, 3, (2, len(centers), 4))
        self.predictions = [leaf(level) for level in levels(logits)]
        bins = [leaf(rng.normal(0, 1, (2, cells, 4, 8))) for cells in CELLS]
        points, of_points = (paddle.to_tensor(np.float32(array)) for array in (centers, strides))
        outputs = [self.predictions, [leaf(level) for level in levels(distances)], bins, None, points, CELLS, of_points]
        boxes = np.concatenate([centers - distances[..., :2] * strides, centers + distances[..., 2:] * strides], -1)
        self.truth = ground_truth(num_gpus=1)
        assigned = head.assigner(paddle.to_tensor(np.float32(sigmoid(logits))), paddle.to_tensor(np.float32(boxes)),
                                 points, CELLS, *(self.truth[key] for key in ("gt_class", "gt_bbox", "pad_gt_mask")),
                                 bg_index=CLASSES)  # fmt: skip
        self.rows, self.scores = logits, assigned[2].numpy()
        self.count = max(self.scores.sum(), 1)
        self.run = lambda: head.get_loss(outputs, self.truth)["loss_cls"]

    def arrange(self, gradients):
        return levels(gradients)


class YOLOv7u(YOLOv8):
    name = "YOLOv7uHead"


def decoded(deltas, anchors, clip=None):
    """Boxes of (dx, dy, dw, dh), float64; ``clip`` bounds the shift of the centers, in pixels."""
    size, middle = anchors[..., 2:] - anchors[..., :2], (anchors[..., 2:] + anchors[..., :2]) / 2
    shift = deltas[..., :2] * size
    middle = middle + (shift if clip is None else np.clip(shift, -clip, clip))
    size = size * np.exp(np.minimum(deltas[..., 2:], math.log(1000 / 16)))
    return np.concatenate([middle - size / 2, middle + size / 2], -1)


class Anchored(Case):
    def expect(self, logits, boxes, matches, positive, chosen):
        """From the boxes of all anchors of both images, and for each the target, whether it is positive, and whether
        it counts."""
        quality = [iou(boxes[image], BOXES[image][matches[image]]) for image in range(2)]
        labels = np.where(positive, np.stack([LABELS[i, matches[i], 0] for i in range(2)]), CLASSES)
        self.rows, self.all_rows = np.where(chosen[..., None], logits, -1e9), logits
        self.scores = dense_target(labels, np.where(positive, np.stack(quality), 0), CLASSES)
        self.mask = dense_target(labels, np.ones(labels.shape), CLASSES)
        self.count = positive.sum()
        assert self.count > 4 and len(np.unique(self.scores)) > 4 and not chosen.all()


class Retina(Anchored):
    def __init__(self, rng, loss):
        head = make("RetinaHead", nms=None, loss=loss, weights=[1.0, 1.0, 2.0, 2.0],
                    conv_feat={"name": "RetinaFeat", "feat_in": 8, "feat_out": 8, "num_convs": 1, "norm_type": None},
                    anchor_generator={"name": "RetinaAnchorGenerator", "octave_base_scale": 3, "scales_per_octave": 1,
                                      "aspect_ratios": [0.5, 1.0], "strides": list(map(float, STRIDES))},
                    bbox_assigner={"name": "MaxIoUAssigner", "positive_overlap": 0.5, "negative_overlap": 0.4,
                                   "allow_low_quality": True})  # fmt: skip
        sides = [SIDE // stride for stride in STRIDES]
        self.predictions = [leaf(rng.normal(-1, 2, (2, 2 * CLASSES, side, side))) for side in sides]
        deltas = [leaf(rng.normal(0, 0.3, (2, 2 * 4, side, side))) for side in sides]
        anchors = paddle.concat(head.anchor_generator(self.predictions))
        assigned = [head.bbox_assigner(anchors, paddle.to_tensor(boxes)) for boxes in BOXES]
        matches, labels = (np.stack([part.numpy() for part in parts]) for parts in zip(*assigned))
        of_anchors = lambda maps: np.concatenate(  # noqa: E731
            [m.numpy().transpose(0, 2, 3, 1).reshape(2, m.shape[2] * m.shape[3] * 2, -1) for m in maps], axis=1
        )
        boxes = decoded(of_anchors(deltas).astype(np.float64) / [1, 1, 2, 2], anchors.numpy().astype(np.float64))
        self.expect(of_anchors(self.predictions), boxes, matches, labels == 1, labels >= 0)
        self.truth = ground_truth()
        self.run = lambda: head.get_loss([self.predictions, deltas], self.truth)["loss_cls"]

    def arrange(self, gradients):
        sides = [SIDE // stride for stride in STRIDES]
        parts = np.split(gradients, np.cumsum([2 * side**2 for side in sides])[:-1], axis=1)
        return [part.reshape(2, side, side, -1).transpose(0, 3, 1, 2) for side, part in zip(sides, parts)]


class YOLOF(Anchored):
    """Of whose positives several may be chosen for one box."""

    least = 2

    def __init__(self, rng, loss):
        head = make("YOLOFHead", nms=None, loss=loss, ctr_clip=6.0,
                    conv_feat={"name": "YOLOFFeat", "feat_in": 8, "feat_out": 8, "num_cls_convs": 1,
                               "num_reg_convs": 1},
                    anchor_generator={"name": "AnchorGenerator", "anchor_sizes": [[16, 32, 48]],
                                      "aspect_ratios": [1.0], "strides": [8]},
                    bbox_assigner={"name": "UniformAssigner", "pos_ignore_thr": 0.15, "neg_ignore_thr": 0.6,
                                   "match_times": 4})  # fmt: skip
        self.predictions = [leaf(rng.normal(-1, 2, (2, 3 * CLASSES, 8, 8)))]
        deltas = leaf(rng.normal(0, 0.3, (2, 3 * 4, 8, 8)))
        anchors = head.anchor_generator(self.predictions)[0]
        of_anchors = lambda m: m.numpy().transpose(0, 2, 3, 1).reshape(2, 8 * 8 * 3, -1)  # noqa: E731
        boxes = decoded(of_anchors(deltas).astype(np.float64), anchors.numpy().astype(np.float64), clip=6.0)
        assigned = [
            head.bbox_assigner(paddle.to_tensor(np.float32(b)), anchors, paddle.to_tensor(gt))[0].numpy()
            for b, gt in zip(boxes, BOXES)
        ]
        matches = np.stack(assigned)
        self.expect(of_anchors(self.predictions[0]), boxes, np.maximum(matches, 0), matches >= 0, matches > -2)
        self.truth = ground_truth(im_shape=paddle.full([2, 2], float(SIDE)))
        self.run = lambda: head.get_loss([anchors, self.predictions[0], deltas], self.truth)["loss_cls"]

    def arrange(self, gradients):
        return [gradients.reshape(2, 8, 8, -1).transpose(0, 3, 1, 2)]


FCOS_OPTIONS = {
    "fcos_feat": {"name": "FCOSFeat", "feat_in": 8, "feat_out": 256, "num_convs": 1, "norm_type": "gn"},
    "fpn_stride": list(STRIDES),
    "nms": None,
}


def fcos_targets(rng, share=0.2):
    """{key: levels} of labels, of which ``share`` are positive, distances and centerness, as Gt2FCOSTarget makes
    them."""
    cells = sum(CELLS)
    labels = np.where(rng.random((2, cells, 1)) < share, rng.integers(1, CLASSES + 1, (2, cells, 1)), 0)
    arrays = {
        "labels": labels,
        "reg_target": rng.uniform(0.5, 3, (2, cells, 4)).astype("float32"),
        "centerness": rng.uniform(0.1, 1, (2, cells, 1)).astype("float32"),
    }
    last = {
        f"{key}{level}": paddle.to_tensor(part.transpose(0, 2, 3, 1).astype("int32" if key == "labels" else "float32"))
        for key, array in arrays.items()
        for level, part in enumerate(levels(array))
    }
    return arrays, last


class FCOS(Case):
    def __init__(self, rng, loss):
        self.head = make("FCOSHead", **FCOS_OPTIONS, loss=loss)
        arrays, self.truth = fcos_targets(rng)
        logits, distances = rng.normal(-1, 2, (2, sum(CELLS), CLASSES)), rng.uniform(0, 3, (2, sum(CELLS), 4))
        self.predictions = [leaf(level) for level in levels(logits)]
        self.distances = [leaf(level) for level in levels(distances)]
        self.centerness = [leaf(level) for level in levels(rng.normal(0, 1, (2, sum(CELLS), 1)))]
        sides = [-1, -1, 1, 1]
        labels = arrays["labels"][..., 0] - 1
        self.scores = dense_target(labels, iou(distances * sides, arrays["reg_target"] * sides), CLASSES)
        self.mask = dense_target(labels, np.ones(labels.shape), CLASSES)
        self.rows, self.count = logits, (labels >= 0).sum()
        self.run = lambda: self.losses()["loss_cls"]

    def arrange(self, gradients):
        return levels(gradients)

    def losses(self):
        return self.head.get_loss([self.predictions, self.distances, self.centerness], self.truth)


class DETR(Case):
    name, postfixes, calls, groups = "DETRLoss", [""], 3, 1
    weight = 2.0  # loss_coeff

    def __init__(self, rng, loss):
        from ppdet.core.workspace import global_config

        if "use_vfl" in global_config["DETRLoss"].schema:
            pytest.skip("this PaddleDetection has varifocal loss in DETRLoss")
        criterion = make(self.name, loss_coeff={"class": 2, "bbox": 5, "giou": 2}, use_focal_loss=True, loss=loss,
                         matcher={"name": "HungarianMatcher", "use_focal_loss": True})  # fmt: skip
        middle, size = (BOXES[..., :2] + BOXES[..., 2:]) / 2 / SIDE, (BOXES[..., 2:] - BOXES[..., :2]) / SIDE
        gt_bbox = [paddle.to_tensor(box) for box in np.concatenate([middle, size], -1)]
        gt_class = [paddle.to_tensor(labels.astype("int32")) for labels in LABELS]
        rows, scores, masks = [], [], []
        keywords = {}
        for postfix in self.postfixes:
            boxes, logits = rng.uniform(0.2, 0.6, (3, 2, 7, 4)), leaf(rng.normal(-1, 2, (3, 2, 7, CLASSES)))
            rows.append(logits)
            keywords.update(
                {"boxes": leaf(boxes), "logits": logits} if postfix == "" else self.denoising(boxes, logits)
            )
            for layer in range(3):
                if postfix == "":
                    inputs = [paddle.to_tensor(np.float32(boxes[layer])), logits[layer], gt_bbox, gt_class]
                    found = [[part.numpy() for part in parts] for parts in criterion.matcher(*inputs)]
                else:
                    found = [(np.array([1, 3, 4, 6]), np.array([0, 1, 0, 1]))] * 2
                score, mask = np.zeros((2, 2, 7, CLASSES))
                for image, (query, box) in enumerate(found):
                    here, there = boxes[layer, image, query], gt_bbox[image].numpy()[box]
                    corners = [
                        np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], 1) for b in (here, there)
                    ]
                    score[image, query, LABELS[image, box, 0]] = iou(*corners)
                    mask[image, query, LABELS[image, box, 0]] = 1
                scores.append(score)
                masks.append(mask)
        self.predictions = rows
        self.rows = np.concatenate([logits.numpy() for logits in rows])
        self.scores, self.mask = np.stack(scores), np.stack(masks)
        counts = np.repeat([4, 4 * 2][: len(rows)], 3)  # boxes, and those of all groups of denoising queries
        self.count = counts[:, None, None, None]

        self.truth = {"gt_bbox": gt_bbox, "gt_class": gt_class}

        def run():
            losses = criterion(**self.truth, **keywords)
            return sum(value.sum() for name, value in losses.items() if name.startswith("loss_class"))

        self.run = run

    def arrange(self, gradients):
        return np.split(gradients, len(self.predictions))


class DINO(DETR):
    """With two groups of denoising queries."""

    name, postfixes, calls = "DINOLoss", ["", "_dn"], 6

    def denoising(self, boxes, logits):
        meta = {"dn_positive_idx": [paddle.to_tensor([1, 3, 4, 6])] * 2, "dn_num_group": 2}
        return {"dn_out_bboxes": leaf(boxes), "dn_out_logits": logits, "dn_meta": meta}


CASES = [TOOD, TOODFirstEpochs, FCOSR, YOLOv8, YOLOv7u, Retina, YOLOF, FCOS, DETR, DINO]


@pytest.mark.parametrize("said", LOSSES)
@pytest.mark.parametrize("head", CASES, ids=lambda case: case.__name__)
def test_value_and_gradient(head, said, rng, op_calls):
    loss, formula = LOSSES[said]
    case = head(rng, loss)
    op_calls.clear()
    actual = case.run()
    gradients = paddle.grad(actual.sum(), case.predictions)
    assert len(op_calls) == case.calls

    formula = dict(formula)
    weight = case.weight * formula.pop("loss_weight", 1.0)
    loss, gradient = loss_and_grad(case.rows, case.scores, case.mask, use_sigmoid=case.use_sigmoid, **formula)
    np.testing.assert_allclose(float(actual.sum()), weight * (loss / case.count).sum(), rtol=2e-5)
    expected = weight * gradient / case.count
    for part, wanted in zip(gradients, case.arrange(expected), strict=True):
        np.testing.assert_allclose(part.numpy(), wanted, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("head", CASES[:-1], ids=lambda case: case.__name__)
def test_a_batch_without_a_box(head, rng):
    """Every prediction is a negative, and the sum is divided by 1; YOLOF counts one positive for each image. DINO has
    no denoising queries then, and is DETR."""
    if head is Retina and paddle.__version__ < "3":
        pytest.skip("PaddleDetection's bbox2delta stacks tensors without elements, which Paddle 2.6 refuses")
    case = head(rng, "VarifocalLoss")
    for key, value in case.truth.items():
        if key.startswith("labels"):
            case.truth[key] = paddle.zeros_like(value)
        elif key.startswith(("gt_", "pad_gt_")):
            case.truth[key] = [box[:0] for box in value] if isinstance(value, list) else value[:, :0]
    actual = case.run()
    rows = case.rows if case.all_rows is None else case.all_rows
    loss, _ = loss_and_grad(rows, np.zeros(rows.shape), use_sigmoid=case.use_sigmoid)
    np.testing.assert_allclose(float(actual.sum()), case.weight * loss.sum() / case.least, rtol=2e-5)


def test_the_loss_of_boxes_of_fcos_stays_and_centerness_is_not_trained(rng):
    case = FCOS(rng, "VarifocalLoss")
    losses = case.losses()
    assert set(losses) == {"loss_cls", "loss_box"}
    total = losses["loss_cls"] + losses["loss_box"]
    boxes, centerness = (paddle.grad(total, of, retain_graph=True) for of in (case.distances, case.centerness))
    assert all(float(part.abs().max()) == 0 for part in centerness)

    own = case.head.fcos_loss.theirs(
        case.predictions,
        case.distances,
        case.centerness,
        *([case.truth[f"{key}{level}"] for level in range(3)] for key in ("labels", "reg_target", "centerness")),
    )
    assert float(losses["loss_box"]) == float(own["loss_box"])
    for part, wanted in zip(boxes, paddle.grad(own["loss_box"], case.distances)):
        np.testing.assert_array_equal(part.numpy(), wanted.numpy())


@pytest.mark.parametrize("loss, by_centerness", [("VarifocalLoss", False), (None, True)])
def test_fcos_ranks_by_centerness_without_the_loss_only(loss, by_centerness, rng):
    head = make("FCOSHead", **FCOS_OPTIONS, loss=loss)
    logits, distances, centerness = (paddle.randn([2, channels, 4, 4]) for channels in (CLASSES, 4, 1))
    scores, _ = head._post_process_by_level(paddle.rand([16, 2]), logits, distances, centerness)
    wanted = sigmoid(logits.numpy()) * (sigmoid(centerness.numpy()) if by_centerness else 1)
    np.testing.assert_allclose(scores.numpy(), wanted.reshape(2, CLASSES, 16).transpose(0, 2, 1), rtol=1e-6)


RETINA = {
    "conv_feat": {"name": "RetinaFeat", "feat_in": 8, "feat_out": 8, "num_convs": 1, "norm_type": None},
    "anchor_generator": {"name": "RetinaAnchorGenerator", "strides": [8.0, 16.0, 32.0]},
    "bbox_assigner": {"name": "MaxIoUAssigner", "positive_overlap": 0.5, "negative_overlap": 0.4},
    "nms": None,
}


def test_without_the_key_a_head_keeps_its_loss():
    assert "get_loss" not in vars(make("RetinaHead", **RETINA))
    assert type(make("FCOSHead", **FCOS_OPTIONS).fcos_loss).__name__ == "FCOSLoss"
    assert "_focal_loss" not in vars(make("TOODHead", channels=32, stacked_convs=1, nms=None))


def test_a_mapping_without_a_name_is_varifocal_loss_whatever_loss_class_says(caplog):
    from paddle_vfl.ppdet_plugin.call_sites import running_loss

    head = make("RetinaHead", **RETINA, loss_class="FocalLoss", loss={"alpha": 0.5})
    layer = running_loss(head)
    assert type(layer) is paddle_vfl.VarifocalLoss and layer.alpha == 0.5
    with pytest.raises(ConfigError, match="RetinaHead.loss: got a FocalLoss, expected VarifocalLoss or"):
        make("RetinaHead", loss="FocalLoss")


def test_a_copy_of_a_head_computes_its_own_loss():
    """As slimming and distillation copy models."""
    head = make("RetinaHead", **RETINA, loss="VarifocalLoss")
    twin = copy.deepcopy(head)
    assert twin.get_loss.__self__ is twin and head.get_loss.__self__ is head


def test_a_head_keeps_its_loss_when_the_plugin_is_off(rng):
    case = FCOS(rng, "VarifocalLoss")
    before = float(case.run())
    paddle_vfl.disable()
    assert float(case.run()) == before


def test_processes_share_the_number_of_positives(monkeypatch):
    """It is the mean of all, at least 1: here the other process has 9 for our 3, or none for our 1."""
    paddle_vfl.enable()
    from paddle_vfl.positives import averaged

    assert float(averaged(paddle.to_tensor(0.0))) == 1
    monkeypatch.setattr(paddle.distributed, "get_world_size", lambda: 2)
    for ours, others, mean in ((3.0, 9.0, 6.0), (1.0, 0.0, 1.0)):
        add = functools.partial(paddle.Tensor.add_, y=paddle.to_tensor(others))
        monkeypatch.setattr(paddle.distributed, "all_reduce", add)
        count = paddle.to_tensor(ours)
        assert float(averaged(count)) == mean and float(count) == ours


REFUSED = {
    "YOLOXHead": "trains the classes on positives only",
    "YOLOv3Head": "trains the classes on positives only",
    "SSDHead": "softmax",
    "BBoxHead": "softmax",
    "CascadeHead": "softmax",
    "CenterNetHead": "heat maps",
    "TTFHead": "heat maps",
    "S2ANetHead": "rotated boxes",
    "FCOSLoss": "belongs to FCOSHead",
    "DINOHead": "DINOLoss",
    "YOLOv5Head": "trains the classes on positives only",
}


@pytest.mark.parametrize("loss", ["VarifocalLoss", {"name": "QualityFocalLoss", "beta": 1.5}])
@pytest.mark.parametrize("name", REFUSED)
def test_who_has_no_use_for_it_says_why(name, loss):
    called = loss if isinstance(loss, str) else loss["name"]
    with pytest.raises(ConfigError, match=f"^{name}.loss: {name} does not take {called}: .*{REFUSED[name]}[^.]*$"):
        make(name, loss=loss)


def test_a_loss_of_their_own_is_not_refused():
    assert type(make("YOLOv3Head", loss="YOLOv3Loss", channels=8).loss).__name__ == "YOLOv3Loss"


def test_a_detr_loss_with_a_softmax_cannot_be_varifocal():
    from ppdet.core.workspace import global_config

    if "use_vfl" in global_config["DETRLoss"].schema:
        pytest.skip("test_loss_key.py has it")
    with pytest.raises(ConfigError, match="DETRLoss.loss: VarifocalLoss needs use_focal_loss: true"):
        make("DETRLoss", matcher=None, use_focal_loss=False, loss="VarifocalLoss")


def test_the_block_of_the_page_is_accepted():
    """By every head of it that this PaddleDetection has."""
    paddle_vfl.enable()
    from ppdet.core.workspace import global_config

    page = Path(__file__).parents[2] / "docs" / "from_a_checkout.md"
    blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if "TOODHead" in block)
    blocks = yaml.load(block, Loader=yaml.Loader)
    assert blocks.pop("paddle_vfl") == paddle_vfl.__version__
    modules = ["DINOLoss" if name == "DINOHead" else name for name in blocks]
    here = [name for name in modules if name in global_config]
    assert len(here) >= 5 or "YOLOv8Head" in here
    assert all("loss" in global_config[name].schema for name in here)
