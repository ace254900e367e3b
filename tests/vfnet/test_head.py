"""VFNetHead where training meets its limits."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest


@pytest.fixture
def make():
    from ppdet.core import workspace

    def make(classes=3, levels=(8, 16), **options):
        paddle.seed(0)
        options = {"feat_channels": 32, "num_convs": 1, "num_classes": classes, **options}
        workspace.merge_config({"VFNetHead": options, "ATSSAssigner": {"num_classes": classes}})
        shapes = [_shape(stride) for stride in levels]
        return workspace.create("VFNetHead", input_shape=shapes)

    return make


def _shape(stride):
    from ppdet.modeling.shape_spec import ShapeSpec

    return ShapeSpec(channels=32, stride=stride)


def features(size=128, levels=(8, 16)):
    return [paddle.randn([2, 32, size // stride, size // stride]) for stride in levels]


def boxes(count, classes=3):
    """Boxes of two images as PadGT has them, the second of which has none."""
    box = paddle.to_tensor([[8.0, 8.0, 72.0, 80.0], [40.0, 30.0, 120.0, 100.0]])[:count]
    return {
        "gt_bbox": paddle.stack([box, paddle.zeros_like(box)]),
        "gt_class": paddle.full([2, count, 1], classes - 1, dtype="int32"),
        "pad_gt_mask": paddle.stack([paddle.ones([count, 1]), paddle.zeros([count, 1])]),
    }


@pytest.mark.parametrize("classes", [1, 3])
def test_losses_are_finite_and_reach_every_parameter(make, classes):
    head = make(classes)
    losses = head.get_loss(head(features()), boxes(2, classes))
    assert set(losses) == {"loss_cls", "loss_bbox", "loss_bbox_refine"}
    assert all(np.isfinite(float(loss)) and float(loss) > 0 for loss in losses.values())
    paddle.add_n(list(losses.values())).backward()
    assert all(np.isfinite(parameter.grad.numpy()).all() for parameter in head.parameters())


def test_the_exponential_is_bounded(make):
    head = make()
    paddle.nn.initializer.Constant(1e3)(head.reg.bias)
    paddle.nn.initializer.Constant(1e3)(head.reg_refine.bias)
    losses = head.get_loss(head(features()), boxes(2))
    paddle.add_n(list(losses.values())).backward()
    assert all(np.isfinite(float(loss)) for loss in losses.values())
    assert all(np.isfinite(parameter.grad.numpy()).all() for parameter in head.parameters())


def test_the_gradient_through_the_star_is_a_tenth(make):
    """The first box gets the gradient of its own loss whole, and a tenth of that of the scores."""
    grads = []
    for factor in (1.0, 0.1):
        head = make()
        head.gradient_mul = factor
        paddle.seed(1)
        logits, _, _ = head(features())
        sum((level * level).sum() for level in logits).backward()
        grads.append(head.reg.weight.grad.numpy())
    np.testing.assert_allclose(grads[1], 0.1 * grads[0], rtol=1e-3, atol=1e-6 * np.abs(grads[0]).max())


@pytest.mark.parametrize("unit,cells", [("reg_denom", 8.0), ("stride", 1.0)])
def test_the_size_of_the_first_box_before_training(make, unit, cells):
    head = make(bbox_norm_type=unit)
    paddle.nn.initializer.Constant(0.0)(head.reg.weight)
    for first, stride in zip(head(features())[1], head.strides):
        assert (first.numpy() == cells * stride).all()


def test_an_unknown_unit_of_the_first_box(make):
    with pytest.raises(ValueError, match="VFNetHead: bbox_norm_type is 'cells', expected one of reg_denom, stride"):
        make(bbox_norm_type="cells")


def test_without_the_star_the_last_convolutions_are_ordinary_ones(make):
    head, seen = make(), []
    head.star = False
    head.cls_star.register_forward_post_hook(lambda conv, inputs, output: seen.append((inputs[0], output)))
    head(features())
    for x, output in seen:
        np.testing.assert_allclose(output, F.conv2d(x, head.cls_star.weight, padding=1), rtol=1e-4, atol=1e-5)


def test_without_refinement_the_first_box_is_scored_and_found(make):
    head = make(refine=False)
    assert not any("refine" in name for name, _ in head.named_parameters())
    outputs = head(features())
    losses = head.get_loss(outputs, boxes(2))
    assert set(losses) == {"loss_cls", "loss_bbox"}
    _, first, refined = outputs
    assert all((a == b).all() for a, b in zip(first, refined))
    paddle.add_n(list(losses.values())).backward()
    assert all(np.isfinite(parameter.grad.numpy()).all() for parameter in head.parameters())


def test_boxes_lie_inside_the_image(make):
    head = make()
    head.nms.score_threshold = 0.0
    head.eval()
    found, _ = head.post_process(head(features()), paddle.full([2, 2], 128.0), paddle.full([2, 2], 2.0))
    corners = found[:, 2:].numpy()
    assert len(corners) and corners.min() >= 0 and corners.max() <= 64


def test_a_level_without_a_positive(make):
    """Only the first level has positives: the box of a level without is no part of the losses."""
    head = make()
    meta = boxes(1)
    meta["gt_bbox"][0, 0] = paddle.to_tensor([20.0, 20.0, 84.0, 84.0])
    losses = head.get_loss(head(features()), meta)
    paddle.add_n(list(losses.values())).backward()
    assert all(np.isfinite(float(loss)) for loss in losses.values())
    for scales in (head.scales, head.scales_refine):
        assert float(scales[0].scale.grad) != 0
    assert float(head.scales_refine[1].scale.grad) == 0


def test_places_are_in_float32_where_convolutions_are_not(make):
    """AMP, which Paddle has on accelerators only, makes the outputs of convolutions half as wide, O2 parameters too."""
    head, given = make(), []
    for scales in (head.scales, head.scales_refine):
        scales.to(dtype="bfloat16")
    for conv in (head.reg, head.reg_refine):
        conv.register_forward_post_hook(lambda conv, inputs, output: output.astype("bfloat16"))
    for star in (head.cls_star, head.reg_refine_star):
        star.register_forward_pre_hook(lambda star, inputs: given.append(inputs[1]))
    maps = features()
    _, first, refined = head(maps)
    assert all(level.dtype == paddle.float32 for level in [*first, *refined, *given]) and len(given) == 4
    assert any((level != level.astype("bfloat16").astype("float32")).any() for level in first)
    losses = head.get_loss(head(maps), boxes(2))
    paddle.add_n(list(losses.values())).backward()
    assert all(np.isfinite(parameter.grad.numpy()).all() for parameter in head.parameters())


def test_the_same_seed_gives_the_same_bits(make):
    def step():
        head = make()
        losses = head.get_loss(head(features()), boxes(2))
        paddle.add_n(list(losses.values())).backward()
        return [*losses.values(), *(parameter.grad for parameter in head.parameters())]

    assert all((a == b).all() for a, b in zip(step(), step()))
