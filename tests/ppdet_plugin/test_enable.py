"""enable, disable and status."""

import copy
import gc
import importlib
import inspect
import sys
import types

import paddle
import pytest
import yaml

import paddle_vfl
from paddle_vfl._ops import extension


def snapshot():
    """All that the plugin may change: every name of every module of ppdet, every attribute of its classes, its registry
    and YAML."""
    import ppdet.engine
    import ppdet.utils.cli  # noqa: F401  enable() imports these
    from ppdet.core.workspace import get_registered_modules

    modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "ppdet"}
    names = {
        (path, name): value
        for path, module in modules.items()
        for name, value in vars(module).items()
        if callable(value)
    }
    classes = {
        value for value in names.values() if inspect.isclass(value) and value.__module__.split(".")[0] == "ppdet"
    }
    return {
        "names": names,
        "attributes": {
            (cls, name): value
            for cls in classes
            for name, value in vars(cls).items()
            if callable(value) or isinstance(value, staticmethod)
        },
        "registry": {
            name: (dict(schema), dict(schema.schema), list(schema.inject))
            for name, schema in get_registered_modules().items()
        },
        "tags": [
            loader.yaml_constructors["!VarifocalLoss"] for loader in (yaml.Loader, yaml.FullLoader, yaml.UnsafeLoader)
        ],
        "representers": dict(yaml.Dumper.yaml_representers),
    }


def test_enable_is_idempotent_and_disable_restores_everything():
    before = snapshot()
    assert paddle_vfl.enable() == paddle_vfl.__version__
    enabled = snapshot()
    assert all(enabled[part] != before[part] for part in before)
    assert paddle_vfl.enable() == paddle_vfl.__version__
    assert snapshot() == enabled
    paddle_vfl.disable()
    assert snapshot() == before
    paddle_vfl.disable()
    assert snapshot() == before


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_collected_afterwards_as_before(collects):
    if not collects:
        gc.disable()
    try:
        paddle_vfl.enable()
        assert gc.isenabled() == collects
    finally:
        gc.enable()


def test_a_module_imported_while_enabled_is_restored_too():
    paddle_vfl.enable()
    workspace = importlib.import_module("ppdet.core.workspace")
    late = types.ModuleType("ppdet.late")
    late.create, late.VarifocalLoss = workspace.create, paddle_vfl.VarifocalLoss
    sys.modules["ppdet.late"] = late
    try:
        paddle_vfl.disable()
        assert (
            late.create is workspace.create
            and late.VarifocalLoss is workspace.global_config["VarifocalLoss"].pymodule.VarifocalLoss
        )
    finally:
        del sys.modules["ppdet.late"]


def test_a_create_that_a_script_took_while_enabled_switches_nothing_afterwards():
    paddle_vfl.enable()
    from ppdet.core.workspace import create

    paddle_vfl.disable()
    create("GIoULoss")
    assert not paddle_vfl.status()["enabled"]


def test_what_a_ppdet_does_not_have_needs_no_fix(monkeypatch):
    """PaddleYOLO has no prior boxes."""
    from ppdet.modeling import ops

    monkeypatch.delattr(ops, "prior_box", raising=False)
    paddle_vfl.enable()
    assert not hasattr(ops, "prior_box")


def test_a_ppdet_without_gfl_has_no_vfnet(monkeypatch):
    """PaddleYOLO is one."""
    from ppdet.core.workspace import global_config

    monkeypatch.setitem(sys.modules, "ppdet.modeling.architectures.gfl", None)
    monkeypatch.delitem(sys.modules, "paddle_vfl.vfnet.architecture", raising=False)
    paddle_vfl.enable()
    assert "VFNet" not in global_config and "VFNetHead" not in global_config


def test_status_has_the_symptom_of_each_fix():
    paddle_vfl.enable()
    fixes = paddle_vfl.status()["fixes"]
    assert "\nfix         concat_of_scalars: A model concatenates elements of a tensor: ValueError: " in str(
        paddle_vfl.status()
    )
    symptoms = ("Error: ", "NaN")  # messages, or what is seen
    assert all(any(word in text for word in symptoms) and "\n" not in text for text in fixes.values())


