"""Weights of classes from a COCO-format annotation file: the inverse frequency of a class to a power."""

from .datasets.coco_check import _load as load_annotations
from .errors import UserError

__all__ = ["class_weight_block", "count_boxes", "inverse_frequency"]


def count_boxes(path):
    """[(name of a category, number of its boxes)] in the order in which PaddleDetection numbers the classes.

    Crowds and boxes without an area do not count: PaddleDetection does not train on them.

    Raises:
        UserError: the file is not of COCO's format, or has no box.
    """
    content = load_annotations(path)
    counts = {category.get("id"): 0 for category in content["categories"]}
    for annotation in content["annotations"]:
        box, category = annotation.get("bbox"), annotation.get("category_id")
        if category not in counts:
            raise UserError(f"{path} has annotations of category {category}, which is not among its categories")
        counts[category] += bool(isinstance(box, list) and len(box) == 4 and min(box[2:]) > 0) and not annotation.get(
            "iscrowd", 0
        )
    if not any(counts.values()):
        raise UserError(f"{path} has no box with an area: there is nothing to weigh")
    names = {category.get("id"): str(category.get("name", category.get("id"))) for category in content["categories"]}
    return [(names[category], count) for category, count in counts.items()]


def inverse_frequency(counts, power=0.5):
    """The weight of each class: its number of boxes to the power ``-power``, with the mean 1 over the boxes. A class
    without boxes weighs 1."""
    weights = [count**-power if count else 0.0 for count in counts]
    mean = sum(weight * count for weight, count in zip(weights, counts)) / sum(counts)
    return [weight / mean if count else 1.0 for weight, count in zip(weights, counts)]


def class_weight_block(path, power=0.5):
    """The YAML line ``class_weight: [...]`` for a file, behind a table of the classes as comments."""
    classes = count_boxes(path)
    weights = inverse_frequency([count for _, count in classes], power)
    width = max(len("class"), *(len(name) for name, _ in classes))
    lines = [f"# {'class':<{width}}  {'boxes':>8}  {'weight':>8}"]
    lines += [f"# {name:<{width}}  {count:>8}  {weight:>8.4g}" for (name, count), weight in zip(classes, weights)]
    return "\n".join([*lines, f"class_weight: [{', '.join(f'{weight:.4g}' for weight in weights)}]"])
