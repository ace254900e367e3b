"""Loads the extension and calls the custom operator on every Paddle version and in every mode."""

import importlib
import pathlib
import warnings
import zlib  # noqa: F401  comes before paddle: on Paddle 2.6.2, a zlib loaded later (by cv2, by pandas) crashes in inflateReset2

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "No ccache found")  # nothing is compiled here
    import paddle
    from paddle.utils.cpp_extension import load_op_meta_info_and_register_op

from ._version import __version__, local_version

__all__ = ["extension", "varifocal"]

_OP = "paddle_vfl_varifocal_loss"
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


# TargetKind and PositiveWeight in csrc/varifocal.h
KINDS = ("dense", "masked", "pair")
POSITIVE_WEIGHTS = ("score", "one", "modulated")


def varifocal(
    pred,
    target,
    label,
    class_weight,
    *,
    use_sigmoid,
    reduce_rows,
    detach_weight,
    kind,
    positive_weight,
    alpha,
    gamma,
    target_power,
):
    """One call of the operator; the arguments are those of csrc/varifocal_op.cc, checked by the caller."""
    inputs = {
        "Pred": pred,
        "Target": target,
        "Label": target if label is None else label,
        "ClassWeight": target if class_weight is None else class_weight,
    }
    attrs = {
        "use_sigmoid": bool(use_sigmoid),
        "reduce_rows": bool(reduce_rows),
        "detach_weight": bool(detach_weight),
        "weighted": class_weight is not None,
        "kind": KINDS.index(kind),
        "positive_weight": POSITIVE_WEIGHTS.index(positive_weight),
        "alpha": repr(float(alpha)),
        "gamma": repr(float(gamma)),
        "target_power": repr(float(target_power)),
    }
    if _eager_or_pir():
        return _run(_OP, *inputs.values(), *attrs.values())[0]
    return _append(inputs, attrs)


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
