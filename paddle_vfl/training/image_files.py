"""The images to find objects in."""

import logging
import os
from pathlib import Path

from ..datasets.annotations import and_more
from ..datasets.images import decode_images
from ..errors import UserError, printable

__all__ = ["find_images", "readable_images"]

logger = logging.getLogger("paddle_vfl")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


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
    images = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in SUFFIXES)
    if not images:
        raise UserError(f"folder {folder} has no image ({', '.join(SUFFIXES)})")
    return images


def readable_images(images):
    """Those of the images of a folder that can be decoded; the others are named in the log.

    Raises:
        UserError: none can, or there is none.
    """
    if not images:
        raise UserError("no images")
    folder = images[0].parent
    decoded = decode_images(folder, [os.path.relpath(image, folder) for image in images])
    damaged = [
        f"image {image} cannot be read: {result.problem}" for image, result in zip(images, decoded) if result.problem
    ]
    if len(damaged) == len(images):
        raise UserError(f"{damaged[0]}{and_more(len(damaged))}")
    for problem in damaged:
        logger.warning("%s: left out", printable(problem))
    return [image for image, result in zip(images, decoded) if not result.problem]
