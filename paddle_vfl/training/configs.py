"""Reads a config and the options that override it."""

import os
import tempfile
from pathlib import Path

import yaml

from ..errors import UserError, one_line
from ..ppdet_plugin import enable

__all__ = ["load", "make_run_folder", "parse_options"]


def load(config, options=()):
    """Enable the plugin and read a config file, overridden by ``options``, as :func:`parse_options` takes them.

    Raises:
        UserError: the file or a base of it is missing or is no config, an option is wrong, or PaddleDetection is not
            installed.
    """
    path = Path(config)
    if not path.is_file():
        raise UserError(f"config {config} does not exist")
    if path.suffix not in (".yml", ".yaml"):
        raise UserError(f"config {config}: expected a .yml or .yaml file")
    overrides = parse_options(options)
    try:
        enable()
    except ImportError as error:
        raise UserError(str(error)) from error

    import paddle
    from ppdet.core.workspace import load_config, merge_config
    from ppdet.utils.check import check_config

    try:
        cfg = load_config(str(path))
    except yaml.YAMLError as error:
        raise UserError(f"config {config}: {one_line(error)}") from error
    except FileNotFoundError as error:
        raise UserError(f"config {config}: its base file {error.filename} does not exist") from error
    merge_config(overrides)
    for device in ("gpu", "xpu", "npu", "mlu"):
        cfg.setdefault(f"use_{device}", False)
    for key in ("architecture", "num_classes"):
        if key not in cfg:
            raise UserError(f"config {config}: no {key}")
    if cfg.use_gpu and not paddle.is_compiled_with_cuda():
        raise UserError(f"config {config}: use_gpu is true, and this Paddle has no CUDA: add -o use_gpu=false")
    paddle.set_device("gpu" if cfg.use_gpu else "cpu")
    return check_config(cfg)


def parse_options(options):
    """The nested dict of ``["a=1", "b.c=[2, 3]"]``; values are YAML."""
    parsed = {}
    for option in options:
        path, equals, value = option.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise UserError(f"option {option!r}: expected key=value")
        level = parsed
        for key in keys[:-1]:
            level = level.setdefault(key, {})
            if not isinstance(level, dict):
                raise UserError(f"option {option!r}: {key} was given a value before")
        try:
            level[keys[-1]] = yaml.load(value, Loader=yaml.Loader)
        except yaml.YAMLError as error:
            raise UserError(f"option {option!r}: {one_line(error)}") from error
    return parsed


def make_run_folder(cfg):
    """Make the folder that a run writes into: save_dir/NAME for the config NAME.yml. Returns its path.

    Newer PaddleDetections write into save_dir itself, and all of them their evaluation's bbox.json into the current
    folder.
    """
    from ppdet.engine.callbacks import Checkpointer

    folder = os.path.join(cfg.get("save_dir", "output"), cfg.filename)
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
