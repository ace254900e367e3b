"""One reading of the data of a config before anything is done with them."""

import contextlib
import logging
import os

import numpy as np

from ..datasets.annotations import and_more
from ..datasets.boxes import check_boxes
from ..datasets.coco import write_completed
from ..datasets.images import decode_images
from ..errors import UserError, printable
from .class_names import difference_of
from .data_sections import DataSection

__all__ = ["check_data"]

logger = logging.getLogger("paddle_vfl")


def check_data(cfg, folder, *keys):
    """Read the data sets under keys of a config and check that training or evaluation can use them.

    What may be a mistake is logged, a line each. What an annotation file lacks, such as ``iscrowd``, is filled in in a
    copy in the run's folder, which the config then names.

    Args:
        cfg (dict): the config.
        folder (str): of the run.
        keys (str): "TrainDataset", "EvalDataset" or both.

    Raises:
        UserError: a data set is missing or wrong, or the two do not have the same classes.
    """
    names = {}
    for key in keys:
        try:
            section = DataSection(cfg, key)
            annotations = _checked(section, cfg)
        except UserError as error:
            raise UserError(f"{key}: {error}") from error
        if annotations is None:
            continue
        names[key] = annotations.class_names
        if not annotations.complete:
            target = os.path.abspath(os.path.join(folder, f"{key}.json"))
            write_completed(annotations.path, target, key == "EvalDataset")
            section.set("anno_path", target)
            logger.info("%s: %s, with what it lacks filled in, is %s", key, annotations.path, target)
    if len(names) == 2:
        difference = difference_of(*names.items())
        if difference:
            raise UserError(difference)
    elif keys == ("EvalDataset",) and names:
        with contextlib.suppress(UserError):  # the data that were trained on need not be here
            trained = DataSection(cfg, "TrainDataset").categories()
            difference = trained and difference_of(("TrainDataset", [name for _, name in trained]), *names.items())
            if difference:
                logger.warning("%s: if the weights are of that TrainDataset, the AP is wrong", difference)


def _checked(section, cfg):
    section.check_paths()
    annotations = section.read(int(cfg.num_classes))
    if annotations is None:
        return None
    doubts = list(annotations.doubts)
    path, image_dir = annotations.path, str(section.image_dir)

    present = np.array([os.path.exists(os.path.join(image_dir, file)) for file in annotations.files], bool)
    if not present.all():
        lost = os.path.join(image_dir, annotations.files[int(np.flatnonzero(~present)[0])])
        said = f"image {lost} does not exist{and_more((~present).sum())}"
        if not present.any():
            raise UserError(f"{path}: none of its images is in {image_dir}: {said}")
        doubts.append(f"{said}: left out")
    if section.key == "TrainDataset":
        doubts += _check_training(annotations, present)
    elif annotations.empty[present].all():
        said = "has no image with a box to evaluate"
        if not section.get("allow_empty"):
            raise UserError(f"{path} {said}, and allow_empty is not set")
        doubts.append(f"it {said}: an AP of -1 means none")
    sizes = annotations.sizes.copy()
    if int(os.environ.get("PADDLE_LOCAL_RANK", 0)) == 0:  # once on a machine
        sizes[present], said = _decoded_sizes(image_dir, [annotations.files[i] for i in np.flatnonzero(present)])
        doubts += said
    wrong = np.flatnonzero((sizes != annotations.sizes).any(1))
    if len(wrong):
        first = wrong[0]
        (width, height), (had_width, had_height) = sizes[first], annotations.sizes[first]
        doubts.append(
            f"image {annotations.files[first]} is {width:g} x {height:g} pixels, and annotated as of {had_width:g} x "
            f"{had_height:g}{and_more(len(wrong))}"
        )
    for doubt in doubts + check_boxes(annotations, sizes):
        logger.warning("%s: %s: %s", section.key, path, printable(doubt))
    return annotations


def _check_training(annotations, present):
    """Whether there is a box to train on. Returns doubts."""
    path, box_image = annotations.path, annotations.box_image
    if not annotations.has_area.any():
        raise UserError(f"{path} has no box with an area: there is nothing to train on")
    usable = annotations.has_area & annotations.trained_on & (box_image >= 0) & present[box_image]
    if not usable.any():
        raise UserError(f"{path} has no box to train on: all are crowds, ignored or of images that are not there")
    counts = np.bincount(annotations.box_class[usable], minlength=len(annotations.class_names))
    unused = [name for name, count in zip(annotations.class_names, counts) if not count]
    return [f"no box is of class {unused[0]!r}{and_more(len(unused))}"] if unused else []


def _decoded_sizes(folder, files):
    """([files, 2], width and height; doubts).

    Raises:
        UserError: an image cannot be decoded.
    """
    images = decode_images(folder, files)
    damaged = [(file, image.problem) for file, image in zip(files, images) if image.problem]
    if damaged:
        file, problem = damaged[0]
        raise UserError(f"image {os.path.join(folder, file)} cannot be read{and_more(len(damaged))}: {problem}")
    cut = [os.path.join(folder, file) for file, image in zip(files, images) if image.cut]
    doubts = [f"image {file} ends too early, it is grey from there on{and_more(len(cut))}" for file in cut[:1]]
    return np.array([image[:2] for image in images], float), doubts
