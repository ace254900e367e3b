"""The losses of the family: class_weight, target_power, positive_weight and detach_weight against the formula in
float64, and quality focal and matchability-aware loss against those of their papers."""

import itertools

import numpy as np
import paddle
import pytest

from paddle_vfl import MatchabilityAwareLoss, VarifocalLoss, reference, set_num_threads, varifocal_loss
from paddle_vfl.testing import oracle
from paddle_vfl.testing.dtypes import rounded

KINDS = ["dense", "masked", "pair"]
DTYPES = ["float32", "float64", "float16", "bfloat16"]
FORMULAS = {
    "varifocal, detached": dict(detach_weight=True),
    "quality focal": dict(alpha=1.0, positive_weight="modulated"),
    "quality focal, beta 1.5": dict(alpha=1.0, gamma=1.5, positive_weight="modulated"),
    "quality focal, detached": dict(alpha=1.0, positive_weight="modulated", detach_weight=True),
    "matchability-aware": dict(alpha=1.0, gamma=1.5, target_power=1.5, positive_weight="one", detach_weight=True),
    "matchability-aware, gamma 1.7": dict(alpha=1.0, gamma=1.7, target_power=1.7, positive_weight="one"),
    "square root of the score": dict(target_power=0.5),
    "any": dict(alpha=0.3, gamma=2.7, target_power=0.8, positive_weight="modulated"),
}
# of the largest number: what rounding leaves of float32 arithmetic and in the storage type
TOLERANCE = {"float32": 3e-6, "float64": 1e-13, "float16": 1e-3, "bfloat16": 8e-3}


def make(rng, shape, kind="dense", use_sigmoid=True, dtype="float64"):
    """Predictions, scores, and the mask or class ids, as the dtype holds them."""
    x = rng.normal(0, 3, shape)
    x = x if use_sigmoid else np.clip(1 / (1 + np.exp(-x)), 2**-7, 1 - 2**-7)
    if kind == "pair":
        return rounded(x, dtype), rounded(rng.random(shape[:-1]), dtype), rng.integers(-1, shape[-1] + 1, shape[:-1])
    y = (rng.random(shape) < 0.3).astype(float)
    return rounded(x, dtype), rounded(y * rng.random(shape), dtype), y if kind == "masked" else None


def run(x, q, y, kind, dtype="float64", reduction="none", upstream=None, **options):
    """(loss, gradient) of the operator as float64 arrays."""
    pred = paddle.to_tensor(x, dtype=dtype, stop_gradient=False)
    target = paddle.to_tensor(q, dtype=dtype)
    target, label = ((paddle.to_tensor(y), target), None) if kind == "pair" else (target, y)
    label = None if label is None else paddle.to_tensor(label, dtype=dtype)
    loss = varifocal_loss(pred, target, label, reduction=reduction, **options)
    (loss if upstream is None else loss * paddle.to_tensor(upstream, dtype=loss.dtype)).sum().backward()
    return loss.astype("float64").numpy(), pred.grad.astype("float64").numpy()


def expected(x, q, y, kind, **options):
    q, y = (oracle.dense_target(y, q, x.shape[-1]), None) if kind == "pair" else (q, y)
    return oracle.loss_and_grad(x, q, y, **options)


