"""The losses of the family as layers, by the names that configs have for them."""

from paddle import nn

from .varifocal import check_class_weight, check_factor, check_flag, positive_weight_of, varifocal_loss

__all__ = ["FamilyLoss", "MatchabilityAwareLoss", "QualityFocalLoss", "VarifocalLoss"]

# the arguments of varifocal_loss that a layer of any of the losses has as attributes
OPTIONS = ("alpha", "gamma", "iou_weighted", "target_power", "positive_weight", "detach_weight", "class_weight")


class FamilyLoss(nn.Layer):
    """What the layers have in common. ``options`` are arguments of :func:`paddle_vfl.varifocal_loss`; ``title`` is the
    loss in words."""

    title = ""

    def __init__(self, use_sigmoid, reduction, loss_weight, **options):
        super().__init__()
        defaults = dict(iou_weighted=True, target_power=1.0, positive_weight="score", detach_weight=False)
        options = {**defaults, **options}
        for name in ("alpha", "gamma", "target_power"):
            check_factor(name, options[name])
        check_factor("loss_weight", loss_weight)
        for name in ("iou_weighted", "detach_weight"):
            check_flag(name, options[name])
        check_flag("use_sigmoid", use_sigmoid)
        positive_weight_of(options["iou_weighted"], options["positive_weight"])
        if options.get("class_weight") is not None:
            options["class_weight"] = check_class_weight(options["class_weight"])
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"reduction is {reduction!r}, expected 'none', 'mean' or 'sum'")
        self.use_sigmoid = use_sigmoid
        self.reduction = reduction
        self.loss_weight = loss_weight
        for name in OPTIONS:
            setattr(self, name, options.get(name))

    @property
    def formula(self):
        """The arguments of :func:`paddle_vfl.varifocal_loss` that make this loss of it, but for ``use_sigmoid``."""
        return {name: getattr(self, name) for name in OPTIONS}

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


class VarifocalLoss(FamilyLoss):
    """Varifocal loss with the arguments and results of ``ppdet.modeling.losses.VarifocalLoss``, and some more
    arguments.

    ``paddle_vfl.enable()`` puts it where that class is, so that YAML configs select it by the name
    ``VarifocalLoss``.

    Args:
        use_sigmoid (bool): predictions are logits; otherwise probabilities.
        alpha (float): weight of the negatives, at least 0.
        gamma (float): focusing power of the negatives, at least 0.
        iou_weighted (bool): weight positives by their target score.
        reduction (str): "none", "mean" or "sum".
        loss_weight (float): factor of the result, at least 0.
        target_power, positive_weight, detach_weight: as in :func:`paddle_vfl.varifocal_loss`.
        class_weight (Sequence[float], optional): factors of the loss of each class, shape (C,), finite, at least 0.

    Raises:
        TypeError, ValueError: as :func:`paddle_vfl.varifocal_loss`.
    """

    title = "varifocal loss"

    def __init__(
        self,
        use_sigmoid=True,
        alpha=0.75,
        gamma=2.0,
        iou_weighted=True,
        reduction="mean",
        loss_weight=1.0,
        target_power=1.0,
        positive_weight="score",
        detach_weight=False,
        class_weight=None,
    ):
        super().__init__(
            use_sigmoid,
            reduction,
            loss_weight,
            alpha=alpha,
            gamma=gamma,
            iou_weighted=iou_weighted,
            target_power=target_power,
            positive_weight=positive_weight,
            detach_weight=detach_weight,
            class_weight=class_weight,
        )


class QualityFocalLoss(FamilyLoss):
    """Quality focal loss (arXiv 2006.04388), ``|q - p|**beta * BCE(p, q)``, with the arguments and results of
    ``ppdet.modeling.losses.QualityFocalLoss``.

    ``paddle_vfl.enable()`` puts it where that class is. The target may be dense too.

    Args:
        use_sigmoid (bool): predictions are logits; otherwise probabilities.
        beta (float): focusing power, at least 0.
        reduction (str): "none", "mean" or "sum".
        loss_weight (float): factor of the result, at least 0.
        class_weight (Sequence[float], optional): factors of the loss of each class, shape (C,), finite, at least 0.

    Raises:
        TypeError, ValueError: as :func:`paddle_vfl.varifocal_loss`.
    """

    title = "quality focal loss"

    def __init__(self, use_sigmoid=True, beta=2.0, reduction="mean", loss_weight=1.0, class_weight=None):
        check_factor("beta", beta)
        super().__init__(
            use_sigmoid,
            reduction,
            loss_weight,
            alpha=1.0,
            gamma=beta,
            positive_weight="modulated",
            class_weight=class_weight,
        )
        self.beta = beta


class MatchabilityAwareLoss(FamilyLoss):
    """Matchability-aware loss (DEIM, arXiv 2412.04234): positives ``BCE(p, q**gamma)``, negatives ``alpha * p**gamma *
    BCE(p, 0)``, whose weight has no part in the gradient.

    Args:
        use_sigmoid (bool): predictions are logits; otherwise probabilities.
        gamma (float): power of the scores and of the weight of the negatives, at least 0.
        alpha (float): weight of the negatives, at least 0.
        reduction (str): "none", "mean" or "sum".
        loss_weight (float): factor of the result, at least 0.
        class_weight (Sequence[float], optional): factors of the loss of each class, shape (C,), finite, at least 0.

    Raises:
        TypeError, ValueError: as :func:`paddle_vfl.varifocal_loss`.
    """

    title = "matchability-aware loss"

    def __init__(self, use_sigmoid=True, gamma=1.5, alpha=1.0, reduction="mean", loss_weight=1.0, class_weight=None):
        super().__init__(
            use_sigmoid,
            reduction,
            loss_weight,
            alpha=alpha,
            gamma=gamma,
            target_power=gamma,
            positive_weight="one",
            detach_weight=True,
            class_weight=class_weight,
        )


def _layer_loss(layer, pred, target, weight, avg_factor):
    # not in the method: to_static rewrites the methods of any layer
    if avg_factor is not None and layer.reduction == "sum":
        raise ValueError('avg_factor can not be used with reduction="sum"')
    reduction, pair = layer.reduction, isinstance(target, (tuple, list))
    if reduction == "mean" and avg_factor is not None:
        reduction = "sum"

    def loss_with(reduction):
        return varifocal_loss(pred, target, **layer.formula, use_sigmoid=layer.use_sigmoid, reduction=reduction)

    if weight is None and (reduction == "sum" or (reduction == "mean" and layer.use_sigmoid and not pair)):
        loss = loss_with(reduction)
    else:
        # PaddleDetection sums over axis 1 for probabilities, and QualityFocalLoss, whose targets are pairs, always
        if pair or (not layer.use_sigmoid and len(pred.shape) == 2):
            loss = loss_with("row")
        elif not layer.use_sigmoid and len(pred.shape) < 2:
            raise ValueError(f"pred has shape {list(pred.shape)}, expected (N, C)")
        else:
            loss = loss_with("none") if layer.use_sigmoid else loss_with("none").sum(axis=1)
        if weight is not None:
            loss = loss * weight
        loss = loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.mean()
    if layer.reduction == "mean" and avg_factor is not None:
        loss = loss / avg_factor
    return loss if layer.loss_weight == 1 else layer.loss_weight * loss
