"""The architecture: backbone, feature pyramid, VFNetHead."""

from ppdet.modeling.architectures.gfl import GFL

__all__ = ["VFNet"]


class VFNet(GFL):
    """VarifocalNet (arXiv 2008.13367): an ATSS detector that looks at the box that it scores, and refines it.

    Args:
        backbone (object): backbone, such as ResNet.
        neck (object): feature pyramid, such as FPN with levels P3 to P7.
        head (object): VFNetHead.
    """

    def __init__(self, backbone, neck, head="VFNetHead"):
        super().__init__(backbone, neck, head)
