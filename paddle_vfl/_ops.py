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


KINDS = ("dense", "masked", "pair")  # TargetKind in csrc/varifocal.h


def varifocal(pred, target, label, *, iou_weighted, use_sigmoid, reduce_rows, kind, alpha, gamma):
    """One call of the operator; the arguments are those of csrc/varifocal_op.cc, checked by the caller."""
    label = target if label is None else label
    attrs = {
        "iou_weighted": bool(iou_weighted),
        "use_sigmoid": bool(use_sigmoid),
        "reduce_rows": bool(reduce_rows),
        "kind": KINDS.index(kind),
        "alpha": repr(float(alpha)),
        "gamma": repr(float(gamma)),
    }
    if _eager_or_pir():
        return _run(_OP, pred, target, label, *attrs.values())[0]
    return _append(pred, target, label, attrs)


def _eager_or_pir():
    if hasattr(paddle.framework, "in_dynamic_or_pir_mode"):
        return paddle.framework.in_dynamic_or_pir_mode()
    return paddle.in_dynamic_mode()


def _append(pred, target, label, attrs):
    """Add the operator to a static program of the old sort."""
    from paddle.base.layer_helper import LayerHelper

    helper = LayerHelper(_OP)
    loss = helper.create_variable_for_type_inference(dtype="float64" if "64" in str(pred.dtype) else "float32")
    helper.append_op(
        type=_OP, inputs={"Pred": pred, "Target": target, "Label": label}, outputs={"Loss": loss}, attrs=attrs
    )
    return loss
