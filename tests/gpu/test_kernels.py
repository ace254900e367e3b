"""The CUDA kernels against float64: every kind of target, dtype and number of classes. What is not written is NaN
(Kernels.run)."""

import itertools

import numpy as np
import pytest

from paddle_vfl.testing import oracle
from paddle_vfl.testing.dtypes import rounded

ROWS = {1: 3000, 3: 2000, 8: 300, 9: 700, 80: 500, 365: 23, 513: 21, 1203: 19, 8193: 3, 13204: 2}  # of so many classes
DTYPES = ["float32", "float64", "float16", "bfloat16"]
# of the largest number: what the rounding of float32 arithmetic and of the storage type may leave
TOLERANCE = {"float32": 2e-6, "float64": 1e-14, "float16": 1e-3, "bfloat16": 8e-3}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def make(rng, shape, use_sigmoid=True, dtype="float32"):
    """Predictions, scores and their mask, as the storage type holds them."""
    x = rng.normal(-1, 3, shape)
    x = x if use_sigmoid else np.clip(1 / (1 + np.exp(-x)), 1e-3, 0.99)  # in float16 the gradient near 1 is infinite
    y = (rng.random(shape) < 0.1).astype(float)
    return rounded(x, dtype), rounded(y * rng.random(shape), dtype), y


def check(got, expected, dtype="float32"):
    (loss, grad), (expected_loss, expected_grad) = got, expected
    scale = np.abs(expected_loss).max()
    np.testing.assert_allclose(
        loss,
        expected_loss,
        rtol=1e-5 if dtype != "float64" else 1e-13,
        atol=scale * TOLERANCE["float64" if dtype == "float64" else "float32"],
    )
    np.testing.assert_allclose(
        grad, expected_grad, rtol=4 * TOLERANCE[dtype], atol=np.abs(expected_grad).max() * TOLERANCE[dtype]
    )


def summed(expected, upstream):
    """What the row sums of (loss, gradient) are, given the gradient of the sums."""
    loss, grad = expected
    return loss.sum(1), grad * upstream[:, None]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True], ids=["dense", "masked"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.5, 2.0, 3.7])
@pytest.mark.parametrize("use_sigmoid, positive_weight", list(itertools.product([True, False], ["score", "one"])))
def test_elements(kernels, rng, use_sigmoid, positive_weight, gamma, masked, dtype):
    options = dict(use_sigmoid=use_sigmoid, positive_weight=positive_weight, gamma=gamma, alpha=0.3)
    x, q, y = make(rng, (61, 11), use_sigmoid, dtype)
    y = y if masked else None
    upstream = rng.normal(size=x.shape).astype(np.float32)
    loss, grad = oracle.loss_and_grad(x, q, y, **options)
    check(kernels.run(x, q, y, dtype=dtype, upstream=upstream, **options), (loss, grad * upstream), dtype)


FAMILY = {
    "varifocal, detached": dict(detach_weight=True),
    "quality focal": dict(alpha=1.0, positive_weight="modulated"),
    "quality focal, beta 2.7": dict(alpha=1.0, gamma=2.7, positive_weight="modulated"),
    "matchability-aware": dict(alpha=1.0, gamma=1.5, target_power=1.5, positive_weight="one", detach_weight=True),
    "any": dict(alpha=0.3, gamma=2.7, target_power=0.8, positive_weight="modulated", use_sigmoid=False),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["dense", "masked", "pair"])
@pytest.mark.parametrize("formula", FAMILY)
def test_the_other_losses_of_the_family(kernels, rng, formula, kind, dtype):
    options = FAMILY[formula]
    x, q, y = make(rng, (61, 11), options.get("use_sigmoid", True), dtype)
    y = y if kind == "masked" else None
    weight = rng.integers(0, 40, 11) / 8
    expected_q = q
    if kind == "pair":
        q, y = q.max(1), q.argmax(1)
        expected_q = oracle.dense_target(y, q, 11)
    upstream = rng.normal(size=x.shape).astype(np.float32)
    loss, grad = oracle.loss_and_grad(x, expected_q, None if kind == "pair" else y, class_weight=weight, **options)
    got = kernels.run(x, q, y, dtype=dtype, upstream=upstream, class_weight=weight, **options)
    check(got, (loss, grad * upstream), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["dense", "pair"])
