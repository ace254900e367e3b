"""The names of the classes, which every data set of a config must have in the same order."""

import contextlib
import itertools
import json
import logging
import os
import re
import tempfile

from ..errors import UserError
from .data_sections import DataSection

__all__ = ["difference_of", "named_classes"]

logger = logging.getLogger("paddle_vfl")
# metrics for which PaddleDetection has class names of its own, and how many
OWN_NAMES = {"COCO": 80, "VOC": 20, "RBOX": 15}


def difference_of(first, second):
    """How the class names of two data sets, (key, names), differ, in a sentence; None if they do not."""
    (key, names), (other_key, other_names) = first, second
    for index, (name, other_name) in enumerate(itertools.zip_longest(names, other_names)):
        if name != other_name:
            ordered = "the same in another order" if sorted(names) == sorted(other_names) else "others"
            return (
                f"{other_key} has not the classes of {key} but {ordered}: class {index + 1} is "
                f"{_shown(other_name)}, and {_shown(name)} in {key}"
            )
    return None


def _shown(name):
    return "none" if name is None else repr(name)


@contextlib.contextmanager
def named_classes(cfg, options=()):
    """Let TestDataset have, while this context lasts, the class names of the data that the weights were trained on.

    They are those of the data set that ``options`` speak of, or else of TrainDataset, EvalDataset or TestDataset: the
    first that has as many classes as the model. PaddleDetection asks TestDataset alone and takes the names of COCO or
    VOC where that has no file.

    Args:
        cfg (dict): the config.
        options (Sequence[str]): ``key=value`` settings that overrode it.

    Raises:
        UserError: there are no names, or not as many as the model has classes.
    """
    own = OWN_NAMES.get(cfg.get("metric"))
    if own is None:
        yield
        return
    found, problems = {}, {}
    for key in ("TestDataset", "EvalDataset", "TrainDataset"):
        try:
            section = DataSection(cfg, key)
            categories = section.categories()
            if categories is not None:
                section.check_class_count(categories, int(cfg.num_classes))
                found[key] = categories
        except UserError as error:
            problems[key] = f"{key}: {error}"
    said = {re.split("[.=]", option)[0].strip() for option in options}
    asked = [key for key in (*found, *problems) if key in said]
    usable = [key for key in asked if key in found] or ([] if asked else [*found][::-1])
    if not usable:
        if not asked and int(cfg.num_classes) == own:
            yield
            return
        raise UserError(
            f"no names for the {cfg.num_classes} classes: {'; '.join(problems.values()) or 'no data set has a file'}"
        )
    key, categories = usable[0], found[usable[0]]
    names = [name for _, name in categories]
    for other in found:
        difference = difference_of((key, names), (other, [name for _, name in found[other]]))
        if difference:
            logger.warning("%s: the names of %s are taken", difference, key)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "classes.txt" if cfg.metric == "VOC" else "classes.json")
        with open(path, "w") as file:
            if cfg.metric == "VOC":
                file.write("\n".join(names))
            else:
                records = [{"id": number, "name": name} for number, name in categories]
                json.dump({"images": [], "annotations": [], "categories": records}, file)
        DataSection(cfg, "TestDataset").set("anno_path", path)
        yield
