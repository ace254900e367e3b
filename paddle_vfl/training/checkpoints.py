"""Weights and checkpoints: found, checked, loaded."""

import os
import pickle

from ..errors import UserError, one_line

__all__ = ["check_complete", "find", "trainer_with_weights"]


def find(path):
    """The checkpoint without its suffix, if it is there; an URL as it is.

    Raises:
        UserError: it is not there.
    """
    if not path:
        raise UserError("no weights: add -o weights=PATH")
    if "://" in path:
        return path
    stem = path[: -len(".pdparams")] if path.endswith(".pdparams") else path
    if not os.path.isfile(stem + ".pdparams"):
        raise UserError(f"weights {stem}.pdparams does not exist")
    return stem


def check_complete(stem):
    """Check that training can go on from a checkpoint.

    A run that was killed may have left it half written, and PaddleDetection would begin anew without its optimizer.

    Raises:
        UserError: a part of it is missing or damaged.
    """
    import paddle

    for suffix in (".pdparams", ".pdopt"):
        if not os.path.isfile(stem + suffix):
            raise UserError(f"checkpoint {stem} has no {suffix}: training cannot go on from it, take an earlier one")
    for path in (stem + suffix for suffix in (".pdparams", ".pdopt", ".pdema") if os.path.isfile(stem + suffix)):
        try:
            paddle.load(path, return_numpy=True)
        except Exception as error:  # whatever Paddle makes of damaged bytes
            raise UserError(f"checkpoint {path} is damaged ({one_line(error)}): take an earlier one") from error


def trainer_with_weights(cfg, mode):
    """PaddleDetection's Trainer for "eval" or "test", with the ``weights`` of the config.

    Raises:
        UserError: the weights are missing or damaged.
    """
    from ppdet.engine import Trainer

    weights = find(cfg.get("weights") or "")
    trainer = Trainer(cfg, mode=mode)
    try:
        trainer.load_weights(weights)
    except (EOFError, pickle.UnpicklingError, ValueError) as error:
        raise UserError(f"weights {weights}.pdparams: {one_line(error) or 'the file ends too early'}") from error
    return trainer
