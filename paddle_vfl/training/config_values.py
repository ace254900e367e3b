"""Values of the wrong type, and names of nothing: PaddleDetection fails on them when it comes to them, which may be
after an epoch."""

import dataclasses
import datetime
import logging
import math
import numbers
from typing import Any

from ..errors import UserError
from ..ppdet_plugin.loss_key import is_registered
from ..ppdet_plugin.options import number_in
from . import readers
from .config_keys import did_you_mean, near_words

__all__ = ["Option", "check_values", "options_over"]

logger = logging.getLogger("paddle_vfl")

# below it there is no step, no checkpoint, no line of the log, or an error
AT_LEAST = {
    "epoch": 1,
    "log_iter": 1,
    "num_classes": 1,
    "snapshot_epoch": 1,
    "worker_num": 0,
    "EvalReader.batch_size": 1,
    "TestReader.batch_size": 1,
    "TrainReader.batch_size": 1,
}
# the names that there are
CHOICES = {
    "amp_level": lambda: ("O0", "O1", "O2"),
    "architecture": readers.architectures,
    "metric": readers.metrics,
    "EvalDataset.name": readers.data_sets,
    "TestDataset.name": readers.data_sets,
    "TrainDataset.name": readers.data_sets,
    "LearningRate.schedulers.name": readers.schedulers,
    "OptimizerBuilder.optimizer.type": readers.optimizers,
    "OptimizerBuilder.regularizer.type": readers.regularizers,
}


@dataclasses.dataclass(frozen=True)
class Option:
    """``text`` is what the command line says, ``before`` what the config had there."""

    text: str
    before: Any


def options_over(cfg, options):
    """{path: Option} of ``["a=1", "b.c=2"]``, which have not been laid over the config yet.

    Raises:
        UserError: one leads into a list, a number or a text.
    """
    found = {}
    for option in options:
        path, _, text = option.partition("=")
        path, value = tuple(path.strip().split(".")), cfg
        for depth, key in enumerate(path):
            if isinstance(value, (list, int, float)) or (isinstance(value, str) and not is_registered(value)):
                got = "a list" if isinstance(value, list) else value
                raise UserError(f"option {'.'.join(path)}: {'.'.join(path[:depth])} is {got}, which has no keys")
            value = value.get(key) if isinstance(value, dict) else None
        found[path] = Option(text, value)
    return found


def check_values(cfg, found, options):
    """Check the values of a config. Texts that stand for a number are made one, and numbers that stand for a text in an
    option that text.

    Args:
        cfg: the config, the options laid over it.
        found (Sequence[Setting]): its settings.
        options (Mapping[tuple, Option]): as :func:`options_over` gives them.

    Raises:
        UserError: a value of the wrong type, or a name of something that does not exist.
    """
    for setting in found:
        option = options.get(setting.path)
        _convert(setting, option)
        _check_range(setting)
        _check_type(setting, option)
    _check_schedule(cfg)


def _convert(setting, option):
    """Make the value what its key wants, if it stands for that."""
    value, wanted = setting.value, _wanted(setting, option)
    if not isinstance(wanted, str):
        value = number_in(value)
    elif option is not None and isinstance(value, (numbers.Number, datetime.date)):
        value = option.text
    if isinstance(wanted, int) and isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is not setting.value:
        setting.holder[setting.key] = value


def _wanted(setting, option):
    """A value of the type that a key wants: its default, or what the config had there; None if there is none."""
    return option.before if setting.default is None and option is not None else setting.default


def _check_type(setting, option):
    value, wanted = setting.value, _wanted(setting, option)
    if isinstance(wanted, bool):
        if isinstance(value, str):
            message = f"{setting} is {value!r}, expected true or false"
            if option is not None:
                raise UserError(message)
            logger.warning("%s: it counts as true", message)  # as any text does
    elif isinstance(wanted, numbers.Number) and isinstance(value, (str, bool)):
        raise UserError(f"{setting} is {value!r}, expected a number")
    elif isinstance(wanted, (list, tuple)) and isinstance(value, _not_a_list(wanted)):
        raise UserError(f"{setting} is {value!r}, expected a list")
    elif isinstance(wanted, dict) and isinstance(value, (int, float, list)) and value is not False:
        raise UserError(f"{setting} is {value!r}, expected a mapping")
    if str(setting) == "LearningRate.schedulers" and not value:
        raise UserError(f"{setting} is {value!r}, expected a list of {{name: options}}")
    if str(setting) == "LearningRate.schedulers" or str(setting).endswith("_transforms"):
        for item in value or ():
            if item is None or isinstance(item, (str, int, float, list)):
                raise UserError(f"{setting}: {item!r} is no mapping, expected {{name: options}}")


def _not_a_list(wanted):
    """The types that cannot take a list's place: one number stands for a list of numbers in places."""
    of_numbers = wanted and all(isinstance(item, numbers.Number) for item in wanted)
    return (str, bool, dict) if of_numbers else (str, bool, dict, int, float)


def _check_range(setting):
    path, value = str(setting), setting.value
    if path in AT_LEAST:
        if isinstance(value, float) and value.is_integer():
            value = setting.holder[setting.key] = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < AT_LEAST[path]:
            raise UserError(f"{path} is {value!r}, expected an integer, at least {AT_LEAST[path]}")
    if path == "LearningRate.base_lr" and not (isinstance(value, numbers.Number) and 0 < value < math.inf):
        raise UserError(f"{path} is {value!r}, expected a number above 0")
    if path in CHOICES:
        known = CHOICES[path]()
        if not isinstance(value, str) or value not in known:
            raise UserError(
                f"{path}: there is no {value!r}{did_you_mean(near_words(str(value), known)) or _list(known)}"
            )


def _check_schedule(cfg):
    for scheduler in cfg.LearningRate["schedulers"]:
        options = scheduler if isinstance(scheduler, dict) else vars(scheduler)  # what a tag made
        ends = options.get("max_epochs")
        if isinstance(ends, int) and ends < cfg.get("epoch", 0):
            logger.warning(
                "LearningRate.schedulers: max_epochs is %d, and epoch is %d: the learning rate is at its lowest from "
                "there on",
                ends,
                cfg.epoch,
            )


def _list(known):
    return f"; there are {', '.join(known)}" if len(known) < 20 else ""
