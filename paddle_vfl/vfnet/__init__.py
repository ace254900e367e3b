"""VarifocalNet (arXiv 2008.13367), the detector for which the varifocal loss was made.

``paddle_vfl.enable()`` registers ``VFNet`` and ``VFNetHead`` with PaddleDetection, so that a config can name them.
"""

__all__ = ["register"]


def register(patches):
    """Register the architecture and the head with PaddleDetection, until ``patches`` are undone.

    PaddleYOLO has neither GFL nor feature pyramids: there VFNet is left out.
    """
    from ppdet.core.config.schema import extract_schema
    from ppdet.core.workspace import global_config

    try:
        from .architecture import VFNet
    except ModuleNotFoundError:
        return
    from ppdet.engine.export_utils import TRT_MIN_SUBGRAPH

    from .head import VFNetHead

    for cls in (VFNet, VFNetHead):
        schema, block = extract_schema(cls), global_config.get(cls.__name__)
        schema.update(block if isinstance(block, dict) else {})  # that of a config which has been read already
        patches.set_item(global_config, cls.__name__, schema)
    # export ends the process, without an error, at an architecture that is not in here; as for GFL
    patches.set_item(TRT_MIN_SUBGRAPH, "VFNet", TRT_MIN_SUBGRAPH["GFL"])
