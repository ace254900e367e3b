"""`loss: VarifocalLoss`, plain or as a mapping, and the top-level block, wherever PaddleDetection computes varifocal
loss."""

import numpy as np
import paddle
import pytest
import yaml

import paddle_vfl
from paddle_vfl.ppdet_plugin import loss_key

ShapeSpec = pytest.importorskip("ppdet.modeling.shape_spec").ShapeSpec

OPTIONS = {"alpha": 0.5, "gamma": 1.5, "iou_weighted": False, "loss_weight": 2.0}
PREDICTIONS, SCORES = [[[0.1, 0.9, 0.4], [0.6, 0.2, 0.7]]], [[[0.0, 0.8, 0.0], [0.0, 0.0, 0.3]]]


def make(name, block=None, input_shape=None, **options):
    """The module of that name, made by PaddleDetection from a config."""
    paddle_vfl.enable()
    from ppdet.core.workspace import create, global_config, merge_config

    if name not in global_config:
        pytest.skip(f"this PaddleDetection has no {name}")
    merge_config({name: options, **({} if block is None else {"VarifocalLoss": block})})
    return create(name, **({} if input_shape is None else {"input_shape": input_shape}))


def static_method_heads():
    import ppdet.modeling.heads as heads

    return [name for name in vars(heads) if hasattr(getattr(heads, name), "_varifocal_loss")]


def loss_of(head):
    """Its static method's loss of a few numbers."""
    p, q = paddle.to_tensor(PREDICTIONS), paddle.to_tensor(SCORES)
    return float(head._varifocal_loss(p, q, (q > 0).astype("float32")))


def expected(**options):
    weight = options.pop("loss_weight", 1.0)
    p, q = paddle.to_tensor(PREDICTIONS), paddle.to_tensor(SCORES)
    return weight * float(
        paddle_vfl.varifocal_loss(p, q, (q > 0).astype("float32"), use_sigmoid=False, reduction="sum", **options)
    )


HEAD = {"assigner": None, "static_assigner": None, "nms": None, "input_shape": [ShapeSpec(channels=8)] * 3}


def head_options(name):
    return {**HEAD, "contrast_loss": None} if "Contrast" in name else HEAD


def native(name, said):
    """PaddleDetection's own key; some of PaddleYOLO's heads have none: they always compute it."""
    from ppdet.core.workspace import global_config

    has_switch = "use_varifocal_loss" in global_config[name].schema
    return {"use_varifocal_loss": True} if has_switch and said == "block and native key" else {}


@pytest.mark.parametrize("name", static_method_heads())
@pytest.mark.parametrize(
    "said, options",
    [
        ("name", {}),
        ("mapping", {}),
        ("mapping", OPTIONS),
        ("tag", OPTIONS),
        ("block and name", OPTIONS),
        ("block and native key", OPTIONS),
    ],
)
def test_heads_with_the_static_method(name, said, options):
    """The result shows that the options arrived."""
    loss = {
        "name": "VarifocalLoss",
        "mapping": {"name": "VarifocalLoss", **options},
        "block and name": "VarifocalLoss",
    }.get(said)
    if said == "tag":
        loss = paddle_vfl.VarifocalLoss(**options)
    head = make(name, block=options if "block" in said else None, **head_options(name), **native(name, said), loss=loss)
    assert getattr(head, "use_varifocal_loss", True)
    np.testing.assert_allclose(loss_of(head), expected(**options), rtol=1e-6)


@pytest.mark.parametrize("line_first", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "PPYOLOEHead: {loss: !VarifocalLoss {alpha: 0.5, gamma: 1.5}}",
        "VarifocalLoss: !VarifocalLoss {alpha: 0.5, gamma: 1.5}\nPPYOLOEHead: {loss: VarifocalLoss}",
        "VarifocalLoss: !VarifocalLoss {alpha: 0.5, gamma: 1.5}\nPPYOLOEHead: {use_varifocal_loss: true}",
    ],
)
def test_the_tag_may_come_before_the_line_that_switches(text, line_first):
    line = "paddle_vfl: !!python/object/apply:paddle_vfl.enable []"
    config = yaml.load("\n".join([line, text] if line_first else [text, line]), Loader=yaml.Loader)
    from ppdet.core.workspace import create, merge_config

    merge_config(config)
    merge_config({"PPYOLOEHead": {key: value for key, value in HEAD.items() if key != "input_shape"}})
    head = create("PPYOLOEHead", input_shape=HEAD["input_shape"])
    np.testing.assert_allclose(loss_of(head), expected(alpha=0.5, gamma=1.5), rtol=1e-6)