def check(got, wanted, dtype="float64"):
    for actual, formula, kind in zip(got, wanted, ("float64" if dtype == "float64" else "float32", dtype)):
        tolerance = TOLERANCE[kind]
        np.testing.assert_allclose(actual, formula, rtol=4 * tolerance, atol=tolerance * np.abs(formula).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_sigmoid", [True, False], ids=["logits", "probabilities"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_equals_the_formula(rng, isa, formula, use_sigmoid, kind, dtype):
    arrays = make(rng, (57, 21), kind, use_sigmoid, dtype)
    options = dict(use_sigmoid=use_sigmoid, **FORMULAS[formula])
    check(run(*arrays, kind, dtype, **options), expected(*arrays, kind, **options), dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use_sigmoid", [True, False], ids=["logits", "probabilities"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_equals_the_composed_reference(rng, formula, use_sigmoid, kind):
    x, q, y = make(rng, (20, 9), kind, use_sigmoid)
    options = dict(use_sigmoid=use_sigmoid, class_weight=(rng.integers(0, 9, 9) / 4).tolist(), **FORMULAS[formula])
    pred = paddle.to_tensor(x, stop_gradient=False)
    target, label = paddle.to_tensor(q), None if y is None else paddle.to_tensor(y)
    target, label = ((label, target), None) if kind == "pair" else (target, label)
    loss = reference.varifocal_loss(pred, target, label, **options)
    loss.sum().backward()
    actual = run(x, q, y, kind, **options)
    # Paddle's pow takes its exponent in float32
    exact = all(value == np.float32(value) for value in options.values() if isinstance(value, float))
    for ours, theirs in zip(actual, (loss.numpy(), pred.grad.numpy())):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10 if exact else 1e-6, atol=1e-12 if exact else 1e-7)


@pytest.mark.parametrize("formula", [name for name in FORMULAS if not FORMULAS[name].get("detach_weight")])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_equals_finite_differences(rng, formula, kind):
    x, q, y = make(rng, (30, 40), kind)
    _, grad = run(x, q, y, kind, **FORMULAS[formula])
    step = 1e-6
    up, down = (run(x + s, q, y, kind, **FORMULAS[formula])[0] for s in (step, -step))
    np.testing.assert_allclose(grad, (up - down) / (2 * step), rtol=2e-5, atol=2e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_detached_weight_is_a_constant(rng, kind):
    """The gradient is the weight times that of the cross entropy: loss / BCE * (p - q)."""
    x, q, y = make(rng, (30, 40), kind)
    loss, grad = run(x, q, y, kind, detach_weight=True)
    t = oracle.dense_target(y, q, 40) if kind == "pair" else q
    bce = np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
    np.testing.assert_allclose(grad, loss / bce * (1 / (1 + np.exp(-x)) - t), rtol=1e-10, atol=1e-15)


def test_matchability_aware_loss_is_that_of_its_paper(rng):
    """-q^g log p - (1 - q^g) log(1 - p) for a positive, -p^g log(1 - p) for a negative, g = 1.5."""
    x, q, _ = make(rng, (40, 17))
    p = 1 / (1 + np.exp(-x))
    formula = np.where(q > 0, -(q**1.5) * np.log(p) - (1 - q**1.5) * np.log(1 - p), -(p**1.5) * np.log(1 - p))
    loss = MatchabilityAwareLoss(reduction="none")(paddle.to_tensor(x), paddle.to_tensor(q))
    np.testing.assert_allclose(loss.numpy(), formula, rtol=1e-9)


CLASS_SHAPES = [(7, 1), (5, 3), (9, 80), (70, 80), (3, 513), (2, 1203), (2, 3, 5), (6,)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["none", "row", "sum", "mean"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", CLASS_SHAPES, ids=str)
def test_class_weights(rng, isa, shape, kind, reduction, dtype):
    x, q, y = make(rng, shape, kind, dtype=dtype)
    weight = rng.integers(0, 90, shape[-1]) / 8
    elements, slope = expected(x, q, y, kind, class_weight=weight)
    loss = {"none": elements, "row": elements.sum(-1), "sum": elements.sum(), "mean": elements.mean()}[reduction]
    upstream = rng.integers(1, 9, loss.shape) / 4
    spread = upstream[..., None] if reduction == "row" else upstream
    got = run(x, q, y, kind, dtype, reduction, upstream, class_weight=weight.tolist())
    check(got, (loss, slope * spread / (x.size if reduction == "mean" else 1)), dtype)


@pytest.mark.parametrize("formula", FORMULAS)
def test_class_weights_with_any_formula(rng, isa, formula):
    x, q, y = make(rng, (70, 80), "pair")
    options = dict(class_weight=rng.random(80).tolist(), **FORMULAS[formula])
    check(run(x, q, y, "pair", **options), expected(x, q, y, "pair", **options))


@pytest.mark.parametrize("given", [list, tuple, np.array, paddle.to_tensor], ids=["list", "tuple", "array", "tensor"])
def test_class_weights_may_be_any_sequence(rng, given):
    x, q, _ = make(rng, (5, 3))
    got = run(x, q, None, "dense", class_weight=given([1.0, 11.0, 0.5]))
    check(got, expected(x, q, None, "dense", class_weight=[1.0, 11.0, 0.5]), "float32")


@pytest.mark.skipif(
    not hasattr(paddle.base.core, "host_memory_stat_reset_peak_value"), reason="this Paddle does not count from anew"
)
@pytest.mark.parametrize("kind", KINDS)
def test_class_weights_take_no_memory_of_the_size_of_the_predictions(rng, kind):
    x, q, y = make(rng, (2000, 80), kind)
    pred, target = paddle.to_tensor(x, "float32", stop_gradient=False), paddle.to_tensor(q, "float32")
    target, label = ((paddle.to_tensor(y), target), None) if kind == "pair" else (target, y)
    label = None if label is None else paddle.to_tensor(label, "float32")
    core, weight = paddle.base.core, paddle.full([80], 2.0)

    def most(function):
        """Bytes that Paddle gave out for it at once, and its result."""
        core.host_memory_stat_reset_peak_value("Allocated", 0)
        before = core.host_memory_stat_current_value("Allocated", 0)
        result = function()
        return core.host_memory_stat_peak_value("Allocated", 0) - before, result

    forward, loss = most(lambda: varifocal_loss(pred, target, label, reduction="sum", class_weight=weight))
    backward, _ = most(lambda: paddle.grad(loss, pred))
    assert 4 * x.size <= forward < 1.05 * 4 * x.size  # the gradient
    assert backward < 0.05 * 4 * x.size


def test_a_gradient_of_class_weights_is_exact(rng):
    x, q, _ = make(rng, (5, 3))
    weight = paddle.to_tensor([1.0, 11.0, 0.5], dtype="float64", stop_gradient=False)
    varifocal_loss(paddle.to_tensor(x), paddle.to_tensor(q), class_weight=weight, reduction="sum").backward()
    np.testing.assert_allclose(weight.grad.numpy(), oracle.loss_and_grad(x, q)[0].sum(0), rtol=1e-10)


def test_threads_change_no_bit_of_weighted_losses(rng):
    x, q, y = make(rng, (2000, 80), dtype="float32")
    results = []
    for threads in (1, 3):
        set_num_threads(threads)
        results.append(run(x, q, y, "dense", "float32", class_weight=list(range(80))))
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_extreme_logits_are_finite(isa, formula, dtype):
    x = np.array([0.0, -0.0, 1e-30, -1e-30, 88, -88, 104, -104, 1e3, -1e3, 1e4, -1e4])
    for q in (0.0, 1e-40, 1e-20, 0.3, 1.0):
        scores = np.full_like(x, q).astype(dtype)
        got = run(x, scores, None, "dense", dtype, **FORMULAS[formula])
        wanted = oracle.loss_and_grad(np.asarray(x, dtype), scores, **FORMULAS[formula])
        for actual, formula_value in zip(got, wanted):
            assert np.isfinite(actual).all()
            np.testing.assert_allclose(actual, formula_value, rtol=5e-6, atol=1e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_probabilities_of_0_and_1(isa, formula, dtype):
    x, q = (np.array(column, dtype) for column in zip(*itertools.product([0, 1, 1e-30, 0.5], [0, 0.3, 0.5, 1])))
    got = run(x, q, None, "dense", dtype, use_sigmoid=False, **FORMULAS[formula])
    wanted = oracle.loss_and_grad(x, q, use_sigmoid=False, **FORMULAS[formula])
    for actual, formula_value in zip(got, wanted):
        assert np.isfinite(actual).all()
        np.testing.assert_allclose(actual, formula_value, rtol=5e-6, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.5, 2.0])
def test_a_modulated_positive_has_no_slope_where_it_is_right(isa, gamma):
    """At p = q only the weight's derivative could be other than 0, and it counts as 0."""
    loss, grad = run(
        np.array([0.5]), np.array([0.5]), None, "dense", use_sigmoid=False, gamma=gamma, positive_weight="modulated"
    )
    assert loss == 0 and grad == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("formula", FORMULAS)
def test_a_nan_stays_in_its_element(rng, isa, formula, kind):
    x, q, y = make(rng, (6, 50), kind)
    x[1, 7] = np.nan
    if kind != "pair":
        q[3, 9] = np.nan
        y = None if y is None else np.ones_like(y)
    loss, grad = run(x, q, y, kind, class_weight=[0.0, *[2.0] * 49], **FORMULAS[formula])
    where = [[1, 7]] if kind == "pair" else [[1, 7], [3, 9]]
    assert np.argwhere(np.isnan(loss)).tolist() == where and np.argwhere(np.isnan(grad)).tolist() == where


PRED, TARGET = paddle.zeros([3, 4]), paddle.zeros([3, 4])


@pytest.mark.parametrize(
    "error, message, options",
    [
        (ValueError, "class_weight has 3 numbers, and pred has 4 classes", {"class_weight": [1, 2, 3]}),
        (ValueError, "class_weight has 5 numbers, and pred has 4 classes", {"class_weight": paddle.ones([5])}),
        (ValueError, r"class_weight has shape \[3, 4\], expected \[4\]", {"class_weight": PRED}),
        (ValueError, r"class_weight\[2\] is -1.0, expected a finite", {"class_weight": [1, 2, -1.0, 3]}),
        (ValueError, r"class_weight\[1\] is -2.0", {"class_weight": paddle.to_tensor([1.0, -2.0, 1.0, 1.0])}),
        (ValueError, r"class_weight\[0\] is nan", {"class_weight": [float("nan"), 2, 1, 3]}),
        (ValueError, r"class_weight\[3\] is inf", {"class_weight": np.array([1, 2, 1, np.inf])}),
        (TypeError, r"class_weight\[0\] is 'a', a str, expected a number", {"class_weight": ["a", 2, 1, 3]}),
        (TypeError, "class_weight is 2, a int, expected a list of numbers", {"class_weight": 2}),
        (TypeError, "class_weight has dtype int64", {"class_weight": paddle.ones([4], dtype="int64")}),
        (ValueError, "target_power is -1, expected a finite number, at least 0", {"target_power": -1}),
        (ValueError, "positive_weight is 'q', expected one of 'score', 'one', 'modulated'", {"positive_weight": "q"}),
        (ValueError, "iou_weighted is False.*'modulated'", {"positive_weight": "modulated", "iou_weighted": False}),
    ],
)
def test_bad_options_are_named(error, message, options):
    with pytest.raises(error, match=message):
        varifocal_loss(PRED, TARGET, **options)


def test_iou_weighted_means_a_positive_weight(rng):
    x, q, _ = make(rng, (9, 4))
    for a, b in zip(run(x, q, None, "dense", iou_weighted=False), run(x, q, None, "dense", positive_weight="one")):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_the_layer_takes_the_options(rng, reduction):
    x, q, _ = make(rng, (9, 4))
    options = dict(target_power=1.5, positive_weight="one", detach_weight=True, class_weight=[1.0, 0.0, 2.0, 3.0])
    loss = VarifocalLoss(reduction=reduction, **options)(paddle.to_tensor(x), paddle.to_tensor(q))
    elements = oracle.loss_and_grad(x, q, **options)[0]
    total = {"none": elements, "mean": elements.mean(), "sum": elements.sum()}[reduction]
    np.testing.assert_allclose(loss.numpy(), total, rtol=1e-12)


@pytest.mark.parametrize("weights", [[1.0, -1.0], [1.0, float("nan")]], ids=["negative", "nan"])
def test_the_layer_refuses_bad_weights_when_it_is_made(weights):
    with pytest.raises(ValueError, match=r"class_weight\[1\] is .*, expected a finite number, at least 0"):
        MatchabilityAwareLoss(class_weight=weights)


def test_class_weights_in_a_static_graph(rng):
    x, q, _ = make(rng, (9, 4), dtype="float32")
    layer = MatchabilityAwareLoss(reduction="sum", class_weight=[1.0, 0.0, 2.0, 3.0])
    inputs = [paddle.to_tensor(array, dtype="float32") for array in (x, q)]
    static = paddle.jit.to_static(layer, full_graph=True)
    np.testing.assert_allclose(float(static(*inputs)), float(layer(*inputs)), rtol=1e-6)


@pytest.mark.skipif(paddle.__version__ < "3.1", reason="Paddle up to 3.0 refuses an empty output of an operator")
@pytest.mark.parametrize("shape", [(0, 3), (4, 0)])
def test_weights_of_empty_predictions(shape):
    loss = varifocal_loss(paddle.zeros(shape), paddle.zeros(shape), class_weight=[2.0] * shape[-1], reduction="sum")
    assert float(loss) == 0
