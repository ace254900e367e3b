"""enable, disable and status."""

import contextlib
import functools
import gc

import paddle

from .._ops import extension
from .._version import __version__
from ..errors import NotInstalled
from . import loss_key, version_fixes
from .announce import announce, logger, make_visible
from .call_sites import switch_call_sites
from .config_check import check_module
from .options import complete_options
from .patches import Patches
from .registration import register_vfnet

__all__ = ["Status", "disable", "enable", "prepare_import", "status"]

_patches = Patches()


class Status(dict):
    """``enabled``; ``switched`` and ``left_alone``, lists of call sites; ``fixes``, the symptoms of version fixes by
    name. Prints as a table."""

    def __str__(self):
        if not self["enabled"]:
            return "paddle_vfl is not enabled: PaddleDetection uses its own losses"
        rows = [("fused", site) for site in self["switched"]] + [("left alone", site) for site in self["left_alone"]]
        rows += [("fix", f"{name}: {symptom}") for name, symptom in self["fixes"].items()]
        return "\n".join(f"{state:<12}{name}" for state, name in rows)


_OFF = {"enabled": False, "switched": [], "left_alone": [], "fixes": {}}
_status = Status(_OFF)
_modules_seen = 0
_enabling = False
_making = 0  # modules that are being made now, one for another


def enable():
    """Switch PaddleDetection's varifocal losses to the fused operator. Calling it again changes nothing.

    In a YAML config, the line ``paddle_vfl: !!python/object/apply:paddle_vfl.enable []`` calls it while the config is
    read. Models that exist already keep the loss that they were built with, but for the static method of the PP-YOLOE
    heads. Classes that are registered later are switched before one of them is made.

    Returns:
        str: the version of paddle_vfl.

    Raises:
        ImportError: PaddleDetection is not installed.
    """
    global _enabling
    if _status["enabled"] or _enabling:  # what it imports may call it, under `paddle-vfl run`
        return __version__
    _enabling = True
    make_visible()
    try:
        with _no_garbage_collection():
            fixes = version_fixes.apply_before_import(_patches)
            _import_ppdet()
            fixes.update(version_fixes.apply_after_import(_patches))
        from ppdet.core import workspace

        register_vfnet(_patches)
        _patches.set_name("create", workspace.create, _checked(workspace.create))
        _switch(fixes)
        complete_options(_patches)  # reads the command line, which may call this function
        if paddle.is_compiled_with_cuda() and extension.cuda_version is None:
            logger.warning(
                "paddle_vfl was built without CUDA: the loss works on the CPU and raises an error for tensors on "
                "a GPU. To train on GPUs, install a CUDA toolkit and build paddle_vfl again, or leave it off"
            )
    except BaseException:
        disable()
        raise
    finally:
        _enabling = False
    return __version__


@contextlib.contextmanager
def _no_garbage_collection():
    """Imports and syntax trees are many new objects and hardly any garbage: looking for it took a tenth of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def prepare_import():
    """Apply what ``import ppdet`` itself needs."""
    version_fixes.apply_before_import(_patches)


def disable():
    """Put back everything that :func:`enable` changed. Does nothing if it was not called."""
    global _status, _modules_seen
    _patches.undo()
    _status, _modules_seen = Status(_OFF), 0


def status():
    """What is switched.

    Returns:
        Status: a dict, see there; ``print`` it for a table.
    """
    return Status(_status)


def _switch(fixes):
    """Switch every call site that is registered by now, and say what is new."""
    global _status, _modules_seen
    from ppdet.core.workspace import get_registered_modules

    registered = get_registered_modules()
    modules = {}
    for name, schema in sorted(registered.items()):
        cls = getattr(schema.pymodule, name, None)
        if isinstance(cls, type) and name not in loss_key.FAMILY:
            modules[cls] = schema
    switched, left_alone = switch_call_sites(_patches, modules)
    new = [place for place in switched if place not in _status["switched"]]
    strange = [place for place in left_alone if place not in _status["left_alone"]]
    _status = Status(enabled=True, switched=switched, left_alone=left_alone, fixes=fixes)
    _modules_seen = len(registered)
    if new:
        logger.debug("paddle_vfl %s: fused varifocal loss in %s", __version__, ", ".join(new))
    if strange:
        logger.warning("paddle_vfl: left alone, because they do not look as expected: %s", ", ".join(strange))


def _checked(create):
    """``ppdet.core.workspace.create``, which makes a module from its config, with a check of that config before."""

    @functools.wraps(create)
    def checked_create(cls_or_name, **kwargs):
        global _making
        if not _status["enabled"]:
            return create(cls_or_name, **kwargs)
        from ppdet.core.workspace import SchemaDict, get_registered_modules, global_config

        name = cls_or_name if isinstance(cls_or_name, str) else getattr(cls_or_name, "__name__", None)
        config = global_config.get(name)
        if len(get_registered_modules()) != _modules_seen:
            _switch(_status["fixes"])
        if isinstance(config, SchemaDict):
            check_module(name, config, [key for key in global_config if not loss_key.is_registered(key)])
        _making += 1
        try:
            made = create(cls_or_name, **kwargs)
        finally:
            _making -= 1
        if _making == 0 and getattr(made, "__category__", None) == "architecture":
            announce(made)
        return made

    return checked_create


def _import_ppdet():
    try:
        import ppdet.modeling  # noqa: F401  registers every head
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "ppdet":
            raise NotInstalled(
                "PaddleDetection is not installed: pip install paddledet==2.6.0 scikit-learn 'setuptools<81', or put a "
                "checkout on PYTHONPATH"
            ) from error
        if error.name == "pkg_resources":
            raise NotInstalled(
                "PaddleDetection imports pkg_resources, which setuptools 81 removed: pip install 'setuptools<81'"
            ) from error
        raise
