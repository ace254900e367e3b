"""The function: values, gradients, dtypes, shapes and messages."""

import itertools

import numpy as np
import paddle
import pytest

import paddle_vfl
from paddle_vfl import reference, varifocal_loss
from paddle_vfl.losses import varifocal
from paddle_vfl.testing import oracle

FORMULAS = [dict(use_sigmoid=s, iou_weighted=w) for s, w in itertools.product([True, False], [True, False])]
GAMMAS = [0.0, 0.5, 1.0, 1.5, 2.0, 3.7]


def make(rng, shape, use_sigmoid, positives=0.1):
    """Predictions, scores and their mask."""
    x = rng.normal(0, 3, shape)
    q = np.where(rng.random(shape) < positives, rng.random(shape), 0)
    return (x if use_sigmoid else 1 / (1 + np.exp(-x))), q, (q > 0).astype(float)


def run(x, q, y=None, dtype="float32", reduction="none", upstream=None, **options):
    """(loss, gradient) of the fused operator as float64 arrays."""
    pred = paddle.to_tensor(x, dtype=dtype, stop_gradient=False)
    target = tuple(paddle.to_tensor(t) for t in q) if isinstance(q, tuple) else paddle.to_tensor(q, dtype=dtype)
    label = None if y is None else paddle.to_tensor(y, dtype=dtype)
    loss = varifocal_loss(pred, target, label, reduction=reduction, **options)
    (loss if upstream is None else loss * paddle.to_tensor(upstream, dtype=loss.dtype)).sum().backward()
    return loss.astype("float64").numpy(), pred.grad.astype("float64").numpy()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_float64_equals_the_formula(rng, isa, formula, gamma, masked):
    x, q, y = make(rng, (37, 11), formula["use_sigmoid"])
    y = y if masked else None
    loss, grad = run(x, q, y, "float64", alpha=0.3, gamma=gamma, **formula)
    expected_loss, expected_grad = oracle.loss_and_grad(x, q, y, alpha=0.3, gamma=gamma, **formula)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-13)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_float32_equals_the_formula(rng, isa, formula, gamma, masked):
    x, q, y = make(rng, (300, 80), formula["use_sigmoid"])
    x, q, y = np.float32(x), np.float32(q), (np.float32(y) if masked else None)
    loss, grad = run(x, q, y, alpha=0.3, gamma=gamma, **formula)
    expected_loss, expected_grad = oracle.loss_and_grad(x, q, y, alpha=0.3, gamma=gamma, **formula)
    # p - q cancels near p = q, where no float32 sigmoid can do better: hence the absolute tolerance
    np.testing.assert_allclose(loss, expected_loss, rtol=5e-6, atol=1e-7)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-5, atol=3e-7 * np.abs(expected_grad).max())


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_equals_the_composed_reference(rng, formula, masked):
    x, q, y = make(rng, (50, 80), formula["use_sigmoid"])
    results = []
    for function in (varifocal_loss, reference.varifocal_loss):
        pred = paddle.to_tensor(x, dtype="float64", stop_gradient=False)
        loss = function(
            pred, paddle.to_tensor(q), paddle.to_tensor(y) if masked else None, gamma=1.5, reduction="row", **formula
        )
        (loss * paddle.arange(50).astype("float64")).sum().backward()
        results.append((loss.numpy(), pred.grad.numpy()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-10)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("function", [varifocal_loss, reference.varifocal_loss])
def test_a_logit_of_exactly_0_has_its_gradient(function):
    """p - q = 0.2 for the positive; Paddle's own cross entropy gives -0.8 there, so that PaddleDetection's loss is not
    compared."""
    pred = paddle.zeros([1, 2], dtype="float64")
    pred.stop_gradient = False
    function(pred, paddle.to_tensor([[0.3, 0.0]], dtype="float64"), iou_weighted=False, reduction="sum").backward()
    expected = oracle.loss_and_grad(np.zeros((1, 2)), [[0.3, 0.0]], iou_weighted=False)[1]
    np.testing.assert_allclose(pred.grad.numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(expected[0, 0], 0.2)


def test_soft_masks_count_by_their_share(rng):
    x, q, _ = make(rng, (20, 13), use_sigmoid=False)
    y = rng.random((20, 13))
    loss, grad = run(x, q, y, "float64", use_sigmoid=False)
    expected_loss, expected_grad = oracle.loss_and_grad(x, q, y, use_sigmoid=False)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-13)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float16", "float64"])
def test_masks_of_any_dtype(rng, dtype):
    x, q, y = make(rng, (9, 7), use_sigmoid=False)
    target = paddle.to_tensor(q, dtype="float32")
    loss = varifocal_loss(
        paddle.to_tensor(x, dtype="float32"), target, paddle.to_tensor(y).astype(dtype), use_sigmoid=False
    )
    np.testing.assert_allclose(loss.numpy(), oracle.loss_and_grad(x, q, y, use_sigmoid=False)[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("gamma", [0.5, 2.0, 2.5])
@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_gradient_equals_finite_differences(rng, formula, gamma, masked):
    """4,000 random elements in float64, of which the fused operator computes value and gradient by different code."""
    x, q, y = make(rng, (50, 80), formula["use_sigmoid"], positives=0.5)
    x = x if formula["use_sigmoid"] else x.clip(1e-3, 1 - 1e-3)
    y = y if masked else None
    options = dict(gamma=gamma, **formula)
    _, grad = run(x, q, y, "float64", **options)
    step = 1e-6
    up, down = (run(x + s, q, y, "float64", **options)[0] for s in (step, -step))
    # within a step of p = q, |p - q|^gamma is not smooth
    p = 1 / (1 + np.exp(-x)) if formula["use_sigmoid"] else x
    smooth = np.abs(p - q) > 1e-4
    np.testing.assert_allclose(grad[smooth], ((up - down) / (2 * step))[smooth], rtol=2e-5, atol=2e-8)


@pytest.mark.parametrize("dtype, tolerance", [("float16", 1e-3), ("bfloat16", 8e-3)])
@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_half_precision_is_computed_in_float32(rng, isa, formula, dtype, tolerance):
    x, q, _ = make(rng, (64, 80), formula["use_sigmoid"])
    x, q = (paddle.to_tensor(t).astype(dtype).astype("float64").numpy() for t in (x, q))
    loss, grad = run(x, q, dtype=dtype, **formula)
    expected_loss, expected_grad = oracle.loss_and_grad(x, q, **formula)
    assert (
        varifocal_loss(paddle.to_tensor(x, dtype=dtype), paddle.to_tensor(q, dtype=dtype), **formula).dtype
        == paddle.float32
    )
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5, atol=1e-6)
    if dtype == "float16":  # the slope at a probability of 1 is 1e12, more than it holds
        expected_grad = np.where(np.abs(expected_grad) >= 65520, np.sign(expected_grad) * np.inf, expected_grad)
    np.testing.assert_allclose(grad, expected_grad, rtol=tolerance, atol=tolerance * 1e-3)


@pytest.mark.parametrize("target_dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("pred_dtype", ["float32", "float64", "float16", "bfloat16"])
def test_dtypes_mix(rng, pred_dtype, target_dtype):
    x, q, y = make(rng, (7, 21), use_sigmoid=True)
    pred = paddle.to_tensor(x).astype(pred_dtype)
    target = paddle.to_tensor(q).astype(target_dtype)
    pred.stop_gradient = False
    loss = varifocal_loss(pred, target)
    loss.sum().backward()
    assert pred.grad.dtype == pred.dtype
    expected, _ = oracle.loss_and_grad(pred.astype("float64").numpy(), target.astype("float64").numpy())
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reduction", ["none", "row"])
@pytest.mark.parametrize("classes", [1, 3, 80, 700, 13204])
@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_pairs_equal_dense_targets(rng, formula, classes, reduction):
    x, _, _ = make(rng, (6, classes), formula["use_sigmoid"])
    label = rng.integers(-1, classes + 1, 6)
    label[:2] = classes - 1, 0
    score = rng.random(6)
    upstream = rng.random((6, classes) if reduction == "none" else 6)
    pair = run(x, (label, score), dtype="float64", reduction=reduction, upstream=upstream, **formula)
    dense = run(
        x,
        oracle.dense_target(label, score, classes),
        dtype="float64",
        reduction=reduction,
        upstream=upstream,
        **formula,
    )
    for a, b in zip(pair, dense):
        np.testing.assert_allclose(a, b, rtol=1e-13)


@pytest.mark.parametrize("integer", ["int32", "int64", "uint8"])
def test_pair_labels_of_any_integer_dtype(rng, integer):
    x, _, _ = make(rng, (5, 4), use_sigmoid=True)
    label, score = paddle.to_tensor([0, 3, 4, 1, 7]).astype(integer), rng.random(5)
    loss = varifocal_loss(paddle.to_tensor(x, dtype="float32"), (label, paddle.to_tensor(score)))
    np.testing.assert_allclose(
        loss.numpy(),
        oracle.loss_and_grad(x, oracle.dense_target(label.numpy().astype(int), score, 4))[0],
        rtol=1e-5,
        atol=1e-7,
    )


def test_background_labels_are_those_outside_the_classes(rng):
    x = rng.normal(0, 2, (4, 3))
    label = np.array([-1, 3, np.iinfo(np.int64).max, np.iinfo(np.int64).min])
    loss, _ = run(x, (label, np.full(4, 0.7)), dtype="float64")
    np.testing.assert_allclose(loss, oracle.loss_and_grad(x, np.zeros((4, 3)))[0], rtol=1e-13)


@pytest.mark.parametrize(
    "shape", [(5,), (7, 5), (2, 3, 5), (2, 2, 3, 5), (3, 1), (1, 1), (513, 3), (2, 600), (2, 13204)]
)
@pytest.mark.parametrize("reduction", ["none", "row", "sum", "mean"])
def test_shapes_and_reductions(rng, shape, reduction):
    x, q, _ = make(rng, shape, use_sigmoid=True, positives=0.4)
    loss, grad = run(x, q, dtype="float64", reduction=reduction)
    elements, slope = oracle.loss_and_grad(x, q)
    expected = {"none": elements, "row": elements.sum(-1), "sum": elements.sum(), "mean": elements.mean()}[reduction]
    assert loss.shape == expected.shape
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    np.testing.assert_allclose(grad, slope / (x.size if reduction == "mean" else 1), rtol=1e-11, atol=1e-16)


@pytest.mark.skipif(paddle.__version__ < "3.1", reason="Paddle up to 3.0 refuses an empty output of an operator")
@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("shape", [(0, 80), (2, 0, 5), (4, 0)])
def test_empty_predictions(shape, pair):
    pred = paddle.zeros(shape)
    pred.stop_gradient = False
    target = (paddle.zeros(shape[:-1], dtype="int64"), paddle.zeros(shape[:-1])) if pair else paddle.zeros(shape)
    assert varifocal_loss(pred, target).shape == list(shape)
    rows = varifocal_loss(pred, target, reduction="row")
    assert rows.shape == list(shape[:-1]) and not rows.numpy().any()
    total = varifocal_loss(pred, target, reduction="sum")
    total.backward()
    assert float(total) == 0 and pred.grad.shape == list(shape)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits(isa, dtype, gamma):
    x = np.array([0.0, -0.0, 1e-30, -1e-30, 88, -88, 89, -89, 104, -104, 1e3, -1e3, 1e4, -1e4])
    for q in (0.0, 0.3, 1.0):
        loss, grad = run(x, np.full_like(x, q), dtype=dtype, gamma=gamma)
        expected_loss, expected_grad = oracle.loss_and_grad(
            np.asarray(x, dtype), np.asarray(np.full_like(x, q), dtype), gamma=gamma
        )
        tiny = 1e-37 if dtype == "float32" else 1e-300
        np.testing.assert_allclose(loss, expected_loss, rtol=2e-6, atol=tiny)
        np.testing.assert_allclose(grad, expected_grad, rtol=2e-6, atol=tiny)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_of_0_and_1(isa, dtype, masked):
    """The logarithm counts as at least -100, the denominator of the gradient as at least 1e-12."""
    x = np.array([0, 1, 0, 1, 0, 1, 1e-45, 1e-40, 1e-20, 1 - 2.0**-24])
    q = np.array([0, 0, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    x, q = np.asarray(x, dtype), np.asarray(q, dtype)
    y = (q > 0).astype(dtype) if masked else None
    loss, grad = run(x, q, y, dtype=dtype, use_sigmoid=False)
    expected_loss, expected_grad = oracle.loss_and_grad(x, q, y, use_sigmoid=False)
    assert np.isfinite(loss).all() and np.isfinite(grad).all()
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("use_sigmoid", [True, False])
def test_gradient_is_0_where_prediction_equals_target(gamma, use_sigmoid):
    x = np.array([-200.0 if use_sigmoid else 0.0])
    loss, grad = run(x, np.zeros(1), gamma=gamma, use_sigmoid=use_sigmoid)
    assert loss[0] == 0 and grad[0] == 0


@pytest.mark.parametrize("use_sigmoid", [True, False])
@pytest.mark.parametrize("gamma", [1.5, 2.0])
def test_nan_stays_in_its_element_and_row(rng, isa, use_sigmoid, gamma):
    x, q, _ = make(rng, (5, 37), use_sigmoid)
    x[2, 3] = np.nan
    q[4, 1] = np.nan
    loss, grad = run(x, q, gamma=gamma, use_sigmoid=use_sigmoid)
    expected = np.zeros((5, 37), bool)
    expected[2, 3] = expected[4, 1] = True
    np.testing.assert_array_equal(np.isnan(loss), expected)
    np.testing.assert_array_equal(np.isnan(grad), expected)
    rows, _ = run(x, q, gamma=gamma, use_sigmoid=use_sigmoid, reduction="row")
    np.testing.assert_array_equal(np.isnan(rows), [False, False, True, False, True])


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.inf, -np.inf])
def test_probabilities_outside_0_and_1_are_nan(isa, bad):
    loss, grad = run(np.array([0.5, bad]), np.array([0.5, 0.5]), use_sigmoid=False)
    assert np.isfinite([loss[0], grad[0]]).all() and np.isnan(loss[1])


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("reduction", ["none", "row"])
@pytest.mark.parametrize("shape", [(3000, 80), (20000, 7), (5, 30000)])
def test_results_do_not_depend_on_threads(rng, shape, reduction, pair):
    x, q, _ = make(rng, shape, use_sigmoid=True)
    q = (rng.integers(0, shape[1] + 1, shape[0]), rng.random(shape[0])) if pair else q
    results = []
    for threads in (1, 2, 3, 8):
        paddle_vfl.set_num_threads(threads)
        results.append(run(x, q, reduction=reduction))
    for loss, grad in results[1:]:
        np.testing.assert_array_equal(loss, results[0][0])
        np.testing.assert_array_equal(grad, results[0][1])


def test_views_are_read_as_they_are(rng):
    x, q, _ = make(rng, (12, 10), use_sigmoid=True)
    pred, target = paddle.to_tensor(x), paddle.to_tensor(q)
    for view in (lambda t: t.transpose([1, 0]), lambda t: t[::2, 1:7], lambda t: t[3:]):
        loss = varifocal_loss(view(pred), view(target))
        np.testing.assert_allclose(
            loss.numpy(), oracle.loss_and_grad(view(pred).numpy(), view(target).numpy())[0], rtol=1e-13
        )


def test_gradient_flows_through_views(rng):
    x, q, _ = make(rng, (2, 4, 3, 5), use_sigmoid=True)
    pred = paddle.to_tensor(x, stop_gradient=False)
    target = paddle.to_tensor(q).transpose([0, 2, 3, 1]).reshape([-1, 4])
    varifocal_loss(pred.transpose([0, 2, 3, 1]).reshape([-1, 4]), target, reduction="sum").backward()
    np.testing.assert_allclose(pred.grad.numpy(), oracle.loss_and_grad(x, q)[1], rtol=1e-12)


@pytest.mark.parametrize("pair", [False, True])
def test_a_target_that_wants_its_gradient_gets_the_true_one(rng, pair):
    x = rng.normal(0, 2, (4, 6))
    score = rng.random(4 if pair else (4, 6)) * 0.8 + 0.1
    label = np.array([0, 5, 2, 6])

    def total(score):
        q = oracle.dense_target(label, score, 6) if pair else score
        return oracle.loss_and_grad(x, q)[0].sum()

    tensor = paddle.to_tensor(score, stop_gradient=False)
    target = (paddle.to_tensor(label), tensor) if pair else tensor
    varifocal_loss(paddle.to_tensor(x), target, reduction="sum").backward()
    for index in np.ndindex(score.shape):
        up, down = score.copy(), score.copy()
        up[index] += 1e-6
        down[index] -= 1e-6
        np.testing.assert_allclose(tensor.grad.numpy()[index], (total(up) - total(down)) / 2e-6, rtol=1e-6, atol=1e-8)


def test_second_derivatives_are_refused(rng):
    pred = paddle.to_tensor(rng.normal(0, 1, (3, 4)), stop_gradient=False)
    loss = varifocal_loss(pred, paddle.zeros([3, 4], dtype="float64"), reduction="sum")
    (first,) = paddle.grad(loss, pred, create_graph=True)
    with pytest.raises(Exception, match="has no second derivative: use paddle_vfl.reference.varifocal_loss"):
        first.sum().backward()


PRED, TARGET = paddle.zeros([3, 4]), paddle.zeros([3, 4])
ROW, LABEL = paddle.zeros([3]), paddle.zeros([3], dtype="int64")


@pytest.mark.parametrize(
    "error, message, args, options",
    [
        (TypeError, "pred is a list, expected a Tensor", ([1.0], TARGET), {}),
        (TypeError, "pred has dtype int64, expected one of float32", (PRED.astype("int64"), TARGET), {}),
        (ValueError, r"pred has no dimension", (paddle.zeros([]), paddle.zeros([])), {}),
        (TypeError, "target is a ndarray, expected a Tensor", (PRED, np.zeros((3, 4))), {}),
        (TypeError, "target has dtype bool", (PRED, TARGET.astype("bool")), {}),
        (
            ValueError,
            r"target has shape \[3, 5\], expected \[3, 4\] for pred of shape \[3, 4\]",
            (PRED, paddle.zeros([3, 5])),
            {},
        ),
        (ValueError, r"target has shape \[4\], expected \[3, 4\]", (PRED, paddle.zeros([4])), {}),
        (ValueError, r"label has shape \[3\], expected \[3, 4\]", (PRED, TARGET, ROW), {}),
        (TypeError, "label is a list, expected a Tensor", (PRED, TARGET, [1]), {}),
        (ValueError, "length 3, expected a Tensor or a pair", (PRED, (LABEL, ROW, ROW)), {}),
        (ValueError, "already a pair", (PRED, (LABEL, ROW), TARGET), {}),
        (TypeError, r"target\[0\], the class labels, has dtype float32, expected integers", (PRED, (ROW, ROW)), {}),
        (TypeError, r"target\[0\], the class labels, is a list, expected a Tensor", (PRED, ([1, 2, 3], ROW)), {}),
        (TypeError, r"target\[1\], the scores, has dtype int64", (PRED, (LABEL, LABEL)), {}),
        (
            ValueError,
            r"target\[0\], the class labels, has shape \[4\], expected \[3\]",
            (PRED, (paddle.zeros([4], dtype="int64"), ROW)),
            {},
        ),
        (ValueError, r"target\[1\], the scores, has shape \[3, 4\], expected \[3\]", (PRED, (LABEL, TARGET)), {}),
        (ValueError, "alpha is -1, expected a finite number, at least 0", (PRED, TARGET), {"alpha": -1}),
        (ValueError, "gamma is -0.5, expected a finite number, at least 0", (PRED, TARGET), {"gamma": -0.5}),
        (ValueError, "gamma is nan", (PRED, TARGET), {"gamma": float("nan")}),
        (TypeError, "gamma is '2', a str, expected a number", (PRED, TARGET), {"gamma": "2"}),
        (
            ValueError,
            "reduction is 'avg', expected one of 'none', 'row', 'sum', 'mean'",
            (PRED, TARGET),
            {"reduction": "avg"},
        ),
    ],
)
def test_bad_input_is_named(error, message, args, options):
    with pytest.raises(error, match=message):
        varifocal_loss(*args, **options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gamma_0_at_subnormal_probabilities(isa, dtype):
    """|p - q|^(gamma - 1) is infinite there."""
    x = np.array([[-100.0, -88.0, -740.0, -710.0, 3.0]])
    loss, grad = run(x, np.zeros_like(x), dtype=dtype, gamma=0.0, alpha=0.5)
    np.testing.assert_allclose(loss, 0.5 * np.log1p(np.exp(x)), rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(grad, 0.5 / (1 + np.exp(-x)), rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("score", [np.nan, np.inf])
@pytest.mark.parametrize("pair", [False, True], ids=["dense", "pair"])
def test_a_score_that_is_no_number_spoils_its_element_alone(rng, isa, score, pair):
    x = rng.normal(size=(4, 50))
    label, scores = np.array([3, 7, 49, 50]), np.array([0.5, score, 0.25, 0.75])
    target = np.zeros((4, 50))
    target[np.arange(3), label[:3]] = scores[:3]
    loss, grad = run(x, (label, np.float32(scores)) if pair else target)
    for result in (loss, grad):
        assert np.argwhere(~np.isfinite(result)).tolist() == [[1, 7]]


@pytest.mark.parametrize("masked", [False, True], ids=["dense", "masked"])
@pytest.mark.parametrize("use_sigmoid", [True, False], ids=["logits", "probabilities"])
def test_the_bits_of_background_do_not_depend_on_its_neighbours(rng, isa, use_sigmoid, masked):
    """Vectors without a positive take a shorter path."""
    x = rng.normal(0, 4, (60, 10)) if use_sigmoid else rng.uniform(size=(60, 10))
    if use_sigmoid:
        x[:3, 0] = np.inf, -np.inf, np.nan
    alone, among = np.zeros_like(x), np.zeros_like(x)
    among[:, 5:] = rng.uniform(0.1, 1, (60, 5))
    options = dict(use_sigmoid=use_sigmoid, dtype="float32")
    results = [run(x, q, (q > 0) if masked else None, **options) for q in (alone, among)]
    for a, b in zip(*results):
        np.testing.assert_array_equal(a[:, :5], b[:, :5])
    if use_sigmoid:
        assert results[0][0][1, 0] == 0 and results[0][1][1, 0] == 0  # a logit of -inf is background beyond doubt


def test_tensors_on_different_devices_are_named(monkeypatch):
    """A build of Paddle without GPUs has no second device: stand-ins with places take the tensors' part."""
    from types import SimpleNamespace

    monkeypatch.setattr(varifocal, "_HAS_GPUS", True)
    pred, target = SimpleNamespace(place="Place(gpu:0)"), SimpleNamespace(place="Place(cpu)")
    varifocal._check_device("pred", pred, pred)
    with pytest.raises(ValueError, match=r"target is on Place\(cpu\), expected Place\(gpu:0\), where pred is"):
        varifocal._check_device("target", target, pred)
