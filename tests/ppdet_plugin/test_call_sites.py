"""Every function of PaddleDetection that is switched: value and gradient against PaddleDetection's own, on random and
on extreme inputs."""

import importlib
import inspect

import numpy as np
import paddle
import pytest

import paddle_vfl


def heads():
    """{class name: class} of the heads with the static method, whatever this PaddleDetection has."""
    import ppdet.modeling.heads as heads

    return {name: cls for name, cls in vars(heads).items() if inspect.isclass(cls) and hasattr(cls, "_varifocal_loss")}


def function(name):
    """The function of that name, as the module of its caller sees it now."""
    caller = {"varifocal_loss": "assigners.simota_assigner", "varifocal_loss_with_logits": "losses.detr_loss"}[name]
    module = importlib.import_module(f"ppdet.modeling.{caller}")
    return getattr(module, name, None) or pytest.skip("this PaddleDetection has no varifocal loss in DETRLoss")


# call site -> (how to get the function, whether it takes logits, extra arguments)
SITES = {name: (lambda name=name: heads()[name]._varifocal_loss, False, {}) for name in heads()}
SITES["SimOTAAssigner"] = (lambda: function("varifocal_loss"), False, {"use_sigmoid": False})
SITES["varifocal_loss, logits"] = (
    lambda: function("varifocal_loss"),
    True,
    {"alpha": 0.5, "gamma": 1.5, "iou_weighted": False},
)
SITES["DETRLoss"] = (lambda: function("varifocal_loss_with_logits"), True, {})
SITES["DETRLoss, normalizer"] = (
    lambda: function("varifocal_loss_with_logits"),
    True,
    {"normalizer": 0.37, "alpha": 0.5, "gamma": 1.5},
)


def inputs(values, rng, logits):
    """(predictions, scores, 0/1 labels) of shape (2, 60, 10), float64."""
    shape = (2, 60, 10)
    label = (rng.random(shape) < 0.1).astype(float)
    score = rng.random(shape) * label
    if values == "random":
        x = rng.normal(0, 3, shape)
        return (x if logits else 1 / (1 + np.exp(-x))), score, label
    # no logit of 0: Paddle's gradient of the cross entropy is wrong there, -q - 1/2
    choices = [1e4, -1e4, 80.0, -80.0, 1e-6, -1e-20] if logits else [0.0, 1.0, 1e-30, 1e-7, 1 - 6e-8, 0.5]
    return rng.choice(choices, shape), np.where(rng.random(shape) < 0.5, score, label), label


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("values", ["random", "extreme"])
@pytest.mark.parametrize("site", SITES)
def test_equals_ppdets_function(site, values, dtype, rtol, rng, op_calls):
    get, logits, options = SITES[site]
    x, score, label = inputs(values, rng, logits)
    if values == "extreme" and logits:
        rtol = max(rtol, 1e-6)  # PaddleDetection's sigmoid is 0 below -40, ours is not
    masked = "label" in inspect.signature(get()).parameters
    results = []
    for enabled in (False, True):
        if enabled:
            paddle_vfl.enable()
        pred = paddle.to_tensor(x if masked else x[0], dtype=dtype, stop_gradient=False)
        arrays = (score, label) if masked else (score[0],)
        loss = get()(pred, *(paddle.to_tensor(a, dtype=dtype) for a in arrays), **options)
        weights = paddle.linspace(0.5, 1.5, loss.size, dtype=dtype).reshape(loss.shape)
        (loss * weights).sum().backward()
        results.append((loss, pred.grad))
    assert len(op_calls) == 1
    for theirs, ours in zip(*results):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        theirs, ours = theirs.numpy(), ours.numpy()
        assert np.isfinite(theirs).all()
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-3 * rtol * np.abs(theirs).max())