def test_the_yaml_line_enables_and_its_value_can_be_copied_and_dumped():
    value = yaml.load("paddle_vfl: !!python/object/apply:paddle_vfl.enable []", Loader=yaml.Loader)
    assert paddle_vfl.status()["enabled"]
    assert yaml.safe_load(yaml.dump(copy.deepcopy(value))) == {"paddle_vfl": paddle_vfl.__version__}


def test_the_shipped_base_file_holds_that_line(config):
    from ppdet.core.workspace import load_config

    load_config(str(config("_base_/paddle_vfl.yml")))
    assert paddle_vfl.status()["enabled"]


def test_status_names_the_call_sites():
    assert "not enabled" in str(paddle_vfl.status())
    paddle_vfl.enable()
    status = paddle_vfl.status()
    assert set(status["switched"]) >= {
        "VarifocalLoss and !VarifocalLoss",
        "PicoHead: loss_class",
        "PicoHeadV2: loss_class",
        "OTAVFLHead: loss_class",
        "GFLHead: loss_class",
        "PPYOLOEHead._varifocal_loss",
        "PPYOLOERHead._varifocal_loss",
        "PPYOLOEContrastHead._varifocal_loss",
        "SimOTAAssigner: varifocal_loss",
    }
    assert status["left_alone"] == []
    assert "fused       PPYOLOEHead._varifocal_loss" in str(status)


def test_status_names_the_call_sites_of_newer_ppdets():
    detr = importlib.import_module("ppdet.modeling.losses.detr_loss")
    if not hasattr(detr, "varifocal_loss_with_logits"):
        pytest.skip("this PaddleDetection has none")
    paddle_vfl.enable()
    assert set(paddle_vfl.status()["switched"]) >= {
        "DETRLoss: varifocal_loss_with_logits",
        "DINOLoss: varifocal_loss_with_logits",
        "MaskDINOLoss: varifocal_loss_with_logits",
        "PPYOLOEInsHead._varifocal_loss",
    }


def test_a_build_without_cuda_under_a_paddle_with_it_is_warned_of(caplog, monkeypatch):
    monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr(extension, "cuda_version", None)
    with caplog.at_level("WARNING", logger="paddle_vfl"):
        paddle_vfl.enable()
    assert "build paddle_vfl again, or leave it off" in caplog.text


def test_the_log_says_once_what_was_switched(caplog):
    with caplog.at_level("DEBUG", logger="paddle_vfl"):
        paddle_vfl.enable()
        paddle_vfl.enable()
    assert (
        len(caplog.records) == 1
        and "fused varifocal loss in VarifocalLoss and !VarifocalLoss, " in caplog.records[0].message
    )


@pytest.fixture
def late_head():
    """A head of one's own, registered after enable(): the class. Its method is PP-YOLOE's."""
    from ppdet.core.workspace import global_config, register
    from ppdet.modeling.heads.ppyoloe_head import PPYOLOEHead

    method = inspect.getattr_static(PPYOLOEHead, "_varifocal_loss")
    paddle_vfl.enable()

    class LateHead(paddle.nn.Layer):
        def __init__(self, use_varifocal_loss=True):
            super().__init__()
            self.use_varifocal_loss = use_varifocal_loss

        _varifocal_loss = method

    globals()["LateHead"] = register(LateHead)
    yield LateHead
    del globals()["LateHead"], global_config["LateHead"]


def test_a_head_registered_later_is_switched_before_it_is_made(late_head, op_calls):
    from ppdet.core.workspace import create, merge_config

    merge_config({"LateHead": {"loss": {"name": "VarifocalLoss", "alpha": 0.5}}})
    head = create("LateHead")
    assert (
        "LateHead._varifocal_loss" in paddle_vfl.status()["switched"] and head._varifocal_loss.keywords["alpha"] == 0.5
    )
    x = paddle.full([1, 2, 3], 0.5)
    head._varifocal_loss(x, x, x)
    late_head._varifocal_loss(x, x, x)
    assert len(op_calls) == 2


