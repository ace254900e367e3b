"""enable, disable and status."""
import copy
import inspect

import numpy as np
import paddle
import pytest
import yaml

import paddle_vfl


def snapshot():
    """All that the plugin may change in PaddleDetection."""
    from ppdet.core.workspace import get_registered_modules
    from ppdet.modeling import assigners

    modules = get_registered_modules()
    heads = {name: getattr(schema.pymodule, name) for name, schema in modules.items() if hasattr(getattr(schema.pymodule, name, None), "_varifocal_loss")}
    return {
        "classes": {name: (dict(vars(cls))["__init__"], inspect.getattr_static(cls, "_varifocal_loss")) for name, cls in heads.items()},
        "own": {name: "_varifocal_loss" in vars(cls) for name, cls in heads.items()},
        "schemas": {name: (dict(modules[name].schema), list(modules[name].inject), dict(modules[name])) for name in heads},
        "loss": modules["VarifocalLoss"].pymodule.VarifocalLoss,
        "tags": [loader.yaml_constructors["!VarifocalLoss"] for loader in (yaml.Loader, yaml.FullLoader, yaml.UnsafeLoader)],
        "representers": dict(yaml.Dumper.yaml_representers),
        "forward": [assigners.ATSSAssigner.forward, assigners.TaskAlignedAssigner.forward],
    }


def test_enable_is_idempotent_and_disable_restores_everything():
    before = snapshot()
    assert paddle_vfl.enable() == paddle_vfl.__version__
    enabled = snapshot()
    assert enabled["classes"] != before["classes"] and enabled["loss"] is paddle_vfl.VarifocalLoss
    assert paddle_vfl.enable() == paddle_vfl.__version__
    assert snapshot() == enabled
    paddle_vfl.disable()
    assert snapshot() == before
    paddle_vfl.disable()
    assert snapshot() == before


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
    assert {"PPYOLOEHead._varifocal_loss", "PPYOLOERHead._varifocal_loss", "PPYOLOEContrastHead._varifocal_loss"} <= set(status["switched"])
    assert status["left_alone"] == []
    assert "fused       PPYOLOEHead._varifocal_loss" in str(status)


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


def test_a_head_of_another_shape_is_left_alone(caplog, monkeypatch):
    from ppdet.modeling.heads.ppyoloe_r_head import PPYOLOERHead

    strange = staticmethod(lambda score, target: None)
    monkeypatch.setattr(PPYOLOERHead, "_varifocal_loss", strange)
    with caplog.at_level("WARNING", logger="paddle_vfl"):
        paddle_vfl.enable()
    assert inspect.getattr_static(PPYOLOERHead, "_varifocal_loss") is strange
    assert paddle_vfl.status()["left_alone"] == ["PPYOLOERHead._varifocal_loss"]
    assert [r.message for r in caplog.records] == ["paddle_vfl: left alone, because they do not look as expected: PPYOLOERHead._varifocal_loss"]


def test_enable_cleans_up_after_a_failure(monkeypatch):
    before = snapshot()
    from paddle_vfl.ppdet_plugin import switch

    monkeypatch.setattr(switch.static_methods, "switch_static_methods", lambda patches, modules: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        paddle_vfl.enable()
    assert snapshot() == before and not paddle_vfl.status()["enabled"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_static_method_equals_ppdets(rng, dtype):
    from ppdet.modeling.heads.ppyoloe_head import PPYOLOEHead

    score = rng.random((2, 525, 10)).clip(1e-4, 1 - 1e-4)
    label = (rng.random((2, 525, 10)) < 0.03).astype(dtype)
    target = rng.random((2, 525, 10)) * label
    results = []
    for enabled in (False, True):
        if enabled:
            paddle_vfl.enable()
        pred = paddle.to_tensor(score, dtype=dtype, stop_gradient=False)
        loss = PPYOLOEHead._varifocal_loss(pred, paddle.to_tensor(target, dtype=dtype), paddle.to_tensor(label), gamma=2.0)
        loss.backward()
        results.append((loss, pred.grad))
    rtol = 1e-5 if dtype == "float32" else 1e-10
    for theirs, ours in zip(*results):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        theirs, ours = theirs.numpy(), ours.numpy()
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-3 * rtol * np.abs(theirs).max())
