"""A training script as PaddleDetection's users write them. It knows nothing of paddle_vfl."""

import cv2  # noqa: F401

import paddle
from ppdet.core.workspace import load_config, merge_config
from ppdet.engine import Trainer, init_parallel_env, set_random_seed
from ppdet.utils.cli import ArgsParser


def main():
    args = ArgsParser().parse_args()
    cfg = load_config(args.config)
    merge_config(args.opt)
    paddle.set_device("gpu" if cfg.use_gpu else "cpu")
    init_parallel_env()
    set_random_seed(0)
    trainer = Trainer(cfg, mode="train")
    trainer.train()


if __name__ == "__main__":
    main()
