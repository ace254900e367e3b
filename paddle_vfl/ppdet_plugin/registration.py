"""Classes that the plugin adds to PaddleDetection's registry."""

__all__ = ["register_class", "register_vfnet"]


def register_vfnet(patches):
    """Register the architecture ``VFNet`` and its head, until ``patches`` are undone.

    PaddleYOLO has neither GFL nor feature pyramids: there VFNet is left out.
    """
    try:
        from ..vfnet.architecture import VFNet
    except ModuleNotFoundError:
        return
    from ppdet.engine.export_utils import TRT_MIN_SUBGRAPH

    from ..vfnet.head import VFNetHead

    for cls in (VFNet, VFNetHead):
        register_class(patches, cls)
    # export ends the process, without an error, at an architecture that is not in here; as for GFL
    patches.set_item(TRT_MIN_SUBGRAPH, "VFNet", TRT_MIN_SUBGRAPH["GFL"])


def register_class(patches, cls):
    """Register a class until ``patches`` are undone.

    What a config says of it under its name is kept, if it was read before, and when the patches are undone.
    """
    from ppdet.core.config.schema import SchemaDict, extract_schema
    from ppdet.core.workspace import global_config

    name, schema = cls.__name__, extract_schema(cls)
    there = global_config.get(name)
    schema.update(there if isinstance(there, dict) else {})
    if isinstance(there, SchemaDict):  # somebody's own class, which is put back
        patches.set_item(global_config, name, schema)
        return
    global_config[name] = schema
    patches.on_undo(lambda: _unregister(global_config, name))


def _unregister(config, name):
    said = config.pop(name, None)
    if isinstance(said, dict) and said:
        config[name] = dict(said)
