"""The layer, against PaddleDetection's class of the same name, for every combination of arguments."""

import itertools

import numpy as np
import paddle
import pytest

from paddle_vfl import VarifocalLoss, varifocal_loss

ppdet_losses = pytest.importorskip("ppdet.modeling.losses.varifocal_loss")
Theirs = ppdet_losses.VarifocalLoss

CASES = list(
    itertools.product([True, False], [True, False], ["none", "mean", "sum"], [1.0, 2.5], [2.0, 1.5, 0.5], [0.75, 0.3])
)
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def run(layer, x, target, weight, avg_factor, dtype):
    pred = paddle.to_tensor(x, dtype=dtype, stop_gradient=False)
    loss = layer(pred, paddle.to_tensor(target), weight=weight, avg_factor=avg_factor)
    (loss * paddle.linspace(0.5, 1.5, max(loss.size, 1)).cast(loss.dtype).reshape(loss.shape)).sum().backward()
    return loss.numpy(), pred.grad.numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("use_sigmoid, iou_weighted, reduction, loss_weight, gamma, alpha", CASES)
def test_equals_ppdet(rng, dtype, use_sigmoid, iou_weighted, reduction, loss_weight, gamma, alpha):
    """Every argument, every weight that broadcasts, avg_factor; the target is float64 whatever the prediction is."""
    options = dict(
        use_sigmoid=use_sigmoid,
        iou_weighted=iou_weighted,
        reduction=reduction,
        loss_weight=loss_weight,
        gamma=gamma,
        alpha=alpha,
    )
    ours, theirs = VarifocalLoss(**options), Theirs(**options)
    x = rng.normal(0, 2, (23, 9))
    x = x if use_sigmoid else 1 / (1 + np.exp(-x))
    q = np.where(rng.random((23, 9)) < 0.2, rng.random((23, 9)), 0)
    full = rng.random((23, 9))
    weights = [None, full, full[:, :1], full[:1]] if use_sigmoid else [None, full[:, 0]]
    for weight, avg_factor in itertools.product(weights, [None, 7.0, paddle.to_tensor(3.0)]):
        if avg_factor is not None and reduction == "sum":
            continue
        weight = None if weight is None else paddle.to_tensor(weight, dtype=dtype)
        actual, expected = (run(layer, x, q, weight, avg_factor, dtype) for layer in (ours, theirs))
        assert actual[0].shape == expected[0].shape and actual[0].dtype == expected[0].dtype
        rtol = TOLERANCE[dtype]
        for a, e in zip(actual, expected):
            # near p = q both cancel: an error of a few units in the last place of the largest element
            np.testing.assert_allclose(a, e, rtol=rtol, atol=0.03 * rtol * np.abs(e).max())


@pytest.mark.parametrize("use_sigmoid", [True, False])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_equals_ppdet_in_three_dimensions(rng, use_sigmoid, reduction):
    """For probabilities PaddleDetection sums over axis 1, which is not the classes here."""
    x, q = rng.random((2, 5, 3)), np.where(rng.random((2, 5, 3)) < 0.3, 0.6, 0)
    layers = (cls(use_sigmoid=use_sigmoid, reduction=reduction) for cls in (VarifocalLoss, Theirs))
    actual, expected = (run(layer, x, q, None, None, "float64") for layer in layers)
    for a, e in zip(actual, expected):
        assert a.shape == e.shape
        np.testing.assert_allclose(a, e, rtol=1e-10)


def test_function_equals_ppdet_on_extreme_values():
    x = np.array([[0, 1, 0, 1, 0.5, 1e-30, 1.0, 0.0]])
    q = np.array([[0, 0, 1, 1, 0.5, 0.5, 0.5, 0.5]])
    for values, use_sigmoid in ((x, False), ((x - 0.5) * 2e4, True)):
        pred = paddle.to_tensor(values, dtype="float32")
        expected = ppdet_losses.varifocal_loss(pred, paddle.to_tensor(q), use_sigmoid=use_sigmoid)
        actual = varifocal_loss(
            pred, paddle.to_tensor(q), use_sigmoid=use_sigmoid, reduction="none" if use_sigmoid else "row"
        )
        np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_pair_targets_give_one_loss_a_row(rng, reduction):
    """As QualityFocalLoss, whose targets these are."""
    x, label, score, weight = rng.normal(0, 1, (6, 4)), np.array([0, 4, 1, 3, -1, 2]), rng.random(6), rng.random(6)
    rows = (
        varifocal_loss(paddle.to_tensor(x), (paddle.to_tensor(label), paddle.to_tensor(score)), reduction="row").numpy()
        * weight
    )
    layer = VarifocalLoss(reduction=reduction)
    pair = (paddle.to_tensor(label), paddle.to_tensor(score))
    loss = layer(paddle.to_tensor(x), pair, weight=paddle.to_tensor(weight))
    np.testing.assert_allclose(
        loss.numpy(), {"none": rows, "mean": rows.mean(), "sum": rows.sum()}[reduction], rtol=1e-12
    )
    if reduction == "mean":
        loss = layer(paddle.to_tensor(x), pair, weight=paddle.to_tensor(weight), avg_factor=5)
        np.testing.assert_allclose(loss.numpy(), rows.sum() / 5, rtol=1e-12)


def test_avg_factor_with_sum_is_refused():
    with pytest.raises(ValueError, match='avg_factor can not be used with reduction="sum"'):
        VarifocalLoss(reduction="sum")(paddle.zeros([2, 3]), paddle.zeros([2, 3]), avg_factor=2.0)


def test_probabilities_without_classes_are_refused():
    with pytest.raises(ValueError, match=r"pred has shape \[3\], expected \(N, C\)"):
        VarifocalLoss(use_sigmoid=False)(paddle.full([3], 0.5), paddle.zeros([3]))


@pytest.mark.parametrize(
    "error, message, options",
    [
        (ValueError, "alpha is -0.1, expected a finite number, at least 0", {"alpha": -0.1}),
        (ValueError, "gamma is -1, expected a finite number, at least 0", {"gamma": -1}),
        (TypeError, "alpha is '0.5', a str, expected a number", {"alpha": "0.5"}),
        (ValueError, "reduction is 'avg', expected 'none', 'mean' or 'sum'", {"reduction": "avg"}),
        # a text of PyYAML's, by which Paddle would index the loss
        (TypeError, "loss_weight is '1e-1', a str, expected a number", {"loss_weight": "1e-1"}),
        (ValueError, "loss_weight is -1, expected a finite number, at least 0", {"loss_weight": -1}),
        (TypeError, "use_sigmoid is 'false', a str, expected True or False", {"use_sigmoid": "false"}),
        (TypeError, "iou_weighted is None, a NoneType, expected True or False", {"iou_weighted": None}),
        (TypeError, "detach_weight is 2, a int, expected True or False", {"detach_weight": 2}),
    ],
)
def test_bad_options_are_named(error, message, options):
    with pytest.raises(error, match=message):
        VarifocalLoss(**options)
