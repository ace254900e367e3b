"""Weights of classes from a COCO-format annotation file: the inverse frequency of a class to a power."""

import numpy as np

from .datasets.coco import read_coco
from .errors import UserError, printable

__all__ = ["class_weight_block", "count_boxes", "inverse_frequency"]


def count_boxes(path):
    """[(name of a class, number of its boxes that PaddleDetection trains on)] of a COCO annotation file.

    Raises:
        UserError: the file is wrong, or has no such box.
    """
    annotations = read_coco(path)
    trained_on = annotations.trained_on & annotations.has_area
    counts = np.bincount(annotations.box_class[trained_on], minlength=len(annotations.class_names))
    if not counts.any():
        raise UserError(f"{path} has no box to train on: there is nothing to weigh")
    return list(zip(annotations.class_names, counts.tolist()))


def inverse_frequency(counts, power=0.5):
    """The weight of each class: its number of boxes to the power ``-power``, with the mean 1 over the boxes. A class
    without boxes weighs 1."""
    least = min(filter(None, counts))  # so that no weight overflows
    weights = [(count / least) ** -power if count else 0.0 for count in counts]
    mean = sum(weight * count for weight, count in zip(weights, counts)) / sum(counts)
    return [weight / mean if count else 1.0 for weight, count in zip(weights, counts)]


def class_weight_block(path, power=0.5):
    """The YAML line ``class_weight: [...]`` for a file, behind a table of the classes as comments."""
    classes = [(printable(name), count) for name, count in count_boxes(path)]
    weights = inverse_frequency([count for _, count in classes], power)
    width = max(len("class"), *(len(name) for name, _ in classes))
    lines = [f"# {'class':<{width}}  {'boxes':>8}  {'weight':>8}"]
    lines += [f"# {name:<{width}}  {count:>8}  {weight:>8.4g}" for (name, count), weight in zip(classes, weights)]
    return "\n".join([*lines, f"class_weight: [{', '.join(f'{weight:#.4g}' for weight in weights)}]"])
