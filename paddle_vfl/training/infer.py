"""``paddle-vfl infer``, and the boxes as data."""

import collections
import json
import os
from pathlib import Path

from ..errors import UserError
from . import checkpoints, configs
from .class_names import named_classes
from .faults import explained
from .image_files import find_images, readable_images

__all__ = ["detect", "infer"]


def infer(config, options=(), image=None, folder=None, output_dir="output", draw_threshold=0.5, save_results=False):
    """Draw the boxes that the ``weights`` of a config find in an image or in a folder's images.

    Images that cannot be decoded are named in the log and left out.

    Returns:
        dict[pathlib.Path, pathlib.Path]: for each image the path written, None for one that was left out.

    Raises:
        UserError: the config, the weights or the images are missing or wrong, the weights do not fit the config, or
            the pictures cannot be written.
    """
    if (image is None) == (folder is None):
        raise UserError("give either --infer_img or --infer_dir")
    images = find_images(image, folder)
    output_dir = Path(output_dir)
    if output_dir.resolve() == images[0].parent.resolve():
        raise UserError(f"--output_dir {output_dir} is where the images are: they would be overwritten")
    cfg = configs.load(config, options)
    readable = readable_images(images)

    from .drawing import decode, draw

    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output_dir {output_dir}: {error.strerror}") from error
    with named_classes(cfg, options), explained(str(output_dir), 0):
        trainer = checkpoints.trainer_with_weights(cfg, "test")
        every = collections.defaultdict(list)
        for path, results, names in _predictions(trainer, readable):
            picture = _draw_others(decode(path), results, names, draw_threshold)
            draw(picture, _boxes(results, names), draw_threshold).save(output_dir / _written_as(path), quality=95)
            for kind, found in results.items() if save_results else ():
                every[kind] += found
        for kind, found in every.items():
            (output_dir / f"{kind}.json").write_text(json.dumps(found))
    return {path: output_dir / _written_as(path) if path in readable else None for path in images}


def _written_as(path):
    """The name of the picture: a PNG where Pillow does not write what OpenCV reads, as with .exr and no suffix."""
    from PIL import Image

    written = Image.registered_extensions().get(path.suffix.lower()) in Image.SAVE
    return path.name if written else f"{path.name}.png"


def detect(config, options, images):
    """The boxes that the ``weights`` of a config find in images, best first.

    Args:
        images (Sequence[pathlib.Path] | pathlib.Path): paths of images, or a folder of them.

    Returns:
        dict[pathlib.Path, list]: for each image that can be decoded its ``(class name, score, (x, y, width, height))``,
        in pixels.

    Raises:
        UserError: the config, the weights or the images are missing or wrong, or the weights do not fit the config.
    """
    images = find_images(None, images) if isinstance(images, (str, os.PathLike)) else [Path(path) for path in images]
    cfg = configs.load(config, options)
    images = readable_images(images)
    with named_classes(cfg, options), explained(str(images[0].parent), 0):
        trainer = checkpoints.trainer_with_weights(cfg, "test")
        return {path: _boxes(results, names) for path, results, names in _predictions(trainer, images)}


def _predictions(trainer, images):
    """For each image its path, {"bbox", "mask", ...: results as COCO has them}, and {category id: name}."""
    import numpy as np
    import paddle
    from ppdet.core.workspace import create
    from ppdet.data.source.category import get_categories
    from ppdet.metrics import get_infer_results
    from tqdm import tqdm

    from .trainer import misfit_explained

    # as set_images makes them, which leaves out the suffixes that PaddleDetection does not know
    trainer.dataset.roidbs = [{"im_id": np.array([index]), "im_file": str(path)} for index, path in enumerate(images)]
    classes, names = get_categories(trainer.cfg.metric, anno_file=trainer.dataset.get_anno())
    trainer.model.eval()
    with tqdm(total=len(images), unit="image", disable=None) as bar:
        for data in create("TestReader")(trainer.dataset, 0):
            with paddle.no_grad(), misfit_explained():
                outputs = {name: np.asarray(value) for name, value in trainer.model(data).items()}
            for key in ("im_shape", "scale_factor", "im_id"):
                outputs[key] = np.asarray(data[key])
            results = get_infer_results(outputs, classes)
            for index in outputs["im_id"].ravel().tolist():
                mine = {kind: [r for r in found if r["image_id"] == index] for kind, found in results.items()}
                yield images[index], mine, names
                bar.update()


def _boxes(results, names):
    found = [(str(names[r["category_id"]]), r["score"], tuple(r["bbox"])) for r in results.get("bbox", ())]
    return sorted(found, key=lambda detection: -detection[1])


def _draw_others(pixels, results, names, threshold):
    """Masks and key points, as PaddleDetection draws them."""
    from PIL import Image
    from ppdet.utils.visualizer import visualize_results

    kinds = [results.get(kind) for kind in ("mask", "segm", "keypoint", "pose3d")]
    image = Image.fromarray(pixels)
    if not any(kinds):
        return image
    (image_id,) = {found["image_id"] for kind in kinds if kind for found in kind}
    return visualize_results(image, None, *kinds, image_id, names, threshold)
