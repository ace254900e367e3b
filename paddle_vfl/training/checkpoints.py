"""Weights and checkpoints: found, checked against the model, loaded."""

import collections
import contextlib
import logging
import os
from pathlib import Path

from ..errors import UserError, one_line

__all__ = ["find", "load_pretrained", "resume", "trainer_with_weights"]

logger = logging.getLogger("paddle_vfl")
SUFFIX = ".pdparams"


def find(path, what):
    """The file of weights, with its suffix. An URL is downloaded into PaddleDetection's cache, unless it is there.

    Args:
        path (str): the file, with or without suffix, or an URL.
        what (str): what it is, for messages.

    Raises:
        UserError: it is not there.
    """
    path = str(path)
    if "://" in path:
        path = _downloaded(path, what)
    file = path if path.endswith(SUFFIX) else path + SUFFIX
    if not os.path.isfile(file):
        newest = max(Path(path).glob(f"*{SUFFIX}"), key=os.path.getmtime, default=None)
        raise UserError(f"{what} {file} does not exist{f'; there is {newest}' if newest else ''}")
    return file


def _downloaded(url, what):
    from ppdet.utils import download

    # PaddleDetection asks the server even for a file that it has
    file = download.map_path(download.parse_url(url), download.WEIGHTS_HOME)
    if os.path.isfile(file):
        return file
    try:
        return download.get_weights_path(url)
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
        raise UserError(
            f"{what} {url} cannot be downloaded ({one_line(error)[:100]}): download it where you can, and give the file"
        ) from error


def trainer_with_weights(cfg, mode):
    """PaddleDetection's Trainer for "eval" or "test", with the ``weights`` of the config.

    Raises:
        UserError: the weights are missing or damaged, or do not fill the model.
    """
    from .trainer import Trainer

    if not cfg.get("weights"):
        raise UserError("no weights: add -o weights=PATH")
    file = find(cfg.weights, "weights")
    state = _load(file, "weights")
    trainer = Trainer(cfg, mode=mode)
    misfits = _misfits(trainer.model, _matched(trainer.model, state, f"weights {file}"))
    if misfits:
        raise UserError(f"weights {file} do not fit the model: {_text(trainer, misfits, state)}")
    with _without_info():
        trainer.load_weights(file)
    return trainer


def load_pretrained(trainer, file):
    """Begin with the weights of a file, as far as they fit, and say how many do.

    Raises:
        UserError: the file is damaged, or nothing in it fits.
    """
    state = _load(file, "pretrain_weights")
    misfits = _misfits(trainer.model, _matched(trainer.model, state, f"pretrain_weights {file}"))
    total = len(trainer.model.state_dict())
    if len(misfits) == total:
        raise UserError(f"pretrain_weights {file}: nothing in it fits the model: {_text(trainer, misfits, state)}")
    with _without_info():
        trainer.load_weights(file)
    left = f"; these start anew: {_text(trainer, misfits, state)}" if misfits else ""
    logger.info("pretrain_weights %s: %d of the model's %d taken%s", file, total - len(misfits), total, left)


def resume(trainer, file):
    """Go on from a checkpoint.

    A run that was killed may have left it half written, and PaddleDetection would begin anew without its optimizer.

    Raises:
        UserError: a part of it is missing or damaged, it is of another model, or of the last epoch.
    """
    stem = file[: -len(SUFFIX)]
    if not os.path.isfile(stem + ".pdopt"):
        raise UserError(f"checkpoint {stem} has no .pdopt: training cannot go on from it, take an earlier one")
    if trainer.cfg.get("use_ema") and not os.path.isfile(stem + ".pdema"):
        raise UserError(f"checkpoint {stem} has no .pdema, the weights that use_ema trains: take an earlier one")
    parts = [stem + suffix for suffix in (SUFFIX, ".pdopt", ".pdema") if os.path.isfile(stem + suffix)]
    state, *_ = [_load(part, "checkpoint", ": take an earlier one") for part in parts]
    misfits = _misfits(trainer.model, state)
    if misfits:
        raise UserError(f"checkpoint {stem} is of another model: {_text(trainer, misfits, state)}")
    trainer.resume_weights(file)
    if trainer.start_epoch >= trainer.cfg.epoch:
        raise UserError(
            f"checkpoint {stem} has {trainer.start_epoch} epochs, and epoch is {trainer.cfg.epoch}: nothing is left to "
            "train; a higher epoch goes on"
        )


def _load(file, what, advice=""):
    import paddle

    try:
        state = paddle.load(file, return_numpy=True)
    except Exception as error:  # whatever Paddle makes of damaged bytes
        raise UserError(f"{what} {file} is damaged ({one_line(error) or type(error).__name__}){advice}") from error
    if not isinstance(state, dict) or not state:
        raise UserError(f"{what} {file} holds no weights")
    return state


def _matched(model, state, what):
    """The weights that fit, by the model's names: PaddleDetection takes names that end alike for the same."""
    from ppdet.utils.checkpoint import match_state_dict

    try:
        with _without_info():
            return match_state_dict(model.state_dict(), state)
    except (AttributeError, ValueError) as error:  # no arrays; ambiguous names
        raise UserError(f"{what}: {one_line(error)}") from error


def _misfits(model, state):
    """The names of the model's weights that a state does not have in their shape."""
    return [
        name
        for name, value in model.state_dict().items()
        if list(getattr(state.get(name), "shape", [None])) != list(value.shape)
    ]


def _text(trainer, misfits, state):
    """How many they are, in which modules, and the first that differs in its shape."""
    model = trainer.model.state_dict()
    modules = collections.Counter(name.split(".")[0] for name in misfits)
    text = (
        f"{len(misfits)} of {len(model)} weights ({', '.join(f'{count} in {name}' for name, count in modules.items())})"
    )
    other = next((name for name in misfits if name in state), None)
    if other is None:
        return f"{text} are not in it"
    theirs, ours = list(getattr(state[other], "shape", ())), list(model[other].shape)
    text += f"; {other} is of shape {theirs} in it, and {ours} in the model"
    return text + (": is num_classes right?" if trainer.cfg.num_classes in ours else "")


@contextlib.contextmanager
def _without_info():
    """PaddleDetection lists every weight that does not fit in one line."""
    theirs = logging.getLogger("ppdet.utils.checkpoint")
    level = theirs.level
    theirs.setLevel(logging.WARNING)
    try:
        yield
    finally:
        theirs.setLevel(level)
