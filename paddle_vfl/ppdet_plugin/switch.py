"""enable, disable and status."""
import logging

from .._version import __version__
from . import heads, loss_class, version_fixes
from .patches import Patches

__all__ = ["Status", "disable", "enable", "status"]

logger = logging.getLogger("paddle_vfl")
_patches = Patches()


class Status(dict):
    """``enabled``; ``switched`` and ``left_alone``, lists of call sites; ``fixes``, names of version fixes. Prints as a table."""

    def __str__(self):
        if not self["enabled"]:
            return "paddle_vfl is not enabled: PaddleDetection uses its own varifocal loss"
        rows = [("fused", site) for site in self["switched"]] + [("left alone", site) for site in self["left_alone"]]
        rows += [("fix", name) for name in self["fixes"]]
        return "\n".join(f"{kind:<12}{name}" for kind, name in rows)


_OFF = {"enabled": False, "switched": [], "left_alone": [], "fixes": []}
_status = Status(_OFF)


def enable():
    """Switch PaddleDetection's varifocal losses to the fused operator. Calling it again changes nothing.

    In a YAML config, the line ``paddle_vfl: !!python/object/apply:paddle_vfl.enable []`` calls it while the config is read.
    Models that exist already keep the loss that they were built with, but for the static method of the PP-YOLOE heads.

    Returns:
        str: the version of paddle_vfl.

    Raises:
        ImportError: PaddleDetection is not installed.
    """
    global _status
    if _status["enabled"]:
        return __version__
    fixes = []
    try:
        fixes += version_fixes.apply_before_import(_patches)
        _import_ppdet()
        fixes += version_fixes.apply_after_import(_patches)
        switched = loss_class.switch_loss_class(_patches)
        fused_heads, strange = heads.switch_heads(_patches)
    except BaseException:
        _patches.undo()
        raise
    _status = Status(enabled=True, switched=switched + fused_heads, left_alone=strange, fixes=fixes)
    logger.info("paddle_vfl %s: fused varifocal loss in %s", __version__, ", ".join(_status["switched"]))
    if strange:
        logger.warning("paddle_vfl: left alone, because they do not look as expected: %s", ", ".join(strange))
    return __version__


def disable():
    """Put back everything that :func:`enable` changed. Does nothing if it was not called."""
    global _status
    _patches.undo()
    _status = Status(_OFF)


def status():
    """What is switched.

    Returns:
        Status: a dict, see there; ``print`` it for a table.
    """
    return Status(_status)


def _import_ppdet():
    try:
        import ppdet.modeling  # noqa: F401  registers every head
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "ppdet":
            raise ImportError("PaddleDetection is not installed: pip install 'paddle-vfl[det]', or put a checkout on PYTHONPATH") from error
        if error.name == "pkg_resources":
            raise ImportError("PaddleDetection imports pkg_resources, which setuptools 81 removed: pip install 'setuptools<81'") from error
        raise
