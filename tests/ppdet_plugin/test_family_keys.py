"""The other losses of the family in configs: by name, as a mapping, as a tag, as a top-level block, and with class
weights."""

import importlib

import numpy as np
import paddle
import pytest
import yaml

import paddle_vfl

ShapeSpec = pytest.importorskip("ppdet.modeling.shape_spec").ShapeSpec

HEAD = {"assigner": None, "static_assigner": None, "nms": None, "input_shape": [ShapeSpec(channels=8)] * 3}
FEATURES = {"name": "FCOSFeat", "feat_in": 8, "feat_out": 8, "num_convs": 1, "norm_type": "gn"}
GFL = {"conv_feat": FEATURES, "fpn_stride": [8, 16, 32], "feat_in_chan": 8, "reg_max": 3}
MAL = dict(alpha=1.0, gamma=1.5, target_power=1.5, positive_weight="one", detach_weight=True)
QFL = dict(alpha=1.0, gamma=2.0, positive_weight="modulated")
PREDICTIONS, SCORES = [[[0.1, 0.9, 0.4], [0.6, 0.2, 0.7]]], [[[0.0, 0.8, 0.0], [0.0, 0.0, 0.3]]]


def make(name, block=None, input_shape=None, **options):
    """The module of that name, made by PaddleDetection from a config; ``block`` is of the top level."""
    paddle_vfl.enable()
    from ppdet.core.workspace import create, global_config, merge_config

    if name not in global_config:
        pytest.skip(f"this PaddleDetection has no {name}")
    merge_config({name: options, **(block or {})})
    return create(name, **({} if input_shape is None else {"input_shape": input_shape}))


def values():
    p, q = paddle.to_tensor(PREDICTIONS), paddle.to_tensor(SCORES)
    return p, q, (q > 0).astype("float32")


def formula(**options):
    return float(paddle_vfl.varifocal_loss(*values(), use_sigmoid=False, reduction="sum", **options))


@pytest.mark.parametrize(
    "loss, block, expected",
    [
        ("MatchabilityAwareLoss", {}, MAL),
        ({"name": "MatchabilityAwareLoss", "gamma": 2.0}, {}, {**MAL, "gamma": 2.0, "target_power": 2.0}),
        ("MatchabilityAwareLoss", {"MatchabilityAwareLoss": {"alpha": 0.5}}, {**MAL, "alpha": 0.5}),
        ("QualityFocalLoss", {}, QFL),
        ({"name": "QualityFocalLoss", "beta": 1.5}, {}, {**QFL, "gamma": 1.5}),
        ({"name": "VarifocalLoss", "detach_weight": True}, {}, {"detach_weight": True}),
        ("VarifocalLoss", {"VarifocalLoss": {"target_power": 1.5}}, {"target_power": 1.5}),
        ({"class_weight": [1, 2, 0.5]}, {}, {"class_weight": [1, 2, 0.5]}),
        (
            "MatchabilityAwareLoss",
            {"MatchabilityAwareLoss": {"class_weight": [1, 2, 0]}},
            {**MAL, "class_weight": [1, 2, 0]},
        ),
    ],
)
def test_pp_yoloe(loss, block, expected):
    head = make("PPYOLOEHead", block, **HEAD, num_classes=3, loss=loss)
    assert head.use_varifocal_loss
    p, q, label = values()
    p.stop_gradient = False
    actual = head._varifocal_loss(p, q, label)
    np.testing.assert_allclose(float(actual), formula(**expected), rtol=1e-6)


@pytest.mark.parametrize("name", ["GFLHead", "LDGFLHead", "OTAHead"])
def test_heads_with_quality_focal_loss_have_the_fused_one(name):
    head = make(name, **GFL)
    assert type(head.loss_qfl) is paddle_vfl.QualityFocalLoss
    paddle_vfl.disable()
    assert type(make_own(name).loss_qfl) is not paddle_vfl.QualityFocalLoss


def make_own(name):
    """With PaddleDetection's own loss."""
    from ppdet.core.workspace import create

    return create(name)


def test_whoever_names_quality_focal_loss_has_the_fused_one():
    paddle_vfl.enable()
    from ppdet.core.workspace import create

    losses = importlib.import_module("ppdet.modeling.losses")

    assert losses.QualityFocalLoss is paddle_vfl.QualityFocalLoss
    assert type(create("QualityFocalLoss")) is paddle_vfl.QualityFocalLoss
    assert type(create("MatchabilityAwareLoss")) is paddle_vfl.MatchabilityAwareLoss
    paddle_vfl.disable()
    from ppdet.core.workspace import global_config

    assert losses.QualityFocalLoss is not paddle_vfl.QualityFocalLoss
    assert "MatchabilityAwareLoss" not in global_config
    assert "class_weight" not in global_config["VarifocalLoss"].schema