def test_without_any_key_the_static_method_has_ppdets_numbers():
    head = make("PPYOLOEHead", **HEAD)
    np.testing.assert_allclose(loss_of(head), expected(alpha=0.75, gamma=2.0), rtol=1e-6)
    assert not make("PPYOLOEHead", **HEAD, use_varifocal_loss=False).use_varifocal_loss


@pytest.mark.parametrize(
    "name, options, switch",
    [
        ("PPYOLOEHead", HEAD, "use_varifocal_loss"),
        ("SimOTAAssigner", {"num_classes": 3}, "use_vfl"),
        ("DINOLoss", {"num_classes": 3, "matcher": None, "use_focal_loss": True}, "use_vfl"),
    ],
)
def test_a_contradiction_is_named(name, options, switch):
    from ppdet.core.workspace import global_config

    if name in global_config and switch not in global_config[name].schema:
        pytest.skip(f"this PaddleDetection's {name} has no {switch}")
    with pytest.raises(ValueError, match=f"{name}.{switch} is false, and {name}.loss is VarifocalLoss"):
        make(name, **options, **{switch: False}, loss="VarifocalLoss")


PICO_FEATURES = {
    "name": "PicoFeat",
    "feat_in": 8,
    "feat_out": 8,
    "num_convs": 1,
    "norm_type": "bn",
    "share_cls_reg": True,
}
FCOS_FEATURES = {"name": "FCOSFeat", "feat_in": 8, "feat_out": 8, "num_convs": 1, "norm_type": "gn"}


@pytest.mark.parametrize(
    "name, use_sigmoid",
    [("PicoHead", True), ("PicoHeadV2", False), ("OTAVFLHead", True), ("OTAHead", True), ("GFLHead", True)],
)
@pytest.mark.parametrize("loss", ["VarifocalLoss", {"name": "VarifocalLoss", "alpha": 0.5, "gamma": 1.5}])
def test_heads_with_loss_class_take_loss_as_its_other_name(name, use_sigmoid, loss):
    """PicoHeadV2 hands over probabilities: there it implies use_sigmoid: false."""
    features = PICO_FEATURES if name.startswith("Pico") else FCOS_FEATURES
    options = {"conv_feat": features, "fpn_stride": [8, 16, 32], "feat_in_chan": 8, "reg_max": 3, "loss": loss}
    head = make(name, **options)
    layer = head.loss_vfl if hasattr(head, "loss_vfl") else head.loss_qfl
    assert type(layer) is paddle_vfl.VarifocalLoss and layer.use_sigmoid == use_sigmoid
    assert (layer.alpha, layer.gamma) == ((0.75, 2.0) if isinstance(loss, str) else (0.5, 1.5))


def test_loss_goes_before_loss_class():
    head = make(
        "PicoHeadV2",
        conv_feat=None,
        fpn_stride=[8],
        feat_in_chan=8,
        loss={"name": "VarifocalLoss", "gamma": 1.0},
        loss_class={"name": "VarifocalLoss", "use_sigmoid": True, "gamma": 3.0},
    )
    assert head.loss_vfl.gamma == 1.0 and head.loss_vfl.use_sigmoid


GFL = {"conv_feat": FCOS_FEATURES, "fpn_stride": [8, 16, 32], "reg_max": 3}


@pytest.mark.parametrize(
    "text",
    [
        "GFLHead: {loss_class: !VarifocalLoss {alpha: 0.5}}",
        "GFLHead: {loss: !VarifocalLoss {alpha: 0.5}}",
        "VarifocalLoss: !VarifocalLoss {alpha: 0.5}\nGFLHead: {loss_class: VarifocalLoss}",
        "VarifocalLoss: !VarifocalLoss {alpha: 0.3}\nGFLHead: {loss_class: {name: VarifocalLoss, alpha: 0.5}}",
    ],
)
@pytest.mark.parametrize("line_first", [True, False])
def test_loss_class_may_be_a_tag(text, line_first):
    """PaddleDetection cannot make a head from the first of them, nor read the last."""
    line = "paddle_vfl: !!python/object/apply:paddle_vfl.enable []"
    config = yaml.load("\n".join([line, text] if line_first else [text, line]), Loader=yaml.Loader)
    from ppdet.core.workspace import create, merge_config

    merge_config(config)
    merge_config({"GFLHead": GFL})
    layer = create("GFLHead").loss_qfl
    assert type(layer) is paddle_vfl.VarifocalLoss and layer.alpha == 0.5


