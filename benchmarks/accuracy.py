"""Errors of the operator in ULP, for its options, dtypes and instruction sets, beside PaddleDetection's composed loss.

    python benchmarks/accuracy.py > docs/benchmarks/accuracy.csv

Against the formula with 50 digits (mpmath) for float64, and in float64 (paddle_vfl.testing.oracle) for the others. An
ULP is the distance of neighbouring numbers of the result's dtype: float32 for the loss of half precision. Negatives are
a dense grid of logits from -40 to 40, or of probabilities from 1e-4 to 1 - 2^-7, with the score 0; positives are
random. With a mask, as PP-YOLOE and the DETR losses call it, the mask is 0 for negatives, 1 for positives, and random
for "soft". The gradient of a positive is a multiple of p - q, which cancels near p = q in any arithmetic: its errors
are in ULP of the multiple of the larger of p and q; those of soft elements, of the largest term of the sum. Those of
the other losses of the family are in ULP of their largest term: the weight of quality focal loss is a power of p - q
too, and the cross entropy of matchability-aware loss is against a rounded power of q.
"""

import argparse
import csv
import functools
import itertools
import sys

import numpy as np

import paddle_vfl  # before paddle

import paddle
import paddle.nn.functional as F
from paddle_vfl._ops import extension
from paddle_vfl.testing import oracle
from ppdet.modeling.losses.varifocal_loss import varifocal_loss as composed

MODES = {
    "logits, gamma 2": dict(use_sigmoid=True, gamma=2.0),
    "logits, gamma 1.5": dict(use_sigmoid=True, gamma=1.5),
    "logits, gamma 1.7": dict(use_sigmoid=True, gamma=1.7),
    "logits, gamma 0.5": dict(use_sigmoid=True, gamma=0.5),
    "probabilities, gamma 2": dict(use_sigmoid=False, gamma=2.0),
}
FAMILY = {
    "quality focal": dict(use_sigmoid=True, alpha=1.0, gamma=2.0, positive_weight="modulated"),
    "matchability-aware": dict(
        use_sigmoid=True, alpha=1.0, gamma=1.5, target_power=1.5, positive_weight="one", detach_weight=True
    ),
}
ELEMENTS = {  # by whether there is a mask
    False: ("negatives", "positives"),
    True: ("negatives", "positives", "soft"),
}


def samples(use_sigmoid, elements, count, rng):
    """Predictions, scores and masks."""
    highest = 1 - 2**-7  # in bfloat16 the next one is 1
    if elements == "negatives":
        x = np.linspace(-40, 40, count) if use_sigmoid else np.linspace(1e-4, highest, count)
        return x, np.zeros(count), np.zeros(count)
    x = rng.normal(0, 4, count) if use_sigmoid else rng.uniform(1e-3, highest, count)
    return x, rng.uniform(0.01, 1, count), np.ones(count) if elements == "positives" else rng.uniform(size=count)


def with_50_digits(
    x, q, y, masked, use_sigmoid, gamma, alpha=0.75, target_power=1, positive_weight="score", detach_weight=False
):
    """(loss, gradient) of each element as mpmath numbers."""
    import mpmath
    from mpmath import mp, mpf

    mp.dps = 50
    results = []
    for element in zip(x.tolist(), q.tolist(), y.tolist()):
        x, q, y = map(mpf, element)
        p = 1 / (1 + mpmath.exp(-x)) if use_sigmoid else x
        dp = p * (1 - p) if use_sigmoid else mpf(1)
        t = q**target_power if q > 0 else q
        bce = -(t * mpmath.log(p) + (1 - t) * mpmath.log(1 - p))
        slope = p - t if use_sigmoid else (p - t) / (p * (1 - p))
        share = y if masked else mpf(q > 0)
        modulated = positive_weight == "modulated"
        of_positive = abs(p - q) ** gamma if modulated else q if positive_weight == "score" else 1
        weight = alpha * p**gamma * (1 - share) + of_positive * share
        steep = alpha * gamma * p ** (gamma - 1) * (1 - share)
        if modulated:
            steep += gamma * abs(p - q) ** (gamma - 1) * mpmath.sign(p - q) * share
        results.append((weight * bce, weight * slope + (0 if detach_weight else steep * dp * bce)))
    return results


def largest_term(x, q, y, use_sigmoid, gamma, alpha=0.75):
    """The largest of the numbers that are added up in the gradient."""
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-x)) if use_sigmoid else x
    steepness = 1 if use_sigmoid else 1 / (p * (1 - p))
    dp = p * (1 - p) if use_sigmoid else 1
    bce = -(q * np.log(p) + (1 - q) * np.log1p(-p))
    weight = np.maximum(alpha * p**gamma * (1 - y), q * y)
    return np.maximum(weight * np.maximum(p, q) * steepness, alpha * gamma * p ** (gamma - 1) * (1 - y) * dp * bce)


def largest_terms_of_a_positive(x, q, gamma, target_power=1, positive_weight="score", **_):
    """(those of its loss, those of its gradient) for logits and the other losses of the family."""
    p, t, softplus = 1 / (1 + np.exp(-x)), q**target_power, np.log1p(np.exp(-np.abs(x)))
    bce, highest = np.abs(x) * t + softplus, np.maximum(p, q)
    if positive_weight == "one":
        return bce, np.maximum(p, t)
    # what an error of p - q of one in the last place of p or q makes of its power and of that power's derivative
    d = np.abs(p - q)
    of_weight, of_steep = gamma * d ** (gamma - 1) * highest, gamma * (gamma - 1) * d ** (gamma - 2) * highest
    return np.maximum(of_weight, d**gamma) * bce, np.maximum(of_weight * highest, of_steep * p * (1 - p) * bce)


