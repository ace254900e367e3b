"""The operator in every mode in which people train, against the same call in dynamic mode."""

import numpy as np
import paddle
import pytest
from paddle.distributed.fleet.utils import recompute

from paddle_vfl import VarifocalLoss, _ops, varifocal_loss

ROWS, CLASSES = 20, 7


def logits_dense(pred, score, label):
    return varifocal_loss(pred, score, reduction="sum")


def probabilities_masked(pred, score, label):
    return varifocal_loss(
        paddle.nn.functional.sigmoid(pred),
        score,
        (score > 0).cast("float32"),
        use_sigmoid=False,
        gamma=1.5,
        reduction="mean",
    )


def pair_rows(pred, score, label):
    return (varifocal_loss(pred, (label, score.max(axis=-1)), reduction="row") * score.sum(axis=-1)).sum()


def elements(pred, score, label):
    return (varifocal_loss(pred, score, alpha=0.3, reduction="none") * (score + 1)).sum()


LAYER = VarifocalLoss(alpha=0.5, loss_weight=2.0)


def layer(pred, score, label):
    return LAYER(pred, score, avg_factor=score.sum())


def layer_mean(pred, score, label):
    return LAYER(pred, score)


CALLS = [logits_dense, probabilities_masked, pair_rows, elements, layer, layer_mean]
calls = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)


@pytest.fixture
def data(rng):
    """(logits, scores, class labels)."""
    label = rng.integers(0, CLASSES + 1, ROWS)
    score = np.zeros((ROWS, CLASSES + 1), np.float32)
    score[np.arange(ROWS), label] = rng.random(ROWS)
    return rng.normal(0, 2, (ROWS, CLASSES)).astype(np.float32), score[:, :CLASSES].copy(), label


def value_and_grad(function, data):
    pred = paddle.to_tensor(data[0], stop_gradient=False)
    loss = function(pred, *map(paddle.to_tensor, data[1:]))
    loss.backward()
    return float(loss), pred.grad.numpy()


def assert_equal(actual, expected):
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-6)
    np.testing.assert_allclose(actual[1], expected[1], rtol=1e-6, atol=1e-9)


@calls
@pytest.mark.parametrize("full_graph", [True, False], ids=["ast", "sot"])
def test_to_static(call, full_graph, data):
    expected = value_and_grad(call, data)
    assert_equal(value_and_grad(paddle.jit.to_static(call, full_graph=full_graph), data), expected)


@calls
def test_to_static_with_a_batch_size_that_is_not_known(call, data):
    specs = [
        paddle.static.InputSpec([None, CLASSES]),
        paddle.static.InputSpec([None, CLASSES]),
        paddle.static.InputSpec([None], "int64"),
    ]
    static = paddle.jit.to_static(call, input_spec=specs, full_graph=True)
    for rows in (ROWS, 3):
        part = [array[:rows] for array in data]
        assert_equal(value_and_grad(static, part), value_and_grad(call, part))


@pytest.fixture
def static_mode():
    paddle.enable_static()
    yield
    paddle.disable_static()


@pytest.mark.parametrize("shape", [[None, CLASSES], [None, None]], ids=str)
@calls
def test_static_program(call, shape, data, request):
    sizes = (ROWS, 3)
    parts = [[array[:rows] for array in data] for rows in sizes]
    expected = [value_and_grad(call, part) for part in parts]
    request.getfixturevalue("static_mode")
    program, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(program, startup):
        pred, score = (paddle.static.data(name, shape) for name in ("pred", "score"))
        pred.stop_gradient = False
        loss = call(pred, score, paddle.static.data("label", [None], "int64"))
        (grad,) = paddle.static.gradients([loss], [pred])
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(startup)
        for part, wanted in zip(parts, expected):
            actual = executor.run(program, feed=dict(zip(("pred", "score", "label"), part)), fetch_list=[loss, grad])
            assert_equal((float(actual[0]), actual[1]), wanted)


def test_to_static_of_a_layer_with_a_number_of_classes_that_is_not_known(data):
    """to_static rewrites the methods of layers, shapes into tensors included."""
    specs = [paddle.static.InputSpec([None, None])] * 2
    static = paddle.jit.to_static(layer_of_two, input_spec=specs, full_graph=True)
    expected = value_and_grad(lambda pred, score, label: LAYER(pred, score), data)
    assert_equal(value_and_grad(lambda pred, score, label: static(pred, score), data), expected)


def layer_of_two(pred, score):
    return LAYER(pred, score)


@calls
def test_recompute(call, data):
    expected = value_and_grad(lambda pred, *rest: call(pred * 2.0, *rest), data)
    assert_equal(
        value_and_grad(lambda *args: recompute(lambda pred, *rest: call(pred * 2.0, *rest), *args), data), expected
    )


