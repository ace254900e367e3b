"""Heads that compute varifocal loss in a static method ``_varifocal_loss``, as PP-YOLOE does.

They are found by that method. With the plugin they also take a key ``loss`` in YAML, a VarifocalLoss by name or as a mapping, which
sets what PaddleDetection hard-codes: alpha, gamma and iou_weighted. ``use_sigmoid`` and ``reduction`` stay the head's own:
it passes probabilities and wants the sum.
"""
import functools
import inspect

from ..varifocal_loss import VarifocalLoss, varifocal_loss

__all__ = ["switch_heads"]

METHOD = "_varifocal_loss"
SIGNATURE = [("pred_score", inspect.Parameter.empty), ("gt_score", inspect.Parameter.empty), ("label", inspect.Parameter.empty), ("alpha", 0.75), ("gamma", 2.0)]


def fused_varifocal_loss(pred_score, gt_score, label, alpha=0.75, gamma=2.0, iou_weighted=True, loss_weight=1.0):
    """Takes the place of ``PPYOLOEHead._varifocal_loss``: probabilities, scores and 0/1 labels of shape (N, L, C), summed."""
    loss = varifocal_loss(
        pred_score, gt_score, label, alpha=alpha, gamma=gamma, iou_weighted=iou_weighted, use_sigmoid=False, reduction="sum",
    )
    return loss if loss_weight == 1 else loss_weight * loss


def switch_heads(patches):
    """Switch every registered head that has the method. Returns (names switched, names left alone)."""
    from ppdet.core.workspace import get_registered_modules

    heads = {}
    for name, schema in sorted(get_registered_modules().items()):
        cls = getattr(schema.pymodule, name, None)
        if isinstance(cls, type) and inspect.getattr_static(cls, METHOD, None) is not None:
            heads[name] = (cls, schema)

    switched, strange = [], []
    own = {cls for cls, _ in heads.values() if METHOD in vars(cls)}
    unfit = {cls for cls in own if not _is_known(vars(cls)[METHOD])}
    for name, (cls, schema) in heads.items():
        if any(base in unfit for base in cls.__mro__):
            strange.append(f"{name}.{METHOD}")
            continue
        _accept_loss(patches, cls, schema)
        switched.append(f"{name}.{METHOD}")
    for cls in own - unfit:
        patches.set(cls, METHOD, staticmethod(fused_varifocal_loss))
    return switched, strange


def _is_known(method):
    if not isinstance(method, staticmethod):
        return False
    parameters = inspect.signature(method.__func__).parameters.values()
    return [(p.name, p.default) for p in parameters] == SIGNATURE


def _accept_loss(patches, cls, schema):
    """Let the constructor and the config of a head take ``loss``."""
    if "loss" in schema.schema:
        return
    from ppdet.core.config.schema import SchemaValue

    value = SchemaValue("loss", "VarifocalLoss: a name, or a mapping with name, alpha, gamma, ...")
    value.set_default(None)
    patches.set_item(schema.schema, "loss", value)
    patches.set(schema, "inject", [*schema.inject, "loss"])
    patches.on_undo(lambda: schema.pop("loss", None))
    init = cls.__init__

    @functools.wraps(init)
    def __init__(self, *args, loss=None, **kwargs):
        init(self, *args, **kwargs)
        if loss is not None:
            _use(self, loss)

    patches.set(cls, "__init__", __init__)


def _use(head, loss):
    if not isinstance(loss, VarifocalLoss):
        raise TypeError(f"{type(head).__name__}: loss is a {type(loss).__name__}, expected VarifocalLoss")
    head.use_varifocal_loss = True
    options = {"alpha": loss.alpha, "gamma": loss.gamma, "iou_weighted": loss.iou_weighted, "loss_weight": loss.loss_weight}
    setattr(head, METHOD, functools.partial(fused_varifocal_loss, **options))
