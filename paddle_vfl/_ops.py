"""Loads the extension and calls the custom operator on every Paddle version and in every mode."""

import importlib
import pathlib
import warnings

# before paddle: on Paddle 2.6.2, a zlib loaded later (by cv2, by pandas) crashes in inflateReset2
import zlib  # noqa: F401

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "No ccache found")  # nothing is compiled here
    import paddle
    from paddle.utils.cpp_extension import load_op_meta_info_and_register_op

from ._version import __version__, local_version

__all__ = ["extension", "varifocal"]

_OP = "paddle_vfl_varifocal_loss"
_ONE_PASS = _OP + "_one_pass"
_NAME = "paddle_vfl._C"


def _way_out():
    cuda = paddle.version.cuda() if paddle.is_compiled_with_cuda() else None
    version = f"{__version__}+{local_version(paddle.__version__, cuda)}"
    return (
        f"Install the wheel of paddle_vfl {version}, or build it again in a checkout: "
        "pip install --force-reinstall --no-deps --no-build-isolation ."
    )


def _load():
    """The module paddle_vfl._C, its operator registered with Paddle.

    Paddle keeps source compatibility for custom operators, not binary: another Paddle needs another build.
    """
    folder = pathlib.Path(__file__).parent
    if (folder.parent / "csrc").is_dir() and not any(folder.glob("_C.*")):
        raise ImportError(
            f"{folder} is the source of paddle_vfl, and its operator is not built there. If you have installed "
            "paddle_vfl, change to another folder; to run it from here: pip install --no-build-isolation -e .",
            name=_NAME,
        )
    try:
        module = importlib.import_module(_NAME)
    except ImportError as error:
        raise ImportError(
            f"the operator of paddle_vfl cannot be loaded with Paddle {paddle.__version__}: {error}. {_way_out()}",
            name=_NAME,
        ) from error
    if module.paddle_version != paddle.__version__:
        raise ImportError(
            f"paddle_vfl was built for Paddle {module.paddle_version}, and this is Paddle {paddle.__version__}. "
            f"{_way_out()}",
            name=_NAME,
        )
    load_op_meta_info_and_register_op(module.__file__)
    return module


extension = _load()

if hasattr(paddle._C_ops, "_run_custom_op"):
    _run = paddle._C_ops._run_custom_op
else:  # Paddle 2.6
    _run = paddle.base.core.eager._run_custom_op


# TargetKind and PositiveWeight in csrc/varifocal.h, Reduction in csrc/attributes.h
KINDS = ("dense", "masked", "pair")
POSITIVE_WEIGHTS = ("score", "one", "modulated")
REDUCTIONS = ("none", "row", "sum", "mean")
_HAS_GPUS = paddle.is_compiled_with_cuda()


def varifocal(pred, target, label, class_weight, *, reduction, **options):
    """The loss; the arguments are those of csrc/varifocal_op.cc, checked by the caller.

    On the CPU one call of an operator gives the whole loss, with the gradient where one is wanted. In programs, of
    distributed tensors and on a GPU, sums and means are Paddle's operators behind that which adds up the rows.
    """
    if _is_eager_on_cpu(pred):
        wants_gradient = not pred.stop_gradient and paddle.is_grad_enabled()
        name = _ONE_PASS if wants_gradient and reduction != "none" else _OP
        return _call(name, pred, target, label, class_weight, reduction=reduction, **options)
    if reduction in ("none", "row"):
        return _call(_OP, pred, target, label, class_weight, reduction=reduction, **options)
    classes = pred.shape[-1]
    # a static program may not know the number of classes yet
    rows = reduction == "sum" or classes > 0
    loss = _call(_OP, pred, target, label, class_weight, reduction="row" if rows else "none", **options)
    if reduction == "sum":
        return loss.sum()
    return loss.mean() / classes if rows else loss.mean()


def _is_eager_on_cpu(tensor):
    if not paddle.in_dynamic_mode():
        return False
    # to_static (SOT) warns of a tensor's place, and cannot break its graph at is_cpu_place()
    on_cpu = not _HAS_GPUS or str(tensor.place) == "Place(cpu)"
    return on_cpu and not (hasattr(tensor, "is_dist") and tensor.is_dist())


def _call(
    name,
    pred,
    target,
    label,
    class_weight,
    *,
    use_sigmoid,
    reduction,
    detach_weight,
    kind,
    positive_weight,
    alpha,
    gamma,
    target_power,
):
    inputs = {
        "Pred": pred,
        "Target": target,
        "Label": target if label is None else label,
        "ClassWeight": target if class_weight is None else class_weight,
    }
    attrs = {
        "use_sigmoid": bool(use_sigmoid),
        "detach_weight": bool(detach_weight),
        "weighted": class_weight is not None,
        "kind": KINDS.index(kind),
        "positive_weight": POSITIVE_WEIGHTS.index(positive_weight),
        "reduction": REDUCTIONS.index(reduction),
        "alpha": repr(float(alpha)),
        "gamma": repr(float(gamma)),
        "target_power": repr(float(target_power)),
    }
    if not _eager_or_pir():
        return _append(inputs, attrs)
    loss = _run(name, *inputs.values(), *attrs.values())[0]
    if paddle.in_dynamic_mode() and not paddle.is_grad_enabled():
        loss.stop_gradient = True  # which custom operators forget
    return loss


def _eager_or_pir():
    if hasattr(paddle.framework, "in_dynamic_or_pir_mode"):
        return paddle.framework.in_dynamic_or_pir_mode()
    return paddle.in_dynamic_mode()


def _append(inputs, attrs):
    """Add the operator to a static program of the old sort."""
    from paddle.base.layer_helper import LayerHelper

    helper = LayerHelper(_OP)
    dtype = "float64" if "64" in str(inputs["Pred"].dtype) else "float32"
    loss = helper.create_variable_for_type_inference(dtype=dtype)
    helper.append_op(type=_OP, inputs=inputs, outputs={"Loss": loss}, attrs=attrs)
    return loss