@calls
def test_no_grad(call, data):
    with paddle.no_grad():
        loss = call(paddle.to_tensor(data[0], stop_gradient=False), *map(paddle.to_tensor, data[1:]))
    assert loss.stop_gradient
    np.testing.assert_allclose(float(loss), value_and_grad(call, data)[0], rtol=1e-6)


@pytest.mark.parametrize("reduction", ["none", "row", "sum", "mean"])
def test_what_needs_no_gradient_has_none(reduction, data):
    pred, score = map(paddle.to_tensor, data[:2])
    assert varifocal_loss(pred, score, reduction=reduction).stop_gradient
    pred.stop_gradient = False
    assert not varifocal_loss(pred, score, reduction=reduction).stop_gradient
    with paddle.no_grad():
        assert varifocal_loss(pred, score, reduction=reduction).stop_gradient


@calls
def test_paddle_grad_and_retain_graph(call, data):
    """The same gradient twice from one graph, through backward() and paddle.grad, and of a tensor in the middle of the
    graph."""
    expected = value_and_grad(call, data)[1]
    leaf = paddle.to_tensor(data[0], stop_gradient=False)
    pred = leaf * 1.0
    loss = call(pred, *map(paddle.to_tensor, data[1:]))
    for _ in range(2):
        (grad,) = paddle.grad(loss, pred, retain_graph=True)
        np.testing.assert_allclose(grad.numpy(), expected, rtol=1e-6, atol=1e-9)
    loss.backward(retain_graph=True)
    loss.backward()
    np.testing.assert_allclose(leaf.grad.numpy(), 2 * expected, rtol=1e-6, atol=1e-9)


TWO_PASSES = "paddle_vfl_varifocal_loss"
ONE_PASS = TWO_PASSES + "_one_pass"


@pytest.mark.parametrize(
    "dtype, reduction, wants_gradient, expected",
    [
        ("float32", "sum", True, ONE_PASS),
        ("float32", "mean", True, ONE_PASS),
        ("float64", "row", True, ONE_PASS),
        ("float32", "none", True, TWO_PASSES),
        ("float16", "sum", True, ONE_PASS),
        ("float32", "sum", False, TWO_PASSES),
    ],
)
def test_loss_and_gradient_are_one_pass_where_both_are_wanted(
    dtype, reduction, wants_gradient, expected, data, op_calls
):
    pred = paddle.to_tensor(data[0], dtype=dtype, stop_gradient=not wants_gradient)
    varifocal_loss(pred, paddle.to_tensor(data[1]), reduction=reduction)
    with paddle.no_grad():
        varifocal_loss(pred, paddle.to_tensor(data[1]), reduction=reduction)
    assert op_calls == [expected, TWO_PASSES]


@pytest.mark.parametrize("rows", [20, 4000], ids=["small", "from the pool"])
@pytest.mark.parametrize("kind", ["dense", "masked", "pair"])
@pytest.mark.parametrize("reduction", ["row", "sum", "mean"])
def test_one_pass_gives_the_bits_of_two_whenever_it_is_asked(reduction, kind, rows, rng, monkeypatch):
    """The gradient is handed over as it lies at the first backward pass, and computed anew at each that follows, though
    others are added to the one handed over."""
    score = paddle.to_tensor(np.where(rng.random((rows, 80)) < 0.1, rng.random((rows, 80)), 0), dtype="float32")
    target = (paddle.to_tensor(rng.integers(0, 90, rows)), score.max(-1)) if kind == "pair" else score
    label = (score > 0).cast("float32") if kind == "masked" else None
    options = dict(reduction=reduction, class_weight=(rng.random(80) * 2).tolist())
    leaf = paddle.to_tensor(rng.normal(-2, 3, (rows, 80)), dtype="float32", stop_gradient=False)
    upstream = paddle.to_tensor(rng.random(rows), dtype="float32") if reduction == "row" else 1.0

    def total():
        pred = leaf * 1.0
        loss = varifocal_loss(pred, target, label, **options)
        return pred, (loss * upstream).sum(), loss

    pred, loss, _ = total()
    grads = [paddle.grad(loss, pred, retain_graph=True)[0].numpy() for _ in range(3)]
    for grad in grads[1:]:
        np.testing.assert_array_equal(grad, grads[0])

    pred, loss, _ = total()
    for _ in range(2):  # PaddlePaddle adds the second gradient into the first
        (sum_of_two,) = paddle.grad(loss + (2.0 * pred).sum(), pred, retain_graph=True)
        np.testing.assert_allclose(sum_of_two.numpy(), grads[0] + 2, rtol=1e-6)
        np.testing.assert_array_equal(paddle.grad(loss, pred, retain_graph=True)[0].numpy(), grads[0])

    one_pass_loss = total()[2].numpy()
    monkeypatch.setattr(_ops, "_ONE_PASS", TWO_PASSES)
    pred, loss, two_pass_loss = total()
    np.testing.assert_array_equal(two_pass_loss.numpy(), one_pass_loss)
    np.testing.assert_allclose(paddle.grad(loss, pred)[0].numpy(), grads[0], rtol=3e-7)


