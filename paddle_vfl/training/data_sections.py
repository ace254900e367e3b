"""What a config says of a data set."""

import os
from pathlib import Path

from ..datasets.coco import read_categories, read_coco
from ..datasets.voc import read_labels, read_voc
from ..errors import UserError

__all__ = ["DataSection"]


class DataSection:
    """TrainDataset, EvalDataset or TestDataset of a config.

    Args:
        cfg (dict): the config.
        key (str): one of the three. What stands there is a dict, or a data set, if the YAML has ``!COCODataSet``.

    Raises:
        UserError: the config has none, or a path of it is none.
    """

    def __init__(self, cfg, key):
        self.key, self._content = key, cfg.get(key)
        if self._content is None or self._content == {}:
            raise UserError(f"the config has no {key}")
        if isinstance(self._content, dict) and not self._content.get("name"):
            raise UserError(f"{key} has no name, such as COCODataSet")
        self.folder = self._path("dataset_dir") or Path()
        self.type = self.get("name") if isinstance(self._content, dict) else type(self._content).__name__
        self.is_coco, self.is_voc = "COCO" in str(self.type), self.type == "VOCDataSet"

    def get(self, name, default=None):
        if isinstance(self._content, dict):
            return self._content.get(name, default)
        return getattr(self._content, name, default)

    def set(self, name, value):
        if isinstance(self._content, dict):
            self._content[name] = value
        else:
            setattr(self._content, name, value)

    def path(self, name):
        """A file or folder that the data set is told of, or None."""
        path = self._path(name)
        return None if path is None else self.folder / path

    def _path(self, name):
        value = self.get(name)
        if value and not isinstance(value, (str, os.PathLike)):
            raise UserError(f"{self.key}.{name} is {value!r}, expected one path")
        return Path(value) if value else None

    @property
    def image_dir(self):
        return self.path("image_dir") or self.folder

    @property
    def names_file(self):
        """The file that class names come from, or None: PaddleDetection has some of its own."""
        return self.path("label_list" if self.is_voc else "anno_path")

    def check_paths(self):
        """Raise a UserError if a file or folder is not there."""
        for name in ("dataset_dir", "image_dir", "anno_path", *(["label_list"] if self.is_voc else [])):
            path = self.folder if name == "dataset_dir" else self.path(name)
            if path is not None and not path.exists():
                hint = ": `paddle-vfl digits dataset/digits` writes it" if path == Path("dataset", "digits") else ""
                raise UserError(f"{name} {path} does not exist{hint}")
        if self.is_coco and not str(self.get("anno_path")).endswith(".json"):
            raise UserError(f"anno_path is {self.get('anno_path')}, expected the name of a .json file")

    def check_class_count(self, classes, number):
        """Raise a UserError unless there are as many classes as the model has."""
        if len(classes) != number:
            source = self.names_file or "PaddleDetection's list of VOC"
            raise UserError(
                f"{source} has {len(classes)} {'classes' if self.is_voc else 'categories'}, but num_classes is {number}"
            )

    def read(self, number):
        """Its Annotations, checked, of ``number`` classes; None if they are neither COCO nor VOC."""
        if self.is_coco:
            annotations = read_coco(self.path("anno_path"), bool(self.get("load_crowd")), self.key == "EvalDataset")
            self.check_class_count(annotations.class_names, number)
            return annotations
        if self.is_voc:
            names = [name for _, name in self.categories()]
            self.check_class_count(names, number)
            return read_voc(self.path("anno_path"), self.image_dir, names)
        return None

    def categories(self):
        """The (id, name) of its classes, in their order; None where no file is said to have them.

        Raises:
            UserError: the file is not there or is wrong.
        """
        file = self.names_file
        if file is None and self.is_voc:
            from ppdet.data.source.voc import pascalvoc_label

            return list(enumerate(pascalvoc_label()))
        if file is None:
            return None
        return read_categories(file) if file.suffix == ".json" else list(enumerate(read_labels(file)))
