"""Whether the data of a config are there and usable, in one line, where PaddleDetection would try to download them."""

import os
from pathlib import Path

from ..datasets.coco_check import check_annotations
from ..errors import UserError

__all__ = ["check_dataset", "find_images"]

DIGITS = Path("dataset/digits")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def check_dataset(cfg, key):
    """Check the data set under a key of a config, such as "TrainDataset".

    Raises:
        UserError: it is missing or wrong.
    """
    dataset = cfg.get(key)
    if dataset is None:
        raise UserError(f"the config has no {key}")
    get = dataset.get if isinstance(dataset, dict) else lambda name, default=None: getattr(dataset, name, default)
    folder = Path(get("dataset_dir") or ".")
    for what in (None, "image_dir", "anno_path"):
        name = "" if what is None else get(what)
        if name is not None and not (folder / name).exists():
            hint = f": `paddle-vfl digits {DIGITS}` writes it" if folder == DIGITS and not folder.exists() else ""
            raise UserError(f"{key}: {'dataset_dir' if what is None else what} {folder / name} does not exist{hint}")
    if "COCO" not in (str(get("name", "")) if isinstance(dataset, dict) else type(dataset).__name__):
        return
    try:
        check_annotations(
            folder / get("anno_path"),
            folder / (get("image_dir") or ""),
            int(cfg.num_classes),
            training=key == "TrainDataset",
        )
    except UserError as error:
        raise UserError(f"{key}: {error}") from error


def find_images(image, folder):
    """The paths of one image, or of all images in a folder.

    Raises:
        UserError: there is none.
    """
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
