"""Varifocal loss: the function.

Source: "VarifocalNet: An IoU-aware Dense Object Detector" (arXiv 2008.13367), and
``ppdet.modeling.losses.varifocal_loss`` of PaddleDetection, whose results these match.
"""

import math
import numbers

import numpy as np
import paddle

from .. import _ops, reference

__all__ = ["check_class_weight", "check_factor", "check_flag", "positive_weight_of", "varifocal_loss"]

_FLOATS = ("float32", "float64", "float16", "bfloat16")
_INTEGERS = ("int32", "int64")
_HAS_GPUS = paddle.is_compiled_with_cuda()


def varifocal_loss(
    pred,
    target,
    label=None,
    *,
    alpha=0.75,
    gamma=2.0,
    iou_weighted=True,
    use_sigmoid=True,
    reduction="none",
    target_power=1.0,
    positive_weight="score",
    detach_weight=False,
    class_weight=None,
):
    """Varifocal loss (arXiv 2008.13367) in one fused operator.

    With p the predicted probability and q the target, the IoU-aware classification score, an element's loss is:

        w BCE(p, q)
        w = q                       where positive (1 if not iou_weighted)
          = alpha |p - q|^gamma     where negative

    The weight takes part in the gradient. On the CPU, predictions that want a gradient have it computed with the loss
    and kept for the backward pass (any reduction but "none"); else nothing but the inputs is kept.
    The last four arguments make the other losses of the family of it: quality focal loss (arXiv 2006.04388),
    matchability-aware loss (arXiv 2412.04234).

    Args:
        pred (Tensor): predictions, shape (..., C), float32, float64, float16 or bfloat16: logits, or probabilities in
            [0, 1] if ``use_sigmoid`` is False.
        target (Tensor | tuple[Tensor, Tensor]): the scores q, shape (..., C), any of those dtypes; or a pair ``(label,
            score)`` of class labels, shape (...), integers, and scores, shape (...), floating point. A label outside
            [0, C) is background.
        label (Tensor, optional): for a dense target, the mask of positives, shape (..., C): 1 positive, 0 negative. The
            weight is then ``alpha * p**gamma * (1 - label) + q * label``, as in PP-YOLOE and RT-DETR. Without it an
            element is positive where ``target > 0``. Any floating-point dtype, integers or bool.
        alpha (float): weight of the negatives, at least 0.
        gamma (float): focusing power of the negatives, at least 0. At p = q its derivative counts as 0 for any gamma.
        iou_weighted (bool): weight positives by q; False is another way to say ``positive_weight="one"``.
        use_sigmoid (bool): ``pred`` holds logits.
        reduction (str): "none", shape of ``pred``; "row", the sum over the classes, shape (...); "sum"; "mean", over
            all elements.
        target_power (float): the cross entropy of a positive is against ``q**target_power``, at least 0.
        positive_weight (str): what a positive weighs: "score", q; "one", 1; "modulated", ``|q - p|**gamma``.
        detach_weight (bool): take the weight for a constant in the gradient.
        class_weight (Sequence[float] | Tensor, optional): factors of the loss of each class, shape (C,), finite, at
            least 0. The values of a tensor on a GPU are not checked, which would make the GPU wait.

    Returns:
        Tensor: the loss, float64 for float64 predictions, else float32. Its gradient has the dtype of ``pred``. Sums
        are deterministic and do not depend on the number of threads. NaN in an input gives NaN in that element's loss
        and gradient, and a probability outside [0, 1] counts as NaN.

    Raises:
        TypeError: an argument has the wrong type or dtype.
        ValueError: shapes do not fit, a number is negative, or ``reduction`` or ``positive_weight`` is unknown.
    """
    pair = isinstance(target, (tuple, list))
    if pair:
        label, target = _check_pair(pred, target, label)
    else:
        _check_dense(pred, target, label)
    check_factor("alpha", alpha)
    check_factor("gamma", gamma)
    check_factor("target_power", target_power)
    check_flag("iou_weighted", iou_weighted)
    check_flag("use_sigmoid", use_sigmoid)
    check_flag("detach_weight", detach_weight)
    positive_weight = positive_weight_of(iou_weighted, positive_weight)
    if class_weight is not None:
        class_weight = _class_weight_tensor(class_weight, pred)
    if reduction not in _ops.REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}, expected one of {', '.join(map(repr, _ops.REDUCTIONS))}")

    if any(tensor is not None and _wants_gradient(tensor) for tensor in (target, label, class_weight)):
        # the operator takes targets for constants, as PaddleDetection does
        return reference.varifocal_loss(
            pred,
            (label, target) if pair else target,
            None if pair else label,
            alpha=alpha,
            gamma=gamma,
            use_sigmoid=use_sigmoid,
            reduction=reduction,
            target_power=target_power,
            positive_weight=positive_weight,
            detach_weight=detach_weight,
            class_weight=class_weight,
        )

    if label is not None and not pair and _dtype(label) not in _FLOATS:
        label = label.cast("float32")
    return _ops.varifocal(
        pred,
        target,
        label,
        class_weight,
        use_sigmoid=use_sigmoid,
        reduction=reduction,
        detach_weight=detach_weight,
        kind="pair" if pair else "dense" if label is None else "masked",
        positive_weight=positive_weight,
        alpha=alpha,
        gamma=gamma,
        target_power=target_power,
    )


