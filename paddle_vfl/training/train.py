"""``paddle-vfl train``."""

import logging
import os
from pathlib import Path

from ..errors import UserError
from . import checkpoints, configs, data_checks
from .faults import explained

__all__ = ["train"]

logger = logging.getLogger("paddle_vfl")
SEEDS = 2**32  # NumPy's; every epoch has the next one


def train(
    config, options=(), evaluate=False, amp=False, resume=None, fleet=False, to_static=False, seed=None, allow_nan=False
):
    """Train the model of a config file.

    Args:
        config (str): a PaddleDetection YAML config.
        options (Sequence[str]): ``key=value`` or ``key.sub=value`` settings that override the file.
        evaluate (bool): evaluate whenever a checkpoint is saved, and keep the best one.
        amp (bool): mixed precision, on devices that PaddleDetection does it on.
        resume (str, optional): checkpoint to go on from, with or without ``.pdparams``.
        fleet, to_static (bool): as in PaddleDetection.
        seed (int, optional): of Paddle, NumPy and Python. Every epoch begins with its own, so that a run that was
            interrupted and resumed goes on as an uninterrupted one.
        allow_nan (bool): go on where a loss or a weight is not finite.

    Returns:
        ppdet.engine.Trainer: the trainer, after training.

    Raises:
        UserError: the config, the data, the weights or the seed are missing or wrong, no step would be made, or
            training has diverged.
    """
    cfg = configs.load(config, options)
    if "epoch" not in cfg:
        raise UserError(f"config {config}: no epoch")
    most = SEEDS - cfg.epoch
    if seed is not None and not 0 <= seed <= most:
        raise UserError(f"--seed is {seed}, expected 0 to {most}")
    fleet = fleet and int(os.environ.get("PADDLE_TRAINERS_NUM", 1)) > 1  # Paddle's fails in one process
    cfg.update(amp=amp, fleet=fleet, to_static=to_static)
    if resume is not None:
        resume = checkpoints.find(resume, "checkpoint")
        pretrained = None
    else:
        pretrained = cfg.get("pretrain_weights") and checkpoints.find(cfg.pretrain_weights, "pretrain_weights")
    folder = configs.make_run_folder(cfg)
    data_checks.check_data(cfg, folder, "TrainDataset", *(["EvalDataset"] if evaluate else []))

    import paddle
    from ppdet.engine import init_fleet_env, init_parallel_env, set_random_seed

    from .divergence import StopAtNaN
    from .epochs import EpochLoader, EpochStart
    from .history import History
    from .trainer import Trainer

    if fleet:
        init_fleet_env(cfg.get("find_unused_parameters", False))
    else:
        init_parallel_env()
    if seed is not None:
        set_random_seed(seed)
    # names as in a new process: a checkpoint holds the optimizer's state by parameter name
    with paddle.utils.unique_name.guard(), explained(folder, cfg.worker_num):
        trainer = Trainer(cfg, mode="train")
        trainer.check_steps()
        if evaluate:
            trainer.check_metric()
        trainer.loader = EpochLoader(trainer.loader)
        history = History(trainer, folder)
        trainer.register_callbacks([history, EpochStart(trainer, seed)])
        if not allow_nan:
            trainer.register_callbacks([StopAtNaN(trainer, history)])
        if resume is not None:
            checkpoints.resume(trainer, resume)
        elif pretrained:
            checkpoints.load_pretrained(trainer, pretrained)
        if resume is None:
            _announce_earlier_run(folder)
        trainer.train(evaluate)
    return trainer


def _announce_earlier_run(folder):
    """Say what becomes of the files of an earlier run."""
    saved = sorted(Path(folder).glob("*.pdparams"), key=os.path.getmtime)
    if saved:
        logger.warning(
            "%s holds an earlier run: its history.jsonl begins anew, and its checkpoints are overwritten one by one; "
            "`-r %s` goes on with it, `-o save_dir=` keeps it",
            folder,
            saved[-1].with_suffix(""),
        )