@pytest.mark.parametrize("classes", ROWS)
def test_row_sums_of_weighted_classes(kernels, rng, classes, kind, dtype):
    x, q, _ = make(rng, (ROWS[classes], classes), dtype=dtype)
    weight, label = rng.integers(0, 40, classes) / 8, None
    if kind == "pair":
        label = rng.integers(-2, classes + 2, len(x))
        score = rounded(rng.random(len(x)), dtype)
        q = oracle.dense_target(label, score, classes)
    upstream = rng.normal(size=len(x)).astype(np.float32)
    expected = summed(oracle.loss_and_grad(x, q, class_weight=weight), upstream)
    target = score if kind == "pair" else q
    got = kernels.run(x, target, label, dtype=dtype, upstream=upstream, reduce_rows=True, class_weight=weight)
    check(got, expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", ROWS)
def test_row_sums(kernels, rng, classes, dtype):
    x, q, _ = make(rng, (ROWS[classes], classes), dtype=dtype)
    upstream = rng.normal(size=len(x)).astype(np.float32)
    expected = summed(oracle.loss_and_grad(x, q), upstream)
    check(kernels.run(x, q, dtype=dtype, upstream=upstream, reduce_rows=True), expected, dtype)


@pytest.mark.parametrize("reduce_rows", [False, True], ids=["elements", "rows"])
@pytest.mark.parametrize("label_dtype", ["int32", "int64"])
@pytest.mark.parametrize("use_sigmoid", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", ROWS)
def test_label_and_score(kernels, rng, classes, dtype, use_sigmoid, label_dtype, reduce_rows):
    x, _, _ = make(rng, (ROWS[classes], classes), use_sigmoid, dtype)
    label = rng.integers(-2, classes + 2, len(x)).astype(label_dtype)
    score = rounded(rng.random(len(x)), dtype)
    q = oracle.dense_target(label, score, classes)
    upstream = rng.normal(size=len(x) if reduce_rows else x.shape).astype(np.float32)
    loss, grad = oracle.loss_and_grad(x, q, use_sigmoid=use_sigmoid)
    expected = summed((loss, grad), upstream) if reduce_rows else (loss, grad * upstream)
    got = kernels.run(x, score, label, dtype=dtype, use_sigmoid=use_sigmoid, upstream=upstream, reduce_rows=reduce_rows)
    check(got, expected, dtype)


def test_a_label_that_only_ends_like_a_class_is_none(kernels, rng):
    x, _, _ = make(rng, (4, 80))
    label = np.array([5, 5 + 2**32, 5 - 2**32, -1])
    q = np.zeros(x.shape)
    q[0, 5] = 0.5
    check(kernels.run(x, np.full(4, 0.5), label), oracle.loss_and_grad(x, q))


@pytest.mark.parametrize("masked", [False, True], ids=["dense", "masked"])
@pytest.mark.parametrize("target_dtype", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_targets_of_another_type(kernels, rng, dtype, target_dtype, masked):
    x, q, y = make(rng, (40, 37), dtype=dtype)
    q, y = rounded(q, target_dtype), y if masked else None
    expected = oracle.loss_and_grad(x, q, y)
    check(kernels.run(x, q, y, dtype=dtype, target_dtype=target_dtype, label_dtype="float32"), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduce_rows", [False, True], ids=["elements", "rows"])
@pytest.mark.parametrize("classes", [3, 80, 1203])
def test_arrays_that_begin_between_vectors(kernels, rng, classes, reduce_rows, dtype):
    x, q, _ = make(rng, (9, classes), dtype=dtype)
    options = dict(dtype=dtype, reduce_rows=reduce_rows)
    for offset, whole in zip(kernels.run(x, q, offset=1, **options), kernels.run(x, q, **options)):
        np.testing.assert_array_equal(offset, whole)


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("classes", [1, 2, 7])
def test_less_than_a_vector(kernels, rng, rows, classes):
    x, q, _ = make(rng, (rows, classes), dtype="bfloat16")
    check(kernels.run(x, q, dtype="bfloat16"), oracle.loss_and_grad(x, q), "bfloat16")


@pytest.mark.parametrize("shape", [(0, 80), (5, 0)])
def test_nothing_to_do(kernels, shape):
    loss, grad = kernels.run(np.zeros(shape), np.zeros(shape))
    assert loss.shape == grad.shape == shape


@pytest.mark.parametrize("classes", [5, 80, 1203, 13204])
def test_a_nan_stays_in_its_row(kernels, rng, classes):
    x, q, _ = make(rng, (7, classes))
    x[3, classes // 2], q[5, 1] = np.nan, np.nan
    loss, grad = kernels.run(x, q, reduce_rows=True)
    assert np.flatnonzero(np.isnan(loss)).tolist() == [3, 5]
    assert np.argwhere(np.isnan(grad)).tolist() == [[3, classes // 2], [5, 1]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_predictions_are_finite(kernels, dtype):
    x = np.array([[-np.inf, -1e4, -100, -0.0], [0, 100, 1e4, 6e4]])
    loss, grad = kernels.run(np.where(np.isinf(x), -6e4, x), np.zeros((2, 4)), dtype=dtype)
    assert np.isfinite(loss).all() and np.isfinite(grad).all()
    p = np.array([[0.0, 1.0, 0.0, 1.0]])
    q = np.array([[0.0, 0.0, 0.5, 0.5]])
    expected = oracle.loss_and_grad(p, q, use_sigmoid=False)
    check([a[:, :3] for a in kernels.run(p, q, use_sigmoid=False)], [a[:, :3] for a in expected])


def test_infinite_logits_behave_as_on_the_cpu(kernels):
    paddle = pytest.importorskip("paddle")
    import paddle_vfl

    x = np.array([[np.inf, -np.inf, np.nan, 3.0]], np.float32)
    q = np.array([[0.0, 0.0, 0.0, 0.5]], np.float32)
    pred = paddle.to_tensor(x, stop_gradient=False)
    expected = paddle_vfl.varifocal_loss(pred, paddle.to_tensor(q))
    expected.sum().backward()
    loss, grad = kernels.run(x, q)
    np.testing.assert_allclose(loss, expected.numpy(), rtol=1e-6)
    np.testing.assert_allclose(grad, pred.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("classes", [10, 80, 1203, 13204])
def test_the_same_bits_every_time(kernels, rng, classes):
    x, q, _ = make(rng, (50, classes))
    first = kernels.run(x, q, reduce_rows=True)
    for _ in range(20):
        for a, b in zip(kernels.run(x, q, reduce_rows=True), first):
            np.testing.assert_array_equal(a, b)


def test_an_error_names_the_call(kernels):
    problem = kernels.problem((0, "float32", (1, 2**31)), (0, "float32"), None, "dense", reduce_rows=True)
    with pytest.raises(RuntimeError, match=r"pred has 2147483648 classes; the CUDA kernels take \d+ at most"):
        kernels.forward(problem, 0)