@pytest.mark.parametrize(
    "loss", ["MatchabilityAwareLoss", {"name": "MatchabilityAwareLoss", "class_weight": [1, 2, 3]}]
)
def test_heads_with_loss_class(loss):
    layer = make("GFLHead", **GFL, num_classes=3, loss=loss).loss_qfl
    assert type(layer) is paddle_vfl.MatchabilityAwareLoss and layer.formula["target_power"] == 1.5
    assert layer.class_weight == (None if isinstance(loss, str) else (1.0, 2.0, 3.0))


def test_a_tag_of_the_family():
    paddle_vfl.enable()
    from ppdet.core.workspace import create, merge_config

    text = "GFLHead: {loss: !MatchabilityAwareLoss {gamma: 2.0, class_weight: [1, 2, 3]}, num_classes: 3}"
    merge_config(yaml.load(text, Loader=yaml.Loader))
    merge_config({"GFLHead": GFL})
    layer = create("GFLHead").loss_qfl
    assert type(layer) is paddle_vfl.MatchabilityAwareLoss
    assert (layer.gamma, layer.target_power, layer.class_weight) == (2.0, 2.0, (1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    "name, options, block",
    [
        ("PPYOLOEHead", {**HEAD, "loss": {"class_weight": [1, 2, 3]}}, {}),
        (
            "PPYOLOEHead",
            {**HEAD, "use_varifocal_loss": True, "loss": None},
            {"VarifocalLoss": {"class_weight": [1, 2, 3]}},
        ),
        ("GFLHead", {**GFL, "loss": {"name": "VarifocalLoss", "class_weight": [1, 2, 3]}}, {}),
        ("GFLHead", {**GFL, "loss_class": {"name": "QualityFocalLoss", "class_weight": [1, 2, 3]}}, {}),
        ("SimOTAAssigner", {"loss": {"class_weight": [1, 2, 3]}}, {}),
        (
            "DINOLoss",
            {
                "matcher": None,
                "use_focal_loss": True,
                "loss": {"name": "MatchabilityAwareLoss", "class_weight": [1, 2, 3]},
            },
            {},
        ),
    ],
)
def test_a_wrong_number_of_class_weights_is_named_before_training(name, options, block):
    from ppdet.core.workspace import global_config

    if name == "DINOLoss" and "use_vfl" not in global_config[name].schema:
        pytest.skip("this PaddleDetection has no varifocal loss in DETRLoss")
    message = rf"{name}.loss.class_weight has 3 numbers, and num_classes is 7: expected one for each class"
    with pytest.raises(ValueError, match=message):
        make(name, block, **options, num_classes=7)


@pytest.mark.parametrize(
    "loss, message",
    [
        ({"name": "MatchabilityAwareLoss", "beta": 2}, "MatchabilityAwareLoss has no such option"),
        ({"class_weight": [1, -2, 3]}, r"PPYOLOEHead.loss: class_weight\[1\] is -2, expected a finite number"),
        ({"class_weight": [1, float("nan"), 3]}, r"PPYOLOEHead.loss: class_weight\[1\] is nan"),
        ({"class_weight": 3}, "PPYOLOEHead.loss: class_weight is 3, a int, expected a list of numbers"),
        ("MatchabilityAwareLos", "there is no 'MatchabilityAwareLos'; did you mean 'MatchabilityAwareLoss'"),
    ],
)
def test_mistakes_are_named(loss, message):
    with pytest.raises(ValueError, match=message):
        make("PPYOLOEHead", **HEAD, num_classes=3, loss=loss)


def detr_losses():
    from ppdet.core.workspace import get_registered_modules

    return [
        name for name, schema in get_registered_modules().items() if {"use_vfl", "use_focal_loss"} <= set(schema.schema)
    ]


@pytest.mark.skipif(not detr_losses(), reason="this PaddleDetection has no varifocal loss in DETRLoss")
@pytest.mark.parametrize("name", detr_losses() or ["none"])
@pytest.mark.parametrize("weights", [None, [1.0, 11.0, 0.5]], ids=["", "weighted"])
def test_detr_losses(name, weights):
    """One box of class 1, matched with query 0, with an IoU of 0.8."""
    loss = {"name": "MatchabilityAwareLoss", "class_weight": weights}
    detr = make(name, num_classes=3, matcher=None, use_focal_loss=True, loss=loss)
    logits, matches = paddle.to_tensor(PREDICTIONS), [(paddle.to_tensor([0]), paddle.to_tensor([0]))]
    actual = detr._get_loss_class(
        logits, [paddle.to_tensor([[1]])], matches, 3, 2.0, iou_score=paddle.to_tensor([[0.8]])
    )["loss_class"]
    target = paddle.to_tensor([[[0.0, 0.8, 0.0], [0.0, 0.0, 0.0]]])
    wanted = paddle_vfl.varifocal_loss(
        logits, target, (target > 0).astype("float32"), reduction="sum", class_weight=weights, **MAL
    )
    np.testing.assert_allclose(float(actual), detr.loss_coeff["class"] * float(wanted) / 2.0, rtol=1e-6)
