"""Classes that the plugin adds to PaddleDetection's registry."""

__all__ = ["register_class"]


def register_class(patches, cls):
    """Register a class until ``patches`` are undone.

    What a config says of it under its name is kept, if it was read before, and when the patches are undone.
    """
    from ppdet.core.config.schema import extract_schema
    from ppdet.core.workspace import global_config

    name, schema = cls.__name__, extract_schema(cls)
    schema.update(global_config.get(name) or {})
    global_config[name] = schema
    patches.on_undo(lambda: _unregister(global_config, name))


def _unregister(config, name):
    said = config.pop(name, None)
    if isinstance(said, dict) and said:
        config[name] = dict(said)
