"""The layer, against PaddleDetection's class of the same name, for every combination of arguments."""

import itertools

import numpy as np
import paddle
import pytest

from paddle_vfl import QualityFocalLoss
from paddle_vfl.testing import oracle

Theirs = pytest.importorskip("ppdet.modeling.losses.gfocal_loss").QualityFocalLoss

CASES = list(itertools.product([True, False], [2.0, 1.5, 1.0, 3.0], ["none", "mean", "sum"], [1.0, 2.5]))


def run(layer, x, target, weight, avg_factor, dtype):
    pred = paddle.to_tensor(x, dtype=dtype, stop_gradient=False)
    label, score = target
    loss = layer(pred, (paddle.to_tensor(label), paddle.to_tensor(score)), weight=weight, avg_factor=avg_factor)
    (loss * paddle.linspace(0.5, 1.5, max(loss.size, 1)).cast(loss.dtype).reshape(loss.shape)).sum().backward()
    return loss.numpy(), pred.grad.numpy()


def make(rng, rows=41, classes=9, use_sigmoid=True, positives=True):
    x = rng.normal(0, 2, (rows, classes))
    label = rng.integers(0, classes + 1, rows) if positives else np.full(rows, classes)
    return (x if use_sigmoid else 1 / (1 + np.exp(-x))), (label, np.float32(rng.random(rows)))


@pytest.mark.parametrize("positives", [True, False], ids=["positives", "background"])
@pytest.mark.parametrize("use_sigmoid, beta, reduction, loss_weight", CASES)
def test_equals_ppdet(rng, version_fixes_only, use_sigmoid, beta, reduction, loss_weight, positives):
    version_fixes_only()
    options = dict(use_sigmoid=use_sigmoid, beta=beta, reduction=reduction, loss_weight=loss_weight)
    ours, theirs = QualityFocalLoss(**options), Theirs(**options)
    x, target = make(rng, use_sigmoid=use_sigmoid, positives=positives)
    for weight, avg_factor in itertools.product([None, rng.random(41)], [None, 7.0, paddle.to_tensor(3.0)]):
        if avg_factor is not None and reduction == "sum":
            continue
        weight = None if weight is None else paddle.to_tensor(weight, dtype="float32")
        actual, expected = (run(layer, x, target, weight, avg_factor, "float32") for layer in (ours, theirs))
        for a, e in zip(actual, expected):
            assert a.shape == e.shape and a.dtype == e.dtype
            # near p = q both cancel: an error of a few units in the last place of the largest element
            np.testing.assert_allclose(a, e, rtol=1e-5, atol=3e-7 * np.abs(e).max())


@pytest.mark.parametrize("use_sigmoid, beta, reduction, loss_weight", CASES)
def test_float64_equals_the_formula(rng, use_sigmoid, beta, reduction, loss_weight):
    """PaddleDetection's class refuses float64 predictions."""
    layer = QualityFocalLoss(use_sigmoid, beta, reduction, loss_weight)
    x, target = make(rng, use_sigmoid=use_sigmoid)
    dense, weight = oracle.dense_target(*target, 9), rng.random(41)
    options = dict(alpha=1.0, gamma=beta, positive_weight="modulated", use_sigmoid=use_sigmoid)
    loss, grad = (loss_weight * array for array in oracle.loss_and_grad(x, dense, **options))
    rows, grad = loss.sum(1) * weight, grad * weight[:, None]
    pred = paddle.to_tensor(x, stop_gradient=False)
    avg_factor = 7.0 if reduction == "mean" else None
    actual = layer(pred, tuple(map(paddle.to_tensor, target)), weight=paddle.to_tensor(weight), avg_factor=avg_factor)
    actual.sum().backward()
    divisor = 7.0 if reduction == "mean" else 1.0
    expected = rows if reduction == "none" else rows.sum() / divisor
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(pred.grad.numpy(), grad / divisor, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("use_sigmoid", [True, False])
def test_extreme_predictions_are_finite_and_exact(use_sigmoid):
    x = np.array([[1e4, -1e4, 60.0, -60.0]]) if use_sigmoid else np.array([[0.0, 1.0, 1e-30, 0.5]])
    x = np.repeat(x, 5, 0)
    target = np.arange(5), np.float32([0.3, 1.0, 0.0, 0.5, 0.5])
    loss, grad = run(QualityFocalLoss(use_sigmoid, reduction="none"), x, target, None, None, "float64")
    options = dict(alpha=1.0, positive_weight="modulated", use_sigmoid=use_sigmoid)
    expected = oracle.loss_and_grad(x, oracle.dense_target(*target, 4), **options)
    assert np.isfinite(loss).all() and np.isfinite(grad).all()
    np.testing.assert_allclose(loss, expected[0].sum(1), rtol=1e-12)
    np.testing.assert_allclose(grad, expected[1] * np.linspace(0.5, 1.5, 5)[:, None], rtol=1e-6, atol=1e-12)


def test_avg_factor_with_sum_is_refused(rng, version_fixes_only):
    version_fixes_only()
    x, target = make(rng)
    for cls in (QualityFocalLoss, Theirs):
        with pytest.raises(ValueError, match='avg_factor can not be used with reduction="sum"'):
            run(cls(reduction="sum"), x, target, None, 2.0, "float32")


def test_nothing_is_read_back(rng, monkeypatch):
    """No tensor goes through NumPy, which would make a GPU wait."""
    x, (label, score) = make(rng)
    pred, target = paddle.to_tensor(x, stop_gradient=False), (paddle.to_tensor(label), paddle.to_tensor(score))
    tensor = type(pred)
    for name in ("numpy", "item", "tolist", "__bool__", "__float__", "__int__", "__array__"):
        monkeypatch.setattr(tensor, name, lambda *args, **kwargs: pytest.fail("a tensor was read back"))
    QualityFocalLoss()(pred, target, avg_factor=paddle.to_tensor(3.0)).backward()


@pytest.mark.parametrize(
    "error, message, options",
    [
        (ValueError, "beta is -1, expected a finite number, at least 0", {"beta": -1}),
        (ValueError, "reduction is 'avg', expected 'none', 'mean' or 'sum'", {"reduction": "avg"}),
        (ValueError, r"class_weight\[0\] is -1", {"class_weight": [-1, 2]}),
    ],
)
def test_bad_options_are_named(error, message, options):
    with pytest.raises(error, match=message):
        QualityFocalLoss(**options)
