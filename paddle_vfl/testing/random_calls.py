"""Random calls of the operator and what they must give, for the property tests and the fuzzer."""

import dataclasses

import numpy as np

import paddle_vfl  # before paddle

import paddle

from .._ops import KINDS, POSITIVE_WEIGHTS, REDUCTIONS
from . import oracle
from .dtypes import rounded

__all__ = ["DTYPES", "EMPTY", "KINDS", "LAYOUTS", "POSITIVE_WEIGHTS", "REDUCTIONS", "Call"]

DTYPES = ("float32", "float64", "float16", "bfloat16")
LAYOUTS = ("whole", "slice", "transpose", "step")
EMPTY = paddle.__version__ >= "3.1"  # Paddle up to 3.0 refuses an empty output of an operator
# of the largest absolute value in the result
TOLERANCE = {"float64": 1e-12, "float32": 3e-6, "float16": 1.5e-3, "bfloat16": 1.2e-2}


@dataclasses.dataclass
class Call:
    """A call of :func:`paddle_vfl.varifocal_loss` and, with ``check``, what it must give.

    ``kind`` is that of the targets; ``layout`` how the tensors lie in memory; ``extreme`` strews in what is very large
    or very small; for pairs ``target_dtype`` is that of the scores; ``weighted``: the classes have weights.
    """

    shape: tuple
    kind: str = "dense"
    dtype: str = "float32"
    target_dtype: str = "float32"
    layout: str = "whole"
    reduction: str = "none"
    alpha: float = 0.75
    gamma: float = 2.0
    positive_weight: str = "score"
    target_power: float = 1.0
    detach_weight: bool = False
    weighted: bool = False
    use_sigmoid: bool = True
    extreme: bool = False
    seed: int = 0

    def __post_init__(self):
        if self.positive_weight == "modulated":
            # with less the slope of |q - p|^gamma changes fast at p = q, where rounding tells what it is
            self.gamma = max(self.gamma, 2.0)

    @property
    def options(self):
        names = ("alpha", "gamma", "positive_weight", "target_power", "detach_weight", "use_sigmoid")
        # 0, 1 and others; exact in float32
        weight = np.random.default_rng(self.seed + 1).integers(0, 40, self.shape[-1]) / 8
        return {
            **{name: getattr(self, name) for name in names},
            "class_weight": weight.tolist() if self.weighted else None,
        }

    def arrays(self):
        """float64 (pred, target, label) as their dtypes hold them; for pairs scores and class ids of the rows."""
        rng = np.random.default_rng(self.seed)
        x = rng.normal(-1, 3, self.shape)
        if self.extreme:
            x = np.where(
                rng.random(self.shape) < 0.3, rng.choice([-6e4, -100, -20, -0.0, 0, 1e-7, 20, 100, 6e4], self.shape), x
            )
        if not self.use_sigmoid:
            # between the ends: in half precision the gradient near 1 is infinite
            x = np.clip(1 / (1 + np.exp(-np.clip(x, -30, 30))), 2**-7, 1 - 2**-7)
        if self.kind == "pair":
            classes = self.shape[-1]
            label = rng.integers(-2, classes + 2, self.shape[:-1])
            return rounded(x, self.dtype), rounded(rng.random(self.shape[:-1]), self.target_dtype), label
        y = rng.random(self.shape) < 0.2
        mask = np.where(y, rng.choice([1.0, 0.5], self.shape), 0.0) if self.kind == "masked" else y.astype(float)
        return rounded(x, self.dtype), rounded(y * rng.random(self.shape), self.target_dtype), mask

    def run(self):
        """(loss, gradient) of the operator, float64."""
        x, q, y = self.arrays()
        pred = self._laid_out(x, self.dtype)
        pred.stop_gradient = False
        if self.kind == "pair":
            target, label = (paddle.to_tensor(y), paddle.to_tensor(q, dtype=self.target_dtype)), None
        else:
            target = self._laid_out(q, self.target_dtype)
            label = self._laid_out(y, self.target_dtype) if self.kind == "masked" else None
        loss = paddle_vfl.varifocal_loss(pred, target, label, reduction=self.reduction, **self.options)
        (grad,) = paddle.grad(loss.sum(), pred)
        return loss.astype("float64").numpy(), grad.astype("float64").numpy()

    def expected(self):
        """The same from the formula in float64."""
        x, q, y = self.arrays()
        if self.kind == "pair":
            q = oracle.dense_target(y, q, self.shape[-1])
        loss, grad = oracle.loss_and_grad(x, q, y if self.kind == "masked" else None, **self.options)
        return self.reduced(loss), grad / loss.size if self.reduction == "mean" else grad

    def reduced(self, loss):
        reductions = {"none": lambda x: x, "row": lambda x: x.sum(-1), "sum": np.sum, "mean": np.mean}
        return reductions[self.reduction](loss)

    def rounding_scale(self):
        """What the absolute error of each element is in proportion to: none where the loss has positive terms alone.

        Of a positive, p - q, and the q**target_power that a logit multiplies, are differences of rounded numbers.
        """
        x, q, y = self.arrays()
        if self.kind == "pair":
            q = y = oracle.dense_target(y, q, self.shape[-1])
        size = 1 + np.abs(x) if self.use_sigmoid else 1 / (x * (1 - x))
        return np.where((q > 0) | (y > 0), size, 0.0) * (1 + self.gamma) * (self.options["class_weight"] or 1.0)

    def check(self):
        """Compare the operator with the formula.

        Raises:
            AssertionError: they differ by more than the dtype explains.
        """
        scale = self.rounding_scale()
        for name, got, expected, dtype in zip(
            ("loss", "gradient"), self.run(), self.expected(), (computed(self.dtype), self.dtype)
        ):
            tolerance = TOLERANCE[dtype]
            absolute = TOLERANCE[computed(self.dtype)] * (self.reduced(scale) if name == "loss" else scale)
            if name == "gradient" and self.reduction == "mean":
                absolute = absolute / absolute.size
            lowest = {"float16": 6e-8, "bfloat16": 1e-38}.get(dtype, 1e-38)  # what rounds to 0
            difference, allowed = np.abs(got - expected), absolute + lowest + 4 * tolerance * np.abs(expected)
            wrong = ~((difference <= allowed) | (np.isnan(got) & np.isnan(expected)))
            assert got.shape == expected.shape and not wrong.any(), (
                f"{name} of {self}: {wrong.sum()} of {wrong.size} differ, by up to "
                f"{np.max((difference / allowed)[wrong]):.3g} times what is allowed: "
                f"{got[wrong][:3]}, expected {expected[wrong][:3]}"
            )

    def _laid_out(self, array, dtype):
        """The array as a tensor that is a view of a larger one."""
        if self.layout == "transpose" and array.ndim >= 2:
            return paddle.to_tensor(np.ascontiguousarray(array.swapaxes(0, -1)), dtype=dtype).transpose(
                [array.ndim - 1, *range(1, array.ndim - 1), 0]
            )
        if self.layout == "slice":
            room = np.full([n + 3 for n in array.shape], np.nan)
            room[tuple(slice(1, n + 1) for n in array.shape)] = array
            return paddle.to_tensor(room, dtype=dtype)[tuple(slice(1, n + 1) for n in array.shape)]
        if self.layout == "step" and array.shape[-1] > 0:
            return paddle.to_tensor(np.repeat(array, 2, -1), dtype=dtype)[..., ::2]
        return paddle.to_tensor(array, dtype=dtype)


def computed(dtype):
    """The dtype of the loss."""
    return "float64" if dtype == "float64" else "float32"