def _dtype(tensor):
    """The dtype's bare name: 'float32' of paddle.float32, of VarType.FP32 and of DataType.FLOAT32."""
    name = _DTYPE_NAMES.get(tensor.dtype)
    return str(tensor.dtype).split(".")[-1].lower() if name is None else name


_DTYPE_NAMES = {getattr(paddle, name): name for name in (*_FLOATS, *_INTEGERS, "bool", "int8", "uint8", "int16")}


def _check_pair(pred, target, label):
    if label is not None:
        raise ValueError("label is for dense targets, and target is already a pair (label, score)")
    if len(target) != 2:
        raise ValueError(f"target is a sequence of length {len(target)}, expected a Tensor or a pair (label, score)")
    label, score = target
    _check_tensor("pred", pred, _FLOATS)
    _check_tensor("target[0], the class labels,", label)
    if _dtype(label) not in _INTEGERS:
        if _dtype(label) not in ("int8", "uint8", "int16"):
            raise TypeError(f"target[0], the class labels, has dtype {_dtype(label)}, expected integers")
        label = label.cast("int64")
    _check_tensor("target[1], the scores,", score, _FLOATS)
    shape = list(pred.shape)[:-1]
    for name, tensor in (("target[0], the class labels,", label), ("target[1], the scores,", score)):
        _check_shape(name, tensor, shape, pred)
        _check_device(name, tensor, pred)
    return label, score


def _check_dense(pred, target, label):
    _check_tensor("pred", pred, _FLOATS)
    _check_tensor("target", target, _FLOATS)
    _check_shape("target", target, list(pred.shape), pred)
    _check_device("target", target, pred)
    if label is not None:
        _check_tensor("label", label)
        _check_shape("label", label, list(pred.shape), pred)
        _check_device("label", label, pred)


def _check_tensor(name, value, dtypes=None):
    if not hasattr(value, "stop_gradient"):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a Tensor")
    if dtypes is not None and _dtype(value) not in dtypes:
        raise TypeError(f"{name} has dtype {_dtype(value)}, expected one of {', '.join(dtypes)}")
    if name == "pred" and len(value.shape) == 0:
        raise ValueError("pred has no dimension, expected shape (..., C)")


def _check_shape(name, tensor, expected, pred):
    shape = list(tensor.shape)
    # -1 is a dimension that a static program does not know yet
    if len(shape) != len(expected) or any(a != b for a, b in zip(shape, expected) if a >= 0 and b >= 0):
        raise ValueError(f"{name} has shape {shape}, expected {expected} for pred of shape {list(pred.shape)}")


