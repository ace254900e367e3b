"""A COCO-format detection set made from the scanned digits that scikit-learn ships.

The 1,797 handwritten digits (8 x 8 pixels, 16 grey levels; UCI "Optical Recognition of Handwritten Digits") are split
once into those that may appear in training images and those that may appear in validation images. Every image then
shows several of them, enlarged to different sizes, without overlap, each with the tight box of its ink.
"""

import json
import shutil
from pathlib import Path

import numpy as np

__all__ = ["write_digits"]

MARKER = "paddle_vfl_digits.json"
FORMAT = 2
CLASSES = tuple(str(digit) for digit in range(10))
SPLITS = ("train", "val")
# ink weaker than this share of full ink does not count for the box: enlarging blurs the edges
INK = 0.25


def write_digits(directory, train_images=512, val_images=128, image_size=128, seed=0, progress=True):
    """Write the data set and return its folder.

    The folder holds ``train/*.png``, ``val/*.png`` and ``annotations/{train,val}.json`` (COCO instances, boxes as
    x, y, width, height in pixels). The same arguments give the same files, byte for byte.

    Args:
        directory (str | os.PathLike): folder to write; made if missing. A folder that an earlier call wrote is
            replaced, an equal one is left as it is.
        train_images (int): number of training images, at least 1.
        val_images (int): number of validation images, at least 1.
        image_size (int): height and width of every image in pixels, at least 64.
        seed (int): of the split and of the layout.
        progress (bool): show a progress bar on stderr.

    Returns:
        pathlib.Path: ``directory``.

    Raises:
        FileExistsError: ``directory`` exists, is not empty and was not written by this function.
        NotADirectoryError: ``directory`` is a file.
        ValueError: a count or the size is too small.
    """
    for name, value, least in (
        ("train_images", train_images, 1),
        ("val_images", val_images, 1),
        ("image_size", image_size, 64),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}, expected at least {least}")
    directory = Path(directory)
    recipe = {
        "format": FORMAT,
        "train_images": train_images,
        "val_images": val_images,
        "image_size": image_size,
        "seed": seed,
    }
    if not _prepare(directory, recipe):
        return directory

    from tqdm import tqdm

    glyphs = _split_glyphs(seed)
    (directory / "annotations").mkdir(parents=True)
    with tqdm(total=train_images + val_images, desc="digits", unit="image", disable=None if progress else True) as bar:
        for index, (split, count) in enumerate(zip(SPLITS, (train_images, val_images))):
            (directory / split).mkdir()
            rng = np.random.default_rng((seed, index))
            coco = _write_split(directory / split, glyphs[split], count, image_size, rng, bar)
            (directory / "annotations" / f"{split}.json").write_text(json.dumps(coco))
    # written last: an interrupted run leaves no marker with the recipe, so the next one starts over
    (directory / MARKER).write_text(json.dumps(recipe))
    return directory


def _prepare(directory, recipe):
    """Make ``directory`` ready to be written; False if it already holds what ``recipe`` makes."""
    if directory.exists() and not directory.is_dir():
        raise NotADirectoryError(f"{directory} is a file, expected a folder")
    if directory.is_dir() and any(directory.iterdir()):
        marker = directory / MARKER
        if not marker.is_file():
            raise FileExistsError(
                f"{directory} is not empty and was not written by 'paddle-vfl digits': choose another folder"
            )
        try:
            if json.loads(marker.read_text()) == recipe:
                return False
        except ValueError:
            pass  # an unfinished folder of ours
        for name in (*SPLITS, "annotations"):
            shutil.rmtree(directory / name, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MARKER).write_text("{}")
    return True


def _split_glyphs(seed):
    """{split: [(class index, (8, 8) ink in [0, 1]), ...]}; no digit is in both splits."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    train, val = train_test_split(
        np.arange(len(digits.target)), test_size=0.2, stratify=digits.target, random_state=seed
    )
    return {
        split: [(int(digits.target[i]), digits.images[i] / 16.0) for i in indices]
        for split, indices in zip(SPLITS, (train, val))
    }


def _write_split(folder, glyphs, count, size, rng, bar):
    from PIL import Image

    images, annotations = [], []
    for image_id in range(1, count + 1):
        canvas, boxes = _compose(glyphs, size, rng)
        name = f"{image_id:06d}.png"
        Image.fromarray(canvas).save(folder / name)
        images.append({"id": image_id, "file_name": name, "width": size, "height": size})
        for label, (x, y, w, h) in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                    "segmentation": [
                        [x, y, x + w, y, x + w, y + h, x, y + h]
                    ],  # the box: for rotated and instance heads
                }
            )
        bar.update()
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(CLASSES)]
    return {
        "info": {"description": "scikit-learn digits"},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def _compose(glyphs, size, rng):
    """One (size, size, 3) uint8 image and its [(class, (x, y, w, h)), ...], boxes in whole pixels."""
    paper = rng.uniform(170, 250, 3)
    shade = np.linspace(-1, 1, size) * rng.uniform(-20, 20)
    canvas = paper + shade[:, None, None] + rng.normal(0, 4, (size, size, 1))
    boxes = []
    for _ in range(rng.integers(4, 9)):
        label, ink = glyphs[rng.integers(len(glyphs))]
        mask = _enlarge(ink, int(size * rng.uniform(0.16, 0.42)))
        rows, columns = (np.flatnonzero((mask > INK).any(axis=axis)) for axis in (1, 0))
        mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        h, w = mask.shape
        for _ in range(20):  # a crowded image simply shows fewer digits
            x, y = int(rng.integers(0, size - w + 1)), int(rng.integers(0, size - h + 1))
            if all(x >= bx + bw or bx >= x + w or y >= by + bh or by >= y + h for _, (bx, by, bw, bh) in boxes):
                color = rng.uniform(0, 90, 3)
                part = canvas[y : y + h, x : x + w]
                part += (color - part) * mask[..., None]
                boxes.append((label, (x, y, w, h)))
                break
    return canvas.clip(0, 255).astype(np.uint8), boxes


def _enlarge(ink, side):
    from PIL import Image

    return np.asarray(Image.fromarray(ink.astype(np.float32)).resize((side, side), Image.BICUBIC)).clip(0, 1)
