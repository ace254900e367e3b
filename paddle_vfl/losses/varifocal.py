"""Varifocal loss: the function and the layer.

Source: "VarifocalNet: An IoU-aware Dense Object Detector" (arXiv 2008.13367), and
``ppdet.modeling.losses.varifocal_loss`` of PaddleDetection, whose results these match.
"""

import math
import numbers

import paddle
from paddle import nn

from .. import _ops, reference

__all__ = ["varifocal_loss", "VarifocalLoss"]

REDUCTIONS = ("none", "row", "sum", "mean")
_FLOATS = ("float32", "float64", "float16", "bfloat16")
_INTEGERS = ("int32", "int64")
_HAS_GPUS = paddle.is_compiled_with_cuda()


def varifocal_loss(
    pred, target, label=None, *, alpha=0.75, gamma=2.0, iou_weighted=True, use_sigmoid=True, reduction="none"
):
    r"""Varifocal loss (`arXiv 2008.13367 <https://arxiv.org/abs/2008.13367>`_) in one fused operator.

    With p the predicted probability and q the target, the IoU-aware classification score, an element's loss is

    .. math:: w \cdot BCE(p, q), \qquad
       w = q \text{ where positive (1 if not iou\_weighted)}, \quad w = \alpha |p - q|^\gamma \text{ where negative}.

    The weight takes part in the gradient. Nothing but the inputs is kept for the backward pass.

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
        iou_weighted (bool): weight positives by q.
        use_sigmoid (bool): ``pred`` holds logits.
        reduction (str): "none", shape of ``pred``; "row", the sum over the classes, shape (...); "sum"; "mean", over
            all elements.

    Returns:
        Tensor: the loss, float64 for float64 predictions, else float32. Its gradient has the dtype of ``pred``. Sums
        are deterministic and do not depend on the number of threads. NaN in an input gives NaN in that element's loss
        and gradient, and a probability outside [0, 1] counts as NaN.

    Raises:
        TypeError: an argument has the wrong type or dtype.
        ValueError: shapes do not fit, ``alpha`` or ``gamma`` is negative, or ``reduction`` is unknown.
    """
    pair = isinstance(target, (tuple, list))
    if pair:
        label, target = _check_pair(pred, target, label)
    else:
        _check_dense(pred, target, label)
    _check_factor("alpha", alpha)
    _check_factor("gamma", gamma)
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}, expected one of {', '.join(map(repr, REDUCTIONS))}")

    if _wants_gradient(target) or (label is not None and _wants_gradient(label)):
        # the operator takes targets for constants, as PaddleDetection does
        return reference.varifocal_loss(
            pred,
            (label, target) if pair else target,
            None if pair else label,
            alpha=alpha,
            gamma=gamma,
            iou_weighted=iou_weighted,
            use_sigmoid=use_sigmoid,
            reduction=reduction,
        )

    if label is not None and not pair and _dtype(label) not in _FLOATS:
        label = label.cast("float32")
    classes = pred.shape[-1]
    # a static program may not know the number of classes yet
    rows = reduction in ("row", "sum") or (reduction == "mean" and classes > 0)
    loss = _ops.varifocal(
        pred,
        target,
        label,
        iou_weighted=iou_weighted,
        use_sigmoid=use_sigmoid,
        reduce_rows=rows,
        kind="pair" if pair else "dense" if label is None else "masked",
        alpha=alpha,
        gamma=gamma,
    )
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.mean() / classes if rows else loss.mean()
    return loss


class VarifocalLoss(nn.Layer):
    """Varifocal loss with the arguments and results of ``ppdet.modeling.losses.VarifocalLoss``.

    ``paddle_vfl.enable()`` puts it where that class is, so that YAML configs select it by the name
    ``VarifocalLoss``.

    Args:
        use_sigmoid (bool): predictions are logits; otherwise probabilities.
        alpha (float): weight of the negatives, at least 0.
        gamma (float): focusing power of the negatives, at least 0.
        iou_weighted (bool): weight positives by their target score.
        reduction (str): "none", "mean" or "sum".
        loss_weight (float): factor of the result.

    Raises:
        TypeError, ValueError: as :func:`paddle_vfl.varifocal_loss`.
    """

    def __init__(self, use_sigmoid=True, alpha=0.75, gamma=2.0, iou_weighted=True, reduction="mean", loss_weight=1.0):
        super().__init__()
        _check_factor("alpha", alpha)
        _check_factor("gamma", gamma)
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"reduction is {reduction!r}, expected 'none', 'mean' or 'sum'")
        self.use_sigmoid = use_sigmoid
        self.alpha = alpha
        self.gamma = gamma
        self.iou_weighted = iou_weighted
        self.reduction = reduction
        self.loss_weight = loss_weight

    def forward(self, pred, target, weight=None, avg_factor=None):
        """The reduced loss.

        Args:
            pred (Tensor): shape (N, C), floating point.
            target (Tensor | tuple[Tensor, Tensor]): scores of shape (N, C), or class labels and scores of shape (N,),
                see :func:`paddle_vfl.varifocal_loss`.
            weight (Tensor, optional): multiplies the loss before it is reduced; broadcast against it.
            avg_factor (float | Tensor, optional): with ``reduction="mean"``, what the sum is divided by instead of the
                number of elements; ignored with "none".

        Returns:
            Tensor: a scalar, or for ``reduction="none"`` the loss of shape (N, C) for logits and (N,) for probabilities
            and for ``(label, score)`` targets.

        Raises:
            ValueError: ``avg_factor`` with ``reduction="sum"``, and as :func:`paddle_vfl.varifocal_loss`.
        """
        return _layer_loss(self, pred, target, weight, avg_factor)


def _layer_loss(layer, pred, target, weight, avg_factor):
    # not in the method: to_static rewrites the methods of any layer
    if avg_factor is not None and layer.reduction == "sum":
        raise ValueError('avg_factor can not be used with reduction="sum"')
    pair = isinstance(target, (tuple, list))
    # PaddleDetection sums over axis 1 for probabilities, and QualityFocalLoss, whose targets are pairs, always
    rows = pair or (not layer.use_sigmoid and len(pred.shape) == 2)
    classes = pred.shape[-1]
    sum_classes_first = rows or (layer.use_sigmoid and layer.reduction != "none" and weight is None and classes > 0)
    loss = varifocal_loss(
        pred,
        target,
        alpha=layer.alpha,
        gamma=layer.gamma,
        iou_weighted=layer.iou_weighted,
        use_sigmoid=layer.use_sigmoid,
        reduction="row" if sum_classes_first else "none",
    )
    if not layer.use_sigmoid and not rows:
        loss = loss.sum(axis=1)
    if weight is not None:
        loss = loss * weight
    if layer.reduction == "sum":
        loss = loss.sum()
    elif layer.reduction == "mean" and avg_factor is not None:
        loss = loss.sum() / avg_factor
    elif layer.reduction == "mean":
        loss = loss.mean() / (1 if rows or not sum_classes_first else classes)
    return loss if layer.loss_weight == 1 else layer.loss_weight * loss


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


def _check_factor(name, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}, expected a number")
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value}, expected a finite number, at least 0")


def _wants_gradient(tensor):
    return not tensor.stop_gradient and paddle.is_grad_enabled()
