"""What ``paddle-vfl train``, ``eval`` and ``infer`` do: PaddleDetection's tools/train.py, tools/eval.py and
tools/infer.py in short, for those who have only the pip package, with the plugin enabled."""

import errno
import os
import pickle
import tempfile
from pathlib import Path

import yaml

from ..datasets.coco_check import check_annotations
from ..errors import UserError
from .switch import enable

__all__ = ["detect", "evaluate", "infer", "parse_options", "train"]

CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")


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
    cfg = _load(config, options)
    cfg.update(amp=amp, fleet=fleet, to_static=to_static)
    if resume is not None:
        resume = _checkpoint(resume)
        _check_complete(resume)
    _check_dataset(cfg, "TrainDataset")
    if evaluate:
        _check_dataset(cfg, "EvalDataset")

    import paddle
    from ppdet.engine import Trainer, init_fleet_env, init_parallel_env, set_random_seed

    from .epochs import EpochLoader, EpochStart
    from .history import History

    folder = _run_folder(cfg)
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


def evaluate(config, options=(), classwise=False):
    """Evaluate ``weights`` of a config on its EvalDataset. Returns {metric name: results}."""
    cfg = _load(config, options)
    cfg["classwise"] = classwise
    _check_dataset(cfg, "EvalDataset")
    _run_folder(cfg)
    trainer = _trainer_with_weights(cfg, "eval")
    results = {}
    # PaddleDetection forgets the metrics once it has logged them
    for metric in trainer._metrics:
        metric.log = _then(metric.log, lambda metric=metric: results.update(metric.get_results()))
    trainer.evaluate()
    return results


def infer(config, options=(), image=None, folder=None, output_dir="output", draw_threshold=0.5, save_results=False):
    """Draw the boxes that the ``weights`` of a config find in an image or in a folder's images. Returns the paths
    written."""
    if (image is None) == (folder is None):
        raise UserError("give either --infer_img or --infer_dir")
    images = _images(image, folder)
    cfg = _load(config, options)
    trainer = _trainer_with_weights(cfg, "test")
    trainer.predict(
        [str(path) for path in images],
        draw_threshold=draw_threshold,
        output_dir=str(output_dir),
        save_results=save_results,
    )
    return [Path(output_dir) / path.name for path in images]


def detect(config, options, folder):
    """The boxes that the ``weights`` of a config find in a folder's images, best first.

    Returns:
        dict[pathlib.Path, list]: for each image its ``(class name, score, (x, y, width, height))``, in pixels.
    """
    images = _images(None, folder)
    cfg = _load(config, options)
    trainer = _trainer_with_weights(cfg, "test")

    from ppdet.core.workspace import create
    from ppdet.data.source.category import get_categories

    trainer.dataset.set_images([str(path) for path in images])
    loader = create("TestReader")(trainer.dataset, 0)
    _, names = get_categories(cfg.metric, anno_file=trainer.dataset.get_anno())
    names = list(names.values())
    trainer.model.eval()
    found = {}
    for data in loader:
        outputs = trainer.model(data)
        boxes, start = outputs["bbox"].numpy(), 0
        for image_id, count in zip(data["im_id"].numpy().ravel(), outputs["bbox_num"].numpy()):
            found[images[int(image_id)]] = [
                (names[int(label)], float(score), (float(x1), float(y1), float(x2 - x1), float(y2 - y1)))
                for label, score, x1, y1, x2, y2 in sorted(boxes[start : start + count], key=lambda box: -box[1])
                if label >= 0
            ]
            start += count
    return found


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
            raise UserError(f"option {option!r}: {_one_line(error)}") from error
    return parsed


def _load(config, options):
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
        raise UserError(f"config {config}: {_one_line(error)}") from error
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


def _run_folder(cfg):
    """Where the run writes: save_dir/NAME for the config NAME.yml. Newer PaddleDetections write into save_dir itself,
    and all of them their evaluation's bbox.json into the current folder."""
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


def _check_dataset(cfg, key):
    """Fail now, in one line, where PaddleDetection would try to download the data set."""
    dataset = cfg.get(key)
    if dataset is None:
        raise UserError(f"the config has no {key}")
    get = dataset.get if isinstance(dataset, dict) else lambda name, default=None: getattr(dataset, name, default)
    folder = Path(get("dataset_dir") or ".")
    for what in (None, "image_dir", "anno_path"):
        name = "" if what is None else get(what)
        if name is not None and not (folder / name).exists():
            raise UserError(f"{key}: {'dataset_dir' if what is None else what} {folder / name} does not exist")
    if _is_coco(dataset):
        try:
            check_annotations(*_coco_paths(dataset), int(cfg.num_classes), training=key == "TrainDataset")
        except UserError as error:
            raise UserError(f"{key}: {error}") from error


def _is_coco(dataset):
    return "COCO" in type(dataset).__name__ or (isinstance(dataset, dict) and "COCO" in str(dataset.get("name", "")))


def _coco_paths(dataset):
    """(annotation file, image folder)."""
    get = dataset.get if isinstance(dataset, dict) else lambda name: getattr(dataset, name, None)
    folder = Path(get("dataset_dir") or ".")
    return folder / get("anno_path"), folder / (get("image_dir") or "")


def _trainer_with_weights(cfg, mode):
    from ppdet.engine import Trainer

    weights = _checkpoint(cfg.get("weights") or "")
    trainer = Trainer(cfg, mode=mode)
    try:
        trainer.load_weights(weights)
    except (EOFError, pickle.UnpicklingError, ValueError) as error:
        raise UserError(f"weights {weights}.pdparams: {_one_line(error) or 'the file ends too early'}") from error
    return trainer


def _checkpoint(path):
    """The checkpoint without its suffix, if it is there; an URL as it is."""
    if not path:
        raise UserError("no weights: add -o weights=PATH")
    if "://" in path:
        return path
    stem = path[: -len(".pdparams")] if path.endswith(".pdparams") else path
    if not os.path.isfile(stem + ".pdparams"):
        raise UserError(f"weights {stem}.pdparams does not exist")
    return stem


def _check_complete(stem):
    """A run that was killed may have left a checkpoint half written, and PaddleDetection would begin anew without its
    optimizer."""
    import paddle

    for suffix in (".pdparams", ".pdopt"):
        if not os.path.isfile(stem + suffix):
            raise UserError(f"checkpoint {stem} has no {suffix}: training cannot go on from it, take an earlier one")
    for path in (stem + suffix for suffix in (".pdparams", ".pdopt", ".pdema") if os.path.isfile(stem + suffix)):
        try:
            paddle.load(path, return_numpy=True)
        except Exception as error:  # whatever Paddle makes of damaged bytes
            raise UserError(f"checkpoint {path} is damaged ({_one_line(error)}): take an earlier one") from error


def _images(image, folder):
    if image is not None:
        if not os.path.isfile(image):
            raise UserError(f"image {image} does not exist")
        return [Path(image)]
    if not os.path.isdir(folder):
        raise UserError(f"folder {folder} does not exist")
    images = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in IMAGES)
    if not images:
        raise UserError(f"folder {folder} has no image ({', '.join(IMAGES)})")
    return images


def _then(function, after):
    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        after()
        return result

    return wrapper


def _one_line(error):
    return " ".join(str(error).split())
