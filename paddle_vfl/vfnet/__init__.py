"""VarifocalNet (arXiv 2008.13367), the detector for which the varifocal loss was made.

``paddle_vfl.enable()`` registers ``VFNet`` and ``VFNetHead`` with PaddleDetection, so that a config can name them.
"""

__all__ = ["register"]


def register(patches):
    """Register the architecture and the head with PaddleDetection, until ``patches`` are undone.

    PaddleYOLO has neither GFL nor feature pyramids: there VFNet is left out.
    """
    from ..ppdet_plugin.registration import register_class

    try:
        from .architecture import VFNet
    except ModuleNotFoundError:
        return
    from ppdet.engine.export_utils import TRT_MIN_SUBGRAPH

    from .head import VFNetHead

    for cls in (VFNet, VFNetHead):
        register_class(patches, cls)
    # export ends the process, without an error, at an architecture that is not in here; as for GFL
    patches.set_item(TRT_MIN_SUBGRAPH, "VFNet", TRT_MIN_SUBGRAPH["GFL"])
