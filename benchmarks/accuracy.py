"""Errors of the operator in ULP, for each form, dtype and instruction set, beside PaddleDetection's composed loss.

    python benchmarks/accuracy.py

Against the formula with 50 digits (mpmath) for float64, and in float64 (tests/oracle.py) for the others. An ULP is the distance of
neighbouring numbers of the result's dtype: float32 for the loss of half precision. Negatives are a dense grid of logits from -40 to 40, or of
probabilities from 1e-4 to 1 - 2^-7, with the score 0; positives are random. The gradient of a positive is a multiple of p - q, which cancels near p = q
in any arithmetic: its errors are in ULP of the multiple of the larger of p and q.
"""
import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import oracle

import paddle_vfl  # before paddle

import paddle
from paddle_vfl._ops import extension
from ppdet.modeling.losses.varifocal_loss import varifocal_loss as composed

MODES = {
    "logits, gamma 2": dict(use_sigmoid=True, gamma=2.0), "logits, gamma 1.5": dict(use_sigmoid=True, gamma=1.5),
    "logits, gamma 1.7": dict(use_sigmoid=True, gamma=1.7), "logits, gamma 0.5": dict(use_sigmoid=True, gamma=0.5),
    "probabilities, gamma 2": dict(use_sigmoid=False, gamma=2.0),
}


def samples(use_sigmoid, positive, count, rng):
    highest = 1 - 2**-7  # in bfloat16 the next one is 1
    if positive:
        x, q = rng.normal(0, 4, count), rng.uniform(0.01, 1, count)
        return (x if use_sigmoid else rng.uniform(1e-3, highest, count)), q
    return (np.linspace(-40, 40, count) if use_sigmoid else np.linspace(1e-4, highest, count)), np.zeros(count)


def with_50_digits(x, q, use_sigmoid, gamma, alpha=0.75):
    """(loss, gradient) of each element as mpmath numbers."""
    import mpmath
    from mpmath import mp, mpf

    mp.dps = 50
    x_values, q_values = map(mpf, x.tolist()), map(mpf, q.tolist())
    results = []
    for x, q in zip(x_values, q_values):
        p = 1 / (1 + mpmath.exp(-x)) if use_sigmoid else x
        dp = p * (1 - p) if use_sigmoid else mpf(1)
        bce = -(q * mpmath.log(p) + (1 - q) * mpmath.log(1 - p))
        slope = p - q if use_sigmoid else (p - q) / (p * (1 - p))
        if q > 0:
            results.append((q * bce, q * slope))
        else:
            weight = alpha * p**gamma
            results.append((weight * bce, weight * slope + alpha * gamma * p ** (gamma - 1) * dp * bce))
    return results


def ulps(got, expected, dtype, scale=None):
    """|got - expected| in ULP of the dtype at the size of the expected value, or of the scale if that is larger."""
    size = np.abs(expected.astype(np.float64))
    size = size if scale is None else np.maximum(size, scale)
    digits = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}[dtype]
    lowest = {"float64": -1022, "float32": -126, "float16": -14, "bfloat16": -126}[dtype]
    ulp = np.ldexp(1.0, np.maximum(np.frexp(size)[1] - 1, lowest) - digits)
    return np.abs((got - expected).astype(np.float64)) / ulp


def evaluate(function, x, q, dtype):
    pred = paddle.to_tensor(x, dtype=dtype, stop_gradient=False)
    loss = function(pred, paddle.to_tensor(q, dtype=dtype))
    loss.sum().backward()
    return loss.astype("float64").numpy(), pred.grad.astype("float64").numpy()


def errors(mode, kind, dtype, function, count, rng):
    """The cells of a row: largest and mean error of the loss and of the gradient."""
    options = MODES[mode]
    x, q = (paddle.to_tensor(a, dtype=dtype).astype("float64").numpy() for a in samples(options["use_sigmoid"], kind == "positives", count, rng))
    loss, grad = evaluate(function, x.reshape(1, -1), q.reshape(1, -1), dtype)
    loss, grad = loss.reshape(-1), grad.reshape(-1)
    if dtype == "float64":
        exact = with_50_digits(x, q, **options)
        expected_loss, expected_grad = (np.array([pair[i] for pair in exact], object) for i in (0, 1))
    else:
        expected_loss, expected_grad = oracle.loss_and_grad(x, q, **options)
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-x)) if options["use_sigmoid"] else x
    steepness = 1 if options["use_sigmoid"] else 1 / (p * (1 - p))
    scale = q * np.maximum(p, q) * steepness if kind == "positives" else None
    cells = []
    for got, expected, of, limit in ((loss, expected_loss, "float64" if dtype == "float64" else "float32", None), (grad, expected_grad, dtype, scale)):
        error = ulps(got, expected, of, limit)
        cells += [f"{error.max():.3g}", f"{error.mean():.2g}"]
    return tuple(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200_001, help="elements (default: %(default)s; a hundredth of them for float64)")
    count = parser.parse_args().count
    print("| form | elements | dtype | version | loss: max | mean | gradient: max | mean |\n|---|---|---|---|---|---|---|---|")
    for mode, options in MODES.items():
        # the weight of a positive does not depend on gamma
        for kind in ("negatives", "positives") if options["gamma"] == 2 else ("negatives",):
            for dtype in ("float32", "float64", "float16", "bfloat16"):
                n = count // 100 if dtype == "float64" else count
                versions = {}  # instruction sets with the same figures share a row
                for isa in extension.isa_supported():
                    extension.set_isa(isa)
                    fused = lambda x, q, options=options: paddle_vfl.varifocal_loss(x, q, **options)
                    versions.setdefault(errors(mode, kind, dtype, fused, n, np.random.default_rng(0)), []).append(isa)
                if dtype in ("float32", "float64"):  # the composed loss has no half precision on CPUs
                    # a column of one class, because PaddleDetection may sum over the classes
                    own = lambda x, q, options=options: composed(x.reshape([-1, 1]), q.reshape([-1, 1]), **options).reshape([1, -1])
                    versions.setdefault(errors(mode, kind, dtype, own, n, np.random.default_rng(0)), []).append("PaddleDetection")
                for cells, names in versions.items():
                    print(f"| {mode} | {kind} | {dtype} | {', '.join(names)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
