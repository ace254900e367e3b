"""PaddleDetection's models as static graphs, for which Paddle 3 has a new format of programs, PIR."""

import functools
import inspect

import numpy as np
import paddle
from paddle.common_ops_import import check_variable_and_dtype

from .paddle_versions import Namespace, paddle_is_at_least
from .scalars import concat

__all__ = ["export_of_whole_graphs", "operators_in_static_graphs"]


def operators_in_static_graphs(patches):
    """A model does not become a static graph: TypeError: The type of '%BBoxes' in operator multiclass_nms3 should be
    one of [str, bytes, Variable]

    ppdet.modeling.ops adds operators to programs in the format of Paddle 2, which Paddle 3 no longer builds. Paddle has
    taken most of these functions over, as they are.
    """
    if not paddle_is_at_least(3, 0):
        return False
    from ppdet.modeling import ops

    taken_over = ("distribute_fpn_proposals", "generate_proposals", "matrix_nms", "prior_box")
    for function in (box_coder, multiclass_nms, *(getattr(paddle.vision.ops, name) for name in taken_over)):
        own = getattr(ops, function.__name__, None)
        if own is not None:  # PaddleYOLO has some of them
            patches.set_name(function.__name__, own, _in_static_graphs(function, own))
    return True


def _in_static_graphs(function, own):
    """``function`` in a program of Paddle 3, ``own`` everywhere else. Their parameters have the same order, if not the
    same names."""
    signature = inspect.signature(own)

    @paddle.jit.not_to_static
    @functools.wraps(own)
    def choose(*args, **kwargs):
        if not paddle.framework.in_pir_mode():
            return own(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return function(*bound.args)

    return choose


def box_coder(prior_box, prior_box_var, target_box, *args, **kwargs):
    """Paddle's, after PaddleDetection's check of the types."""
    for name, boxes in (("prior_box", prior_box), ("target_box", target_box)):
        check_variable_and_dtype(boxes, name, ["float32", "float64"], "box_coder")
    return paddle.vision.ops.box_coder(prior_box, prior_box_var, target_box, *args, **kwargs)


def multiclass_nms(
    bboxes,
    scores,
    score_threshold,
    nms_top_k,
    keep_top_k,
    nms_threshold=0.3,
    normalized=True,
    nms_eta=1.0,
    background_label=-1,
    return_index=False,
    return_rois_num=True,
    rois_num=None,
    name=None,
):
    """``ppdet.modeling.ops.multiclass_nms``, which Paddle has no public function for."""
    boxes, index, number = paddle._C_ops.multiclass_nms3(
        bboxes,
        scores,
        rois_num,
        score_threshold,
        nms_top_k,
        keep_top_k,
        nms_threshold,
        normalized,
        nms_eta,
        background_label,
    )
    return boxes, number if return_rois_num else None, index if return_index else None


def export_of_whole_graphs(patches):
    """A model is not exported: RuntimeError: Can't call main_program when full_graph=False

    Trainer.export needs a model's graph as a whole, and Paddle 2.6 and newer make parts of it unless told otherwise. It
    then looks in that graph, which has another format in Paddle 3, for the inputs that are used.
    """
    from ppdet.engine import export_utils, trainer
    from ppdet.modeling import post_process

    # newer PaddleDetections say full_graph=True
    if not paddle_is_at_least(2, 6) or "full_graph" in inspect.getsource(trainer):
        return False
    to_static = functools.partial(paddle.jit.to_static, full_graph=True)
    patches.set(trainer, "paddle", Namespace(paddle, jit=Namespace(paddle.jit, to_static=to_static)))
    if not paddle_is_at_least(3, 0):
        return True
    patches.set_name("_prune_input_spec", export_utils._prune_input_spec, used_inputs)
    patches.set(post_process, "paddle", Namespace(paddle, concat=concat, to_tensor=to_tensor))
    return True


def used_inputs(input_spec, program, targets):
    """Of ``input_spec``, a list of one dict, the inputs that the values ``targets`` depend on."""
    mapping = paddle.pir.IrMapping()
    pruned = program.clone(mapping)
    paddle.static.pir_io.pir_prune_with_input(pruned, [], [mapping.look_up(target) for target in targets])
    used = [op.attrs()["name"] for op in pruned.global_block().ops if op.name() == "pd_op.data"]
    return [{name: spec for name, spec in input_spec[0].items() if name in used}]


@paddle.jit.not_to_static
def to_tensor(data, *args, **kwargs):
    """``paddle.to_tensor``; in a static graph, one element has no dimensions.

    BBoxPostProcess has the number of an image's boxes from a tensor, as one element, or, where there is none, from
    here, and a static graph wants both of one shape.
    """
    if paddle.framework.in_pir_mode() and np.shape(data) == (1,):
        data = np.reshape(data, ())
    return paddle.to_tensor(data, *args, **kwargs)
