"""Checks of a COCO-format data set before training, in words for whoever made it."""

import concurrent.futures
import json
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from ..errors import UserError

__all__ = ["check_annotations"]

PARTS = ("images", "categories", "annotations")


def check_annotations(path, image_dir, num_classes, training=True):
    """Raise what PaddleDetection would stumble over, or not notice. An image that it cannot decode may even hang it:
    Paddle's reader without worker processes waits for ever for a batch whose transforms failed.

    Boxes beyond the image are clipped and degenerate ones dropped by PaddleDetection: they are no error here, unless
    none is left to train on.

    Args:
        path (str): annotation file.
        image_dir (str): folder that its file names start from.
        num_classes (int): of the model.
        training (bool): annotations are needed.

    Raises:
        UserError: the file is not JSON or not of the format, it has more categories than the model, names categories
        that it does not
            have, has nothing to train on, or its images are not there
            or damaged.
    """
    content = _load(path)
    categories = {category.get("id") for category in content["categories"]}
    if len(categories) > num_classes:
        raise UserError(f"{path} has {len(categories)} categories, but num_classes is {num_classes}")
    unknown = {annotation.get("category_id") for annotation in content["annotations"]} - categories
    if unknown:
        raise UserError(
            f"{path} has annotations of category {min(unknown, key=str)}, which is not among its categories"
        )
    if not content["images"]:
        raise UserError(f"{path} has no images")
    if training and not any(_has_area(annotation) for annotation in content["annotations"]):
        raise UserError(f"{path} has no box with an area: there is nothing to train on")
    files = [
        file
        for file in (Path(image_dir) / str(image.get("file_name")) for image in content["images"])
        if file.is_file()
    ]
    if not files:
        raise UserError(f"{path}: none of its images is in {image_dir}")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for file, problem in zip(
            files, tqdm(pool.map(_problem_of, files), "images", len(files), disable=len(files) < 5000)
        ):
            if problem:
                raise UserError(f"image {file} cannot be read: {problem}")


def _problem_of(file):
    """What is wrong with an image, or None. Checks its head, and the sums of a PNG; nothing is decoded."""
    try:
        with Image.open(file) as image:
            image.verify()
    except Exception as error:  # PIL raises many exceptions for damaged files
        return " ".join(str(error).split())
    return None


def _load(path):
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # also text that is not UTF-8
        raise UserError(f"{path} is not JSON: {error}") from error
    for part in PARTS:
        items = content.get(part) if isinstance(content, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise UserError(f"{path} is not in COCO format: it has no list of {part}")
    return content


def _has_area(annotation):
    box = annotation.get("bbox")
    return isinstance(box, list) and len(box) == 4 and box[2] > 0 and box[3] > 0