def composed_with_mask(x, q, y, use_sigmoid, gamma, alpha=0.75):
    """PPYOLOEHead._varifocal_loss and, for logits, varifocal_loss_with_logits of the DETR losses, without their
    sums."""
    p = F.sigmoid(x) if use_sigmoid else x
    weight = alpha * p.pow(gamma) * (1 - y) + q * y
    entropy = F.binary_cross_entropy_with_logits if use_sigmoid else F.binary_cross_entropy
    return entropy(x, q, weight=weight, reduction="none")


def ulps(got, expected, dtype, scale=None):
    """|got - expected| in ULP of the dtype at the size of the expected value, or of the scale if that is larger."""
    size = np.abs(expected.astype(np.float64))
    size = size if scale is None else np.maximum(size, scale)
    digits = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}[dtype]
    lowest = {"float64": -1022, "float32": -126, "float16": -14, "bfloat16": -126}[dtype]
    ulp = np.ldexp(1.0, np.maximum(np.frexp(size)[1] - 1, lowest) - digits)
    return np.abs((got - expected).astype(np.float64)) / ulp


def evaluate(function, dtype, x, *targets):
    pred = paddle.to_tensor(x, dtype=dtype, stop_gradient=False)
    loss = function(pred, *(paddle.to_tensor(target, dtype=dtype) for target in targets))
    loss.sum().backward()
    return tuple(result.astype("float64").numpy().reshape(-1) for result in (loss, pred.grad))


def errors(mode, masked, elements, dtype, count, function):
    """The cells of a row: largest and mean error of the loss and of the gradient."""
    options = {**MODES, **FAMILY}[mode]
    x, q, y = (
        paddle.to_tensor(a, dtype=dtype).astype("float64").numpy()
        for a in samples(options["use_sigmoid"], elements, count, np.random.default_rng(0))
    )
    loss, grad = evaluate(function, dtype, *(a.reshape(1, -1) for a in ((x, q, y) if masked else (x, q))))
    if dtype == "float64":
        exact = with_50_digits(x, q, y, masked, **options)
        expected_loss, expected_grad = (np.array([pair[i] for pair in exact], object) for i in (0, 1))
    else:
        expected_loss, expected_grad = oracle.loss_and_grad(x, q, y if masked else None, **options)
    scales = (None, None)
    if elements != "negatives" and mode in FAMILY:
        scales = largest_terms_of_a_positive(x, q, **options)
    elif elements != "negatives":
        scales = None, largest_term(x, q, y, **options)
    cells = []
    for got, expected, of, limit in (
        (loss, expected_loss, "float64" if dtype == "float64" else "float32", scales[0]),
        (grad, expected_grad, dtype, scales[1]),
    ):
        error = ulps(got, expected, of, limit)
        cells += [f"{error.max():.3g}", f"{error.mean():.2g}"]
    return tuple(cells)


def rows(mode, masked, elements, dtype, count):
    """(versions of the loss that have the same figures, figures)."""
    options = {**MODES, **FAMILY}[mode]
    versions, cells_of = {}, functools.partial(errors, mode, masked, elements, dtype, count)
    for isa in extension.isa_supported():
        extension.set_isa(isa)
        fused = functools.partial(paddle_vfl.varifocal_loss, **options)
        versions.setdefault(cells_of(fused), []).append(isa)
    if dtype in ("float32", "float64") and mode in MODES:  # the composed loss has no half precision on CPUs
        if masked:
            own = functools.partial(composed_with_mask, **options)
        else:  # a column of one class, because PaddleDetection may sum over the classes
            own = lambda x, q: composed(x.reshape([-1, 1]), q.reshape([-1, 1]), **options).reshape([1, -1])
        versions.setdefault(cells_of(own), []).append("PaddleDetection")
    return [(", ".join(names), cells) for cells, names in versions.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--count", type=int, default=1_000_001, help="elements (default: %(default)s; a hundredth of them for float64)"
    )
    parser.add_argument("--match", default="", metavar="TEXT", help="only the calls whose name contains it")
    args = parser.parse_args()
    count = args.count
    write = csv.writer(sys.stdout, lineterminator="\n").writerow
    errors_of = [f"{of}: {which}" for of in ("loss", "gradient") for which in ("max", "mean")]
    write(["call", "elements", "dtype", "version", *errors_of])
    for (mode, options), masked in itertools.product({**MODES, **FAMILY}.items(), (False, True)):
        if args.match not in mode or (masked and mode in FAMILY):
            continue
        for elements in ELEMENTS[masked]:
            # the weight of a positive does not depend on gamma
            if mode in MODES and options["gamma"] != 2 and (masked or elements == "positives"):
                continue
            for dtype in ("float32", "float64", "float16", "bfloat16"):
                of_dtype = count // 100 if dtype == "float64" else count
                for versions, cells in rows(mode, masked, elements, dtype, of_dtype):
                    call = f"{mode}, mask" if masked else mode
                    write([call, elements, dtype, versions, *cells])


if __name__ == "__main__":
    main()