@pytest.mark.parametrize("key", ["loss", "loss_class"])
def test_the_config_stays_as_it_was(key):
    """What a head says of its loss does not become the top-level block's, from which others would take it."""
    from ppdet.core.workspace import global_config

    make("GFLHead", block={"gamma": 1.0}, **GFL)
    said = {"name": "VarifocalLoss", "alpha": 0.5}
    before = dict(global_config["VarifocalLoss"])
    layer = make("GFLHead", **{**GFL, key: dict(said)}).loss_qfl
    assert (layer.alpha, layer.gamma) == (0.5, 1.0)
    assert dict(global_config["VarifocalLoss"]) == before and global_config["GFLHead"][key] == said


def test_a_mapping_without_a_name_is_varifocal_loss():
    head = make("PPYOLOEHead", **HEAD, loss={"alpha": 0.5})
    np.testing.assert_allclose(loss_of(head), expected(alpha=0.5), rtol=1e-6)


@pytest.mark.parametrize("there", ["QualityFocalLoss", {"name": "QualityFocalLoss"}])
def test_a_mapping_without_a_name_means_the_loss_class_that_is_there(there):
    assert make("GFLHead", **GFL, loss_class=there, loss={"beta": 1.5}).loss_qfl.beta == 1.5
    with pytest.raises(ValueError, match="GFLHead.loss.alpha: QualityFocalLoss has no such option"):
        make("GFLHead", loss={"alpha": 0.5})


def test_other_losses_go_to_loss_class_too():
    layer = make("GFLHead", **GFL, loss={"name": "QualityFocalLoss", "beta": 1.5}).loss_qfl
    assert type(layer).__name__ == "QualityFocalLoss" and layer.beta == 1.5
    from ppdet.core.workspace import global_config

    assert "beta" not in global_config["QualityFocalLoss"]


def test_a_head_made_in_python_takes_the_key_too():
    paddle_vfl.enable()
    from ppdet.modeling.heads.ppyoloe_head import PPYOLOEHead

    options = {key: value for key, value in HEAD.items() if key != "input_shape"}
    head = PPYOLOEHead([8] * 3, **options, loss={"name": "VarifocalLoss", "alpha": 0.5})
    np.testing.assert_allclose(loss_of(head), expected(alpha=0.5), rtol=1e-6)
    with pytest.raises(ValueError, match="PPYOLOEHead.loss: got a L1Loss, expected VarifocalLoss or .*, by name"):
        PPYOLOEHead([8] * 3, **options, loss=paddle.nn.L1Loss())


def simota_cost(monkeypatch, **options):
    """The options with which the cost matrix of an assigner is computed."""
    from paddle_vfl.ppdet_plugin.call_sites import function

    assigner = make("SimOTAAssigner", num_classes=3, **options)
    seen = {}

    def record(pred, target, **options):
        seen.update(options)
        return paddle.zeros([pred.shape[0]])

    monkeypatch.setattr(function, "varifocal_loss", record)
    boxes = paddle.to_tensor([[0.0, 0.0, 16.0, 16.0], [8.0, 8.0, 24.0, 24.0]])
    centers = paddle.to_tensor([[8.0, 8.0, 8.0, 8.0], [16.0, 16.0, 8.0, 8.0]])
    assigner(paddle.to_tensor([[0.2, 0.7, 0.1], [0.3, 0.3, 0.3]]), centers, boxes, boxes[:1], paddle.to_tensor([[1]]))
    return {key: seen[key] for key in ("alpha", "gamma", "iou_weighted")}


def test_simota_cost(monkeypatch):
    """Its own key sets the options, the top-level block does not: the cost matrix is not a loss."""
    ppdets = {"alpha": 0.75, "gamma": 2.0, "iou_weighted": True}
    assert simota_cost(monkeypatch) == ppdets
    assert simota_cost(monkeypatch, loss={"name": "VarifocalLoss", "alpha": 0.5, "gamma": 1.5}) == {
        **ppdets,
        "alpha": 0.5,
        "gamma": 1.5,
    }
    assert simota_cost(monkeypatch, loss=None, block={"alpha": 0.1}) == ppdets