def test_a_head_registered_later_has_the_options_that_it_inherits():
    from ppdet.core.workspace import global_config, register
    from ppdet.modeling.heads.ppyoloe_head import PPYOLOEHead

    paddle_vfl.enable()
    try:
        globals()["LateSubclass"] = register(type("LateSubclass", (PPYOLOEHead,), {"__module__": __name__}))
        theirs = set(global_config["PPYOLOEHead"].schema) - {"loss"}
        assert len(theirs) > 10 and set(global_config["LateSubclass"].schema) - {"loss"} == theirs
    finally:
        global_config.pop("LateSubclass", None)
        globals().pop("LateSubclass", None)


def test_a_block_of_vfnet_that_was_read_before_is_kept():
    from ppdet.core.workspace import global_config, merge_config

    merge_config({"VFNetHead": {"feat_channels": 64}})
    try:
        paddle_vfl.enable()
        assert global_config["VFNetHead"]["feat_channels"] == 64 and "star" in global_config["VFNetHead"].schema
    finally:
        paddle_vfl.disable()
        global_config.pop("VFNetHead", None)


def ppyoloe_head(**options):
    from ppdet.core.workspace import create, merge_config
    from ppdet.modeling.shape_spec import ShapeSpec

    merge_config({"PPYOLOEHead": {"assigner": None, "static_assigner": None, "nms": None, **options}})
    return create("PPYOLOEHead", input_shape=[ShapeSpec(channels=8)] * 3)


def test_what_a_config_said_holds_again_when_the_plugin_is_back():
    """With it, without it, with it again, in one process."""
    from ppdet.core.workspace import create, global_config, merge_config

    paddle_vfl.enable()
    ppyoloe_head(loss={"alpha": 0.5})
    merge_config({"VarifocalLoss": {"class_weight": [1.0] * 80}})
    merge_config({"MatchabilityAwareLoss": {"gamma": 1.0}, "VFNetHead": {"feat_channels": 64}})
    for _ in range(2):
        paddle_vfl.disable()
        assert not hasattr(ppyoloe_head()._varifocal_loss, "keywords")
        assert type(create("VarifocalLoss")) is not paddle_vfl.VarifocalLoss
        paddle_vfl.enable()
        assert ppyoloe_head()._varifocal_loss.keywords["alpha"] == 0.5
        assert create("VarifocalLoss").class_weight == (1.0,) * 80 and create("MatchabilityAwareLoss").gamma == 1.0
        assert global_config["VFNetHead"]["feat_channels"] == 64


def test_somebodys_own_vfnet_is_put_back(monkeypatch):
    from ppdet.core.config.schema import extract_schema
    from ppdet.core.workspace import global_config
    from ppdet.modeling.heads.gfl_head import GFLHead

    own = extract_schema(GFLHead)
    monkeypatch.setitem(global_config, "VFNetHead", own)
    paddle_vfl.enable()
    assert global_config["VFNetHead"] is not own and "star" in global_config["VFNetHead"].schema
    paddle_vfl.disable()
    assert global_config["VFNetHead"] is own


@pytest.mark.parametrize("block", ["text", [1], 3, None])
def test_a_block_of_vfnet_that_is_no_mapping_does_not_stop_enable(block, monkeypatch):
    from ppdet.core.workspace import global_config

    monkeypatch.setitem(global_config, "VFNetHead", block)
    paddle_vfl.enable()
    assert "star" in global_config["VFNetHead"].schema


def test_what_a_config_says_while_the_plugin_is_off_holds():
    from ppdet.core.workspace import create, merge_config

    paddle_vfl.enable()
    merge_config({"PPYOLOEHead": {"loss": {"alpha": 0.5}}, "MatchabilityAwareLoss": {"gamma": 1.0}})
    paddle_vfl.disable()
    merge_config({"PPYOLOEHead": {"loss": {"alpha": 0.25}}, "MatchabilityAwareLoss": {"gamma": 2.0}})
    paddle_vfl.enable()
    assert ppyoloe_head()._varifocal_loss.keywords["alpha"] == 0.25
    assert create("MatchabilityAwareLoss").gamma == 2.0