def _check_device(name, tensor, pred):
    if _HAS_GPUS and paddle.in_dynamic_mode() and str(tensor.place) != str(pred.place):
        raise ValueError(f"{name} is on {tensor.place}, expected {pred.place}, where pred is")


def check_factor(name, value):
    """Check a number that must be finite and at least 0.

    Raises:
        TypeError: it is no number; a bool and a text are none.
        ValueError: it is negative, infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}, expected a number")
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value}, expected a finite number, at least 0")


def check_flag(name, value):
    """Check an option that is on or off: a text such as "false" would count as on.

    Raises:
        TypeError: it is neither True nor False, nor 1 or 0.
    """
    if not isinstance(value, (numbers.Integral, np.bool_)) or value not in (0, 1):
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}, expected True or False")


def positive_weight_of(iou_weighted, positive_weight):
    """The positive_weight that both options mean.

    Raises:
        ValueError: it is unknown, or they contradict each other.
    """
    if positive_weight not in _ops.POSITIVE_WEIGHTS:
        expected = ", ".join(map(repr, _ops.POSITIVE_WEIGHTS))
        raise ValueError(f"positive_weight is {positive_weight!r}, expected one of {expected}")
    if iou_weighted:
        return positive_weight
    if positive_weight == "modulated":
        raise ValueError("iou_weighted is False, which means positive_weight='one', and positive_weight is 'modulated'")
    return "one"


def check_class_weight(values):
    """The numbers of a class_weight as a tuple of floats.

    Raises:
        TypeError: it is no sequence of numbers.
        ValueError: one of them is negative, infinite or NaN.
    """
    if isinstance(values, (str, dict)) or not hasattr(values, "__iter__"):
        raise TypeError(f"class_weight is {values!r}, a {type(values).__name__}, expected a list of numbers")
    values = tuple(values)
    for index, value in enumerate(values):
        check_factor(f"class_weight[{index}]", value)
    return tuple(map(float, values))


def _class_weight_tensor(given, pred):
    """The class_weight of a call as a tensor of the dtype that the loss is computed in."""
    dtype, classes = "float64" if _dtype(pred) == "float64" else "float32", pred.shape[-1]
    tensor = given if hasattr(given, "stop_gradient") else None
    if tensor is not None:
        _check_tensor("class_weight", tensor, _FLOATS)
        if len(tensor.shape) != 1:
            raise ValueError(f"class_weight has shape {list(tensor.shape)}, expected [{classes}], a number a class")
        _check_device("class_weight", tensor, pred)
        if _is_here(tensor):
            check_class_weight(tensor.astype("float64").numpy())
        count = tensor.shape[0]
    else:
        given = check_class_weight(given)
        count = len(given)
    if count != classes and min(count, classes) >= 0:
        raise ValueError(f"class_weight has {count} numbers, and pred has {classes} classes: expected one for each")
    if tensor is not None:
        return tensor if _dtype(tensor) == dtype else tensor.cast(dtype)
    # Paddle makes the inputs of an operator distributed, in place, where one of them is: none that others use
    if not paddle.in_dynamic_mode() or getattr(pred, "is_dist", bool)():
        return paddle.to_tensor(given, dtype=dtype)
    key = given, dtype, str(pred.place)
    if key not in _constants:
        _constants[key] = paddle.to_tensor(given, dtype=dtype, place=pred.place)
    return _constants[key]


# tensors of the class_weights that calls gave as numbers: a training has one
_constants: dict = {}


def _is_here(tensor):
    """Whether the values can be read without waiting for a GPU or for other processes."""
    return paddle.in_dynamic_mode() and tensor.place.is_cpu_place() and not getattr(tensor, "is_dist", bool)()


def _wants_gradient(tensor):
    return not tensor.stop_gradient and paddle.is_grad_enabled()