def detr_losses():
    from ppdet.core.workspace import get_registered_modules

    return [
        name for name, schema in get_registered_modules().items() if {"use_vfl", "use_focal_loss"} <= set(schema.schema)
    ]


DETR = {"num_classes": 3, "matcher": None}


@pytest.mark.skipif(not detr_losses(), reason="this PaddleDetection has no varifocal loss in DETRLoss")
@pytest.mark.parametrize("name", detr_losses() or ["none"])
@pytest.mark.parametrize("said", ["nothing", "mapping", "block and name", "block and native key"])
def test_detr_losses(name, said):
    options = {} if said == "nothing" else OPTIONS
    loss = {"mapping": {"name": "VarifocalLoss", **options}, "block and name": "VarifocalLoss"}.get(said)
    switch = {"use_vfl": True} if said in ("nothing", "block and native key") else {}
    detr = make(name, block=options if "block" in said else None, **DETR, use_focal_loss=True, **switch, loss=loss)
    assert detr.use_vfl
    logits = paddle.to_tensor(PREDICTIONS)
    # one box of class 1, matched with query 0, with an IoU of 0.8
    matches = [(paddle.to_tensor([0]), paddle.to_tensor([0]))]
    actual = detr._get_loss_class(
        logits, [paddle.to_tensor([[1]])], matches, 3, 2.0, iou_score=paddle.to_tensor([[0.8]])
    )["loss_class"]
    target = paddle.to_tensor([[[0.0, 0.8, 0.0], [0.0, 0.0, 0.0]]])
    weight = options.get("loss_weight", 1.0) * detr.loss_coeff["class"]
    formula = {key: value for key, value in options.items() if key != "loss_weight"}
    wanted = (
        weight
        * float(paddle_vfl.varifocal_loss(logits, target, (target > 0).astype("float32"), reduction="sum", **formula))
        / 2.0
    )
    np.testing.assert_allclose(float(actual), wanted, rtol=1e-6)


@pytest.mark.skipif(not detr_losses(), reason="this PaddleDetection has no varifocal loss in DETRLoss")
def test_a_detr_loss_without_the_sigmoid_form_cannot_be_varifocal():
    coefficients = [
        {"class": 1, "bbox": 5, "giou": 2, "no_object": 0.1} for _ in range(2)
    ]  # PaddleDetection writes into it
    with pytest.raises(ValueError, match="DINOLoss.loss: VarifocalLoss needs use_focal_loss: true"):
        make("DINOLoss", **DETR, loss_coeff=coefficients[0], use_focal_loss=False, loss="VarifocalLoss")
    make(
        "DINOLoss", **DETR, loss_coeff=coefficients[1], use_focal_loss=False, use_vfl=True, loss=None
    )  # as PaddleDetection has it


def test_the_block_is_read_when_the_head_is_made():
    from ppdet.core.workspace import merge_config

    head = make("GFLHead", **GFL, loss="VarifocalLoss", block={"alpha": 0.5})
    spec = loss_key.read("GFLHead.loss", "VarifocalLoss")
    spec.read_options()
    merge_config({"VarifocalLoss": {"alpha": 0.25}})
    assert head.loss_qfl.alpha == spec.formula["alpha"] == 0.5


def test_loss_takes_any_loss_that_loss_class_takes():
    head = make("GFLHead", **GFL, loss={"name": "FocalLoss", "alpha": 0.5})
    assert type(head.loss_qfl).__name__ == "FocalLoss"


def test_options_without_a_name_are_no_other_losses():
    """RetinaHead takes the family alone under `loss`, and its configs say focal loss under `loss_class`."""
    spec = loss_key.read_loss("Head.loss", {"alpha": 0.5}, tuple(loss_key.FAMILY), {"name": "FocalLoss", "gamma": 3.0})
    assert (spec.name, spec.formula["alpha"], spec.formula["gamma"]) == ("VarifocalLoss", 0.5, 2.0)


def test_options_without_a_name_go_on_from_those_of_loss_class():
    said = {"name": "VarifocalLoss", "gamma": 1.0, "loss_weight": 2.0}
    layer = make("GFLHead", **GFL, loss_class=said, loss={"alpha": 0.5}).loss_qfl
    assert (layer.alpha, layer.gamma, layer.loss_weight) == (0.5, 1.0, 2.0)
