"""Weights of mmdetection's VFNet for ours."""

from ..errors import UserError
from .mmdetection import paddle_names

__all__ = ["converted", "model_of"]


def converted(theirs, model):
    """The weights of mmdetection's VFNet by the names that they have here.

    Args:
        theirs (dict[str, numpy.ndarray]): name in mmdetection -> array.
        model (paddle.nn.Layer): the VFNet to fit, with ``backbone``, ``neck`` and ``head``.

    Returns:
        dict[str, numpy.ndarray]: all of the model's.

    Raises:
        UserError: something is left over, something is missing, or a shape is another one.
    """
    names = paddle_names(theirs)
    left = sorted(set(theirs) - set(names))
    if left:
        why = " (deformable convolutions)" if any("conv_offset" in name for name in left) else ""
        raise UserError(f"{_some(left)}: VFNet with ResNet and FPN has nothing like that{why}")
    ours = {names[name]: array.reshape([1]) if array.ndim == 0 else array for name, array in theirs.items()}
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    missing = sorted(set(shapes) - set(ours))
    if missing:
        raise UserError(f"there is nothing for {_some(missing)} of the model")
    for name, source in {names[name]: name for name in theirs}.items():
        if ours[name].shape != shapes.get(name):
            expected = f"expected {shapes[name]}" if name in shapes else "the model has nothing like that"
            raise UserError(f"{source} has the shape {ours[name].shape}: {expected}")
    return ours


def model_of(theirs):
    """The paper's VFNet for the weights of mmdetection's: ResNet of their depth, their number of classes.

    Raises:
        UserError: they are of another detector or backbone.
    """
    from ppdet.modeling.backbones.resnet import ResNet, ResNet_cfg
    from ppdet.modeling.necks import FPN

    from .architecture import VFNet
    from .head import VFNetHead

    scores = theirs.get("bbox_head.vfnet_cls.weight")
    if scores is None:
        raise UserError("there is no bbox_head.vfnet_cls.weight: this is no VFNet of mmdetection")
    blocks = [
        len({name.split(".")[2] for name in theirs if name.startswith(f"backbone.layer{i}.")}) for i in range(1, 5)
    ]
    depths = {
        depth: counts for depth, counts in ResNet_cfg.items() if depth >= 50
    }  # smaller ones differ in PaddleDetection
    depth = next((depth for depth, counts in depths.items() if counts == blocks), None)
    if depth is None or "backbone.layer1.0.conv3.weight" not in theirs:
        raise UserError(f"its backbone, of {blocks} blocks, is none of ResNet-{', '.join(map(str, depths))}")
    backbone = ResNet(depth=depth, return_idx=[1, 2, 3])
    neck = FPN(
        [shape.channels for shape in backbone.out_shape],
        256,
        [1 / shape.stride for shape in backbone.out_shape],
        has_extra_convs=True,
        extra_stage=2,
        use_c5=False,
    )
    return VFNet(backbone, neck, VFNetHead(num_classes=len(scores), assigner=None, nms=None))


def _some(names):
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