def test_the_tag_builds_the_fused_layer():
    paddle_vfl.enable()
    loss = yaml.load("!VarifocalLoss {alpha: 0.5, gamma: 1.5, use_sigmoid: false}", Loader=yaml.Loader)
    assert type(loss) is paddle_vfl.VarifocalLoss and (loss.alpha, loss.gamma, loss.use_sigmoid) == (0.5, 1.5, False)
    assert yaml.load(yaml.dump(loss), Loader=yaml.Loader).alpha == 0.5


def test_the_top_level_block_sets_the_options():
    from ppdet.core.workspace import create, merge_config

    paddle_vfl.enable()
    merge_config({"VarifocalLoss": {"alpha": 0.5, "loss_weight": 2.0}})
    loss = create("VarifocalLoss")
    assert type(loss) is paddle_vfl.VarifocalLoss and (loss.alpha, loss.loss_weight) == (0.5, 2.0)


def other_parameters(pred_score, gt_score):
    return None


def other_defaults(pred_score, gt_score, label, alpha=0.25, gamma=2.0):
    return None


def other_formula(pred_score, gt_score, label, alpha=0.75, gamma=2.0):
    return ((pred_score - gt_score) ** 2).sum()


def failing(pred_score, gt_score, label, alpha=0.75, gamma=2.0):
    raise RuntimeError


@pytest.mark.parametrize(
    "method",
    [
        staticmethod(other_parameters),
        staticmethod(other_defaults),
        staticmethod(other_formula),
        staticmethod(failing),
        other_formula,
    ],
    ids=lambda method: getattr(method, "__func__", method).__name__,
)
def test_a_head_of_another_shape_is_left_alone(method, caplog, monkeypatch):
    """Another signature, another formula under the same signature, or no static method: one warning that names it."""
    from ppdet.modeling.heads.ppyoloe_r_head import PPYOLOERHead

    monkeypatch.setattr(PPYOLOERHead, "_varifocal_loss", method)
    with caplog.at_level("WARNING", logger="paddle_vfl"):
        paddle_vfl.enable()
    assert inspect.getattr_static(PPYOLOERHead, "_varifocal_loss") is method
    assert paddle_vfl.status()["left_alone"] == ["PPYOLOERHead._varifocal_loss"]
    assert [r.message for r in caplog.records] == [
        "paddle_vfl: left alone, because they do not look as expected: PPYOLOERHead._varifocal_loss"
    ]


def test_a_function_of_another_shape_is_left_alone(caplog, monkeypatch):
    from ppdet.modeling.assigners import simota_assigner

    def varifocal_loss(pred, target, use_sigmoid=True):
        return pred

    monkeypatch.setattr(simota_assigner, "varifocal_loss", varifocal_loss)
    with caplog.at_level("WARNING", logger="paddle_vfl"):
        paddle_vfl.enable()
    assert simota_assigner.varifocal_loss is varifocal_loss
    assert "SimOTAAssigner: varifocal_loss" not in paddle_vfl.status()["switched"]
    assert [r.message for r in caplog.records] == [
        "paddle_vfl: left alone, because they do not look as expected: SimOTAAssigner: varifocal_loss"
    ]


def test_a_class_of_another_shape_is_left_alone(caplog, monkeypatch):
    from ppdet.modeling.losses import varifocal_loss as module

    class VarifocalLoss(paddle.nn.Layer):
        def __init__(self, beta=1.0):
            super().__init__()

    monkeypatch.setattr(module, "VarifocalLoss", VarifocalLoss)
    with caplog.at_level("WARNING", logger="paddle_vfl"):
        paddle_vfl.enable()
    assert module.VarifocalLoss is VarifocalLoss
    assert "VarifocalLoss and !VarifocalLoss" in paddle_vfl.status()["left_alone"]


def test_enable_cleans_up_after_a_failure(monkeypatch):
    before = snapshot()
    from paddle_vfl.ppdet_plugin import switch

    monkeypatch.setattr(switch, "switch_call_sites", lambda patches, modules: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        paddle_vfl.enable()
    assert snapshot() == before and not paddle_vfl.status()["enabled"]
