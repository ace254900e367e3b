"""Reads a config and the options that override it."""

import os
import tempfile
from pathlib import Path

from ..errors import UserError, one_line
from ..interrupts import interrupt_deferred
from ..ppdet_plugin import enable
from ..ppdet_plugin.options import parse_options
from .config_files import read_files
from .config_keys import check_keys
from .config_values import check_values, options_over
from .settings import settings

__all__ = ["load", "make_run_folder", "switch_on"]

# those that are registered with PaddleDetection: a tag in a config puts its object in the place of one
_modules: dict = {}


def load(config, options=()):
    """Enable the plugin and read a config file, overridden by ``options`` such as "epoch=3".

    Raises:
        UserError: the file or a base of it is missing or is no config, an option is wrong, or PaddleDetection is not
            installed.
    """
    path = Path(config)
    if not path.exists():
        raise UserError(f"config {config} does not exist")
    if path.suffix not in (".yml", ".yaml"):
        raise UserError(f"config {config}: expected a .yml or .yaml file")
    files = read_files(path)
    overrides = parse_options(options)
    switch_on()
    modules = _forget_configs()

    import paddle
    from ppdet.core.workspace import SchemaDict, load_config, merge_config
    from ppdet.utils.check import check_config as fill_in

    try:
        cfg = load_config(str(path))
    except UserError as error:
        raise UserError(f"config {config}: {error}") from error
    except Exception as error:  # of a tag, whose class is made while the file is read
        raise UserError(f"config {config}: {type(error).__name__}: {one_line(error)}") from error
    options = options_over(cfg, options)
    merge_config(overrides)
    cfg.setdefault("use_gpu", False)
    cfg.setdefault("use_mlu", False)
    cfg.setdefault("use_npu", False)
    cfg.setdefault("use_xpu", False)
    cfg.setdefault("save_dir", "output")
    cfg.setdefault("snapshot_epoch", 1)
    cfg.setdefault("worker_num", 0)
    cfg.setdefault("map_type", "11point")
    for key in ("architecture", "metric", "num_classes"):
        if key not in cfg:
            raise UserError(f"config {config}: no {key}")
    for name in modules:
        if not isinstance(cfg[name], SchemaDict) and not hasattr(cfg[name], "__dict__"):  # which a tag made
            raise UserError(f"{name} is {cfg[name]!r}, expected a mapping of its options")
    found = list(settings(cfg))
    check_keys(found, options, files)
    check_values(cfg, found, options)
    if cfg.use_gpu and not paddle.is_compiled_with_cuda():
        raise UserError(f"config {config}: use_gpu is true, and this Paddle has no CUDA: add -o use_gpu=false")
    paddle.set_device("gpu" if cfg.use_gpu else "cpu")
    return fill_in(cfg)


def _forget_configs():
    """Forget what was read before: PaddleDetection keeps it, and lays the next config over it. Returns the registered
    modules by name."""
    from ppdet.core.workspace import get_registered_modules, global_config

    _modules.update(get_registered_modules())
    global_config.clear()
    for name, module in _modules.items():
        module.clear()
        global_config[name] = module
    return _modules


def switch_on():
    """Enable the plugin, with all that a command needs of PaddleDetection."""
    with interrupt_deferred():
        enable()
        import ppdet.engine  # noqa: F401  for the trainer


def make_run_folder(cfg):
    """Make the folder that a run writes into: save_dir/NAME for the config NAME.yml. Returns its path.

    Newer PaddleDetections write into save_dir itself, and all of them their evaluation's bbox.json into the current
    folder.
    """
    from ppdet.engine.callbacks import Checkpointer

    save_dir = cfg.get("save_dir", "output")
    if not isinstance(save_dir, (str, os.PathLike)):
        raise UserError(f"save_dir is {save_dir!r}, expected a folder")
    folder = os.path.join(save_dir, cfg.filename)
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"save_dir: cannot write into {folder}: {error.strerror}") from error
    cfg.setdefault("output_eval", folder)
    if "filename" not in Checkpointer.__init__.__code__.co_names:
        cfg["save_dir"] = folder
    return folder
