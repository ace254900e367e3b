"""PaddleDetection's operators in static graphs of Paddle 3, and its export."""

import inspect

import numpy as np
import paddle
import pytest

import paddle_vfl
from paddle_vfl.ppdet_plugin.version_fixes.static_graph import used_inputs

pytestmark = pytest.mark.skipif(paddle.__version__ < "3", reason="needed on Paddle 3")


@pytest.fixture
def boxes(rng):
    corner = rng.uniform(0, 20, (2, 12, 2)).astype("float32")
    return np.concatenate([corner, corner + rng.uniform(5, 20, (2, 12, 2)).astype("float32")], -1)


@pytest.fixture
def scores(rng):
    return rng.uniform(0, 1, (2, 3, 12)).astype("float32")


def in_a_static_graph(function, **arrays):
    """What the function returns for tensors of these arrays, without None, computed by a program.

    In a scope of its own: what is fetched into the global one keeps its LoD for the programs that follow.
    """
    paddle.enable_static()
    try:
        program = paddle.static.Program()
        with paddle.static.scope_guard(paddle.static.Scope()), paddle.static.program_guard(program):
            data = {name: paddle.static.data(name, value.shape, value.dtype) for name, value in arrays.items()}
            fetch = flat(function(**data))
            results = paddle.static.Executor().run(program, feed=arrays, fetch_list=fetch, return_numpy=False)
            return [np.asarray(result) for result in results]
    finally:
        paddle.disable_static()


def at_once(function, **arrays):
    """The same, without a program."""
    return [
        value.numpy() for value in flat(function(**{name: paddle.to_tensor(value) for name, value in arrays.items()}))
    ]


def flat(results):
    results = results if isinstance(results, (list, tuple)) else [results]
    return [
        value
        for result in results
        if result is not None
        for value in (result if isinstance(result, (list, tuple)) else [result])
    ]


def cases(boxes, scores, rng):
    """{operator: (call of it, its tensors)}."""
    from ppdet.modeling import ops

    def multiclass_nms(bboxes, scores):
        return ops.multiclass_nms(bboxes, scores, 0.2, 10, keep_top_k=5, return_index=True)

    def matrix_nms(bboxes, scores):
        return ops.matrix_nms(bboxes, scores, 0.2, 0.1, nms_top_k=10, keep_top_k=5, background_label=-1)

    def box_coder(priors, targets):
        return ops.box_coder(priors, [0.1, 0.1, 0.2, 0.2], targets, "decode_center_size", box_normalized=False)

    def prior_box(feature, image):
        return ops.prior_box(feature, image, min_sizes=[4.0], aspect_ratios=[1.0, 2.0], clip=True)

    def generate_proposals(scores, deltas, shape, anchors, variances):
        return ops.generate_proposals(
            scores, deltas, im_shape=shape, anchors=anchors, variances=variances, post_nms_top_n=4, return_rois_num=True
        )

    def distribute_fpn_proposals(rois, number):
        return ops.distribute_fpn_proposals(rois, 2, 4, 3, 16, rois_num=number)

    anchors = boxes[0].reshape(2, 2, 3, 4)
    return {
        "multiclass_nms": (multiclass_nms, {"bboxes": boxes, "scores": scores}),
        "matrix_nms": (matrix_nms, {"bboxes": boxes, "scores": scores}),
        "box_coder": (box_coder, {"priors": boxes[0], "targets": boxes}),
        "prior_box": (prior_box, {"feature": np.zeros((1, 2, 3, 3), "f"), "image": np.zeros((1, 3, 12, 12), "f")}),
        "generate_proposals": (
            generate_proposals,
            {
                "scores": rng.uniform(0, 1, (1, 3, 2, 2)).astype("float32"),
                "deltas": rng.uniform(-0.1, 0.1, (1, 12, 2, 2)).astype("float32"),
                "shape": np.array([[40, 40]], "float32"),
                "anchors": anchors,
                "variances": np.ones_like(anchors),
            },
        ),
        "distribute_fpn_proposals": (
            distribute_fpn_proposals,
            {"rois": boxes.reshape(-1, 4), "number": np.array([12, 12], "int32")},
        ),
    }


OPERATORS = ["multiclass_nms", "matrix_nms", "box_coder", "prior_box", "generate_proposals", "distribute_fpn_proposals"]


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_computes_in_a_static_graph_what_it_computes_at_once(name, boxes, scores, rng):
    import ppdet

    use, arrays = cases(boxes, scores, rng)[name]
    expected = at_once(use, **arrays)
    if getattr(ppdet, "__version__", "develop") == "2.6.0":
        with pytest.raises(TypeError):
            in_a_static_graph(use, **arrays)
    paddle_vfl.enable()
    for results in (at_once(use, **arrays), in_a_static_graph(use, **arrays)):
        assert len(results) == len(expected)
        for result, other in zip(results, expected):
            np.testing.assert_array_equal(result, other)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_call_means_the_same_in_a_static_graph(name):
    """Arguments are passed on in the order of PaddleDetection's parameters, with its defaults."""
    from ppdet.modeling import ops

    from paddle_vfl.ppdet_plugin.version_fixes import static_graph

    renamed = {"img_size": "im_shape"}
    function = getattr(static_graph, name, None) or getattr(paddle.vision.ops, name)
    if name == "box_coder":  # it checks three and passes the others on
        function = paddle.vision.ops.box_coder
    ours, theirs = (
        [(renamed.get(p.name, p.name), p.default) for p in inspect.signature(f).parameters.values()]
        for f in (function, getattr(ops, name))
    )
    assert ours == theirs


def test_arguments_of_a_wrong_type_are_refused_as_before(boxes):
    from ppdet.modeling import ops

    paddle_vfl.enable()
    with pytest.raises(TypeError, match="prior_box.*float32.*int32"):
        in_a_static_graph(
            lambda priors, targets: ops.box_coder(priors, [0.1] * 4, targets),
            priors=boxes[0].astype("int32"),
            targets=boxes[0],
        )


def test_the_inputs_that_are_used():
    """``scale`` only feeds what is thrown away, ``size`` is used inside of a branch."""

    def forward(inputs):
        inputs["scale"] * 2
        if inputs["image"].sum() > 0:
            return inputs["image"] + inputs["size"].sum()
        return inputs["image"]

    spec = [{name: paddle.static.InputSpec([None, 2], name=name) for name in ("image", "size", "scale")}]
    static = paddle.jit.to_static(forward, input_spec=spec, full_graph=True)
    program = static.main_program
    names = {name: id(value) for name, value in spec[0].items()}
    assert list(used_inputs(spec, program, static.outputs)[0]) == ["image", "size"]
    assert {name: id(value) for name, value in spec[0].items()} == names