@pytest.mark.parametrize("rows", [20, 4000], ids=["small", "from the pool"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_one_pass_in_half_precision_gives_the_bits_of_two(dtype, rows, rng, monkeypatch):
    """Its gradient is rounded once, after it is scaled: a loss scaling saves the smallest ones, too."""
    score = paddle.to_tensor(np.where(rng.random((rows, 80)) < 0.1, rng.random((rows, 80)), 0), dtype=dtype)
    leaf = paddle.to_tensor(rng.normal(-4, 3, (rows, 80)), dtype=dtype, stop_gradient=False)

    def gradients():
        loss = 4096 * varifocal_loss(leaf, score, reduction="sum")
        return [paddle.grad(loss, leaf, retain_graph=True)[0].astype("float32").numpy() for _ in range(2)]

    one_pass = gradients()
    monkeypatch.setattr(_ops, "_ONE_PASS", TWO_PASSES)
    np.testing.assert_array_equal(one_pass, gradients())
    assert ((0 < np.abs(one_pass)) & (np.abs(one_pass) < 4096 * 6e-8)).any(), "unscaled, float16 would have no such"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_factor_behind_the_sum_scales_the_gradient_once(dtype, data):
    pred = paddle.to_tensor(data[0], dtype=dtype, stop_gradient=False)
    score = paddle.to_tensor(data[1], dtype=dtype)
    plain, scaled = (varifocal_loss(pred, score, reduction="sum") for _ in range(2))
    expected = paddle.grad(plain, pred)[0].numpy() * np.asarray(0.37, dtype)
    np.testing.assert_array_equal(paddle.grad(scaled * 0.37, pred)[0].numpy(), expected)


@calls
def test_gradients_accumulate_over_batches(call, data):
    pred = paddle.to_tensor(data[0], stop_gradient=False)
    rest = [paddle.to_tensor(array) for array in data[1:]]
    call(pred, *rest).backward()
    first = pred.grad.numpy().copy()
    (3.0 * call(pred, *rest)).backward()
    np.testing.assert_allclose(pred.grad.numpy(), 4.0 * first, rtol=1e-6, atol=1e-9)


def casts():
    """The number of casts since the count was last started."""
    return sum(
        sum(map(int, str(calls).split(",")))
        for name, calls in paddle.base.core.get_low_precision_op_list().items()
        if name.startswith("cast")
    )


@pytest.mark.skipif(paddle.__version__ < "3", reason="Paddle 2.6 does not count casts")
@pytest.mark.parametrize("level", ["O1", "O2"])
@pytest.mark.parametrize(
    "pred_dtype, score_dtype",
    [("bfloat16", "float32"), ("float32", "bfloat16"), ("bfloat16", "bfloat16"), ("float32", "float32")],
)
def test_amp_hands_the_tensors_over_as_they_are(level, pred_dtype, score_dtype, data):
    """Any mixture of dtypes, no cast, a float32 loss, the numbers of the call without AMP. (On a CPU Paddle's AMP casts
    nothing.)"""
    pred, score = paddle.to_tensor(data[0]).astype(pred_dtype), paddle.to_tensor(data[1]).astype(score_dtype)
    pred.stop_gradient = False
    results = []
    for enable in (False, True):
        paddle.base.core.clear_low_precision_op_list()
        paddle.set_flags({"FLAGS_low_precision_op_list": 1})
        with paddle.amp.auto_cast(enable=enable, level=level, dtype="bfloat16"):
            loss = varifocal_loss(pred, score, reduction="row")
            pred.cast("float64")  # shows that casts are counted
        counted = casts()
        paddle.set_flags({"FLAGS_low_precision_op_list": 0})
        assert counted == 1 and loss.dtype == paddle.float32
        (grad,) = paddle.grad(loss.sum(), pred)
        assert grad.dtype == pred.dtype
        results.append((loss.numpy(), grad.astype("float32").numpy()))
    for plain, amp in zip(*results):
        np.testing.assert_array_equal(amp, plain)


def test_a_training_step_on_bfloat16_predictions(data):
    """What a layer under AMP hands to the loss, which AMP itself does only on a GPU: the loss is float32 and near that
    of full precision, and the gradient arrives in float32 weights."""
    results = []
    for dtype in ("float32", "bfloat16"):
        paddle.seed(3)
        model = paddle.nn.Linear(CLASSES, CLASSES)
        loss = logits_dense(model(paddle.to_tensor(data[0])).astype(dtype), *map(paddle.to_tensor, data[1:]))
        assert loss.dtype == paddle.float32
        loss.backward()
        results.append((float(loss), model.weight.grad.numpy()))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-2)
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=0.05, atol=0.02 * np.abs(results[0][1]).max())
