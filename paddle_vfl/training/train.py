"""``paddle-vfl train``."""

import errno

from ..errors import UserError
from . import checkpoints, configs, data_checks

__all__ = ["train"]

CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def train(config, options=(), evaluate=False, amp=False, resume=None, fleet=False, to_static=False, seed=None):
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

    Returns:
        ppdet.engine.Trainer: the trainer, after training.

    Raises:
        UserError: the config or the data are missing or wrong.
    """
    cfg = configs.load(config, options)
    cfg.update(amp=amp, fleet=fleet, to_static=to_static)
    if resume is not None:
        resume = checkpoints.find(resume)
        checkpoints.check_complete(resume)
    data_checks.check_dataset(cfg, "TrainDataset")
    if evaluate:
        data_checks.check_dataset(cfg, "EvalDataset")

    import paddle
    from ppdet.engine import Trainer, init_fleet_env, init_parallel_env, set_random_seed

    from .epochs import EpochLoader, EpochStart
    from .history import History

    folder = configs.make_run_folder(cfg)
    if fleet:
        init_fleet_env(cfg.get("find_unused_parameters", False))
    else:
        init_parallel_env()
    if seed is not None:
        set_random_seed(seed)
    # names as in a new process: a checkpoint holds the optimizer's state by parameter name
    with paddle.utils.unique_name.guard():
        trainer = Trainer(cfg, mode="train")
        trainer.loader = EpochLoader(trainer.loader)
        trainer.register_callbacks([History(trainer, folder), EpochStart(trainer, seed)])
        if resume is not None:
            trainer.resume_weights(resume)
        elif cfg.get("pretrain_weights"):
            trainer.load_weights(cfg.pretrain_weights)
        try:
            trainer.train(evaluate)
        except OSError as error:
            if error.errno in CANNOT_WRITE:
                raise UserError(f"cannot write into {folder}: {error.strerror}") from error
            raise
    return trainer
