"""What holds for every call, tried on calls that hypothesis makes up (and shrinks, when one fails)."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import paddle

from paddle_vfl import varifocal_loss
from paddle_vfl._ops import extension
from paddle_vfl.testing import oracle
from paddle_vfl.testing.random_calls import DTYPES, EMPTY, KINDS, LAYOUTS, POSITIVE_WEIGHTS, REDUCTIONS, Call

settings.register_profile("vfl", derandomize=True, deadline=None, max_examples=150)
settings.load_profile("vfl")

SHAPES = st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple) | st.sampled_from(
    [(3, 513), (2, 1203), (70, 80), *([(0, 5), (2, 0, 3)] if EMPTY else [])]
)
CALLS = st.builds(
    Call,
    shape=SHAPES,
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    target_dtype=st.sampled_from(DTYPES),
    layout=st.sampled_from(LAYOUTS),
    reduction=st.sampled_from(REDUCTIONS),
    alpha=st.floats(0, 2),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 2.7, 4.0]),
    positive_weight=st.sampled_from(POSITIVE_WEIGHTS),
    target_power=st.sampled_from([1.0, 1.0, 0.5, 1.5, 2.3]),
    detach_weight=st.booleans(),
    weighted=st.booleans(),
    use_sigmoid=st.booleans(),
    extreme=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
# calls whose results can be compared bit for bit: one precision, no reduction over rows
EXACT = CALLS.map(lambda call: dataclasses.replace(call, reduction="row", layout="whole"))


def call_on(x, q, y, call, kind=None):
    """(row losses, gradient) of arrays with the options of the call."""
    pred = paddle.to_tensor(x, dtype=call.dtype, stop_gradient=False)
    target = paddle.to_tensor(q, dtype=call.target_dtype)
    target, label = ((paddle.to_tensor(y), target), None) if (kind or call.kind) == "pair" else (target, None)
    loss = varifocal_loss(pred, target, label, reduction="row", **call.options)
    return loss.numpy(), paddle.grad(loss.sum(), pred)[0].astype("float64").numpy()


@pytest.mark.parametrize("name", extension.isa_supported())  # a fixture would be set up once for all examples
@given(call=CALLS)
def test_equals_the_formula(name, call):
    if 0 in call.shape and call.reduction == "mean":
        return  # the mean of nothing
    extension.set_isa(name)
    call.check()


@pytest.mark.parametrize("change", [{"alpha": 0.7501}, {"gamma": 2.0001}, {"target_power": 1.5001}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_check_finds_a_small_difference_among_extreme_numbers(kind, change, monkeypatch):
    call = Call(shape=(40, 30), kind=kind, target_power=1.5, extreme=True)
    call.check()
    expected = dataclasses.replace(call, **change).expected()
    monkeypatch.setattr(Call, "expected", lambda self: expected)
    with pytest.raises(AssertionError, match="differ"):
        call.check()


@given(call=EXACT, factor=st.sampled_from([0.0, 0.5, 2.0, 4.0]))
def test_negatives_are_linear_in_alpha(call, factor):
    """Powers of two multiply exactly."""
    x, q, _ = call.arrays()
    q = np.zeros(call.shape)
    call = dataclasses.replace(call, kind="dense", alpha=0.75)
    scaled = dataclasses.replace(call, alpha=0.75 * factor)
    for a, b in zip(call_on(x, q, None, scaled), call_on(x, q, None, call)):
        if call.dtype == "float64" or call.dtype == "float32":
            np.testing.assert_allclose(a, b * factor, rtol=0, atol=1e-44)  # equal, but for subnormal numbers
        else:  # rounded to half precision, or below its range
            np.testing.assert_allclose(a, b * factor, rtol=1e-2, atol=1e-6)


@given(call=EXACT, data=st.data())
def test_rows_do_not_know_each_other(call, data):
    """Rows in another order, or without some of them, have the bits that they had."""
    if call.kind == "masked" or len(call.shape) != 2:
        call = dataclasses.replace(call, kind="pair", shape=(7, call.shape[-1]))
    x, q, y = call.arrays()
    rows = (
        data.draw(st.lists(st.integers(0, len(x) - 1), min_size=0 if EMPTY else 1, max_size=len(x) + 3))
        if len(x)
        else []
    )
    whole, part = call_on(x, q, y, call), call_on(x[rows], q[rows], y[rows], call)
    for a, b in zip(part, whole):
        np.testing.assert_array_equal(a, b[rows])


@given(call=EXACT)
def test_pairs_are_dense_targets(call):
    call = dataclasses.replace(call, kind="pair")
    x, score, label = call.arrays()
    loss, grad = call_on(x, score, label, call)
    dense_loss, dense_grad = call_on(x, oracle.dense_target(label, score, call.shape[-1]), None, call, kind="dense")
    np.testing.assert_allclose(loss, dense_loss, rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(
        grad,
        dense_grad,
        rtol=1e-5 if call.dtype[:5] == "float" and call.dtype != "float16" else 1e-2,
        atol=1e-6 if call.dtype == "float16" else 1e-30,
    )


@given(call=EXACT)
def test_threads_change_no_bit(call):
    x, q, y = call.arrays()
    call = call if call.kind == "pair" else dataclasses.replace(call, kind="dense")
    results = []
    for threads in (1, 3):
        extension.set_num_threads(threads)
        results.append(call_on(x, q, y, call))
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=40)
@given(call=CALLS)
def test_gradient_is_the_slope_of_the_loss(call):
    """Finite differences, in float64 and away from the kink of |p - q|^gamma."""
    shape = tuple(min(n, 4) for n in call.shape)
    call = dataclasses.replace(
        call,
        shape=shape,
        dtype="float64",
        target_dtype="float64",
        layout="whole",
        reduction="none",
        extreme=False,
        detach_weight=False,  # which leaves a part of the slope out
        gamma=max(call.gamma, 1.5),
    )
    x, q, y = call.arrays()
    if x.size == 0:
        return

    def total(x):
        pred, target = paddle.to_tensor(x), paddle.to_tensor(q)
        target, label = (
            ((paddle.to_tensor(y), target), None)
            if call.kind == "pair"
            else (target, paddle.to_tensor(y) if call.kind == "masked" else None)
        )
        return float(varifocal_loss(pred, target, label, reduction="sum", **call.options))

    _, grad = call.run()
    step = 1e-6
    for index in np.ndindex(*shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        assert abs((total(up) - total(down)) / (2 * step) - grad[index]) < 1e-5 * (1 + abs(grad[index]))
