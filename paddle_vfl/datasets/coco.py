"""COCO annotations: read, checked and, where something can be filled in, completed."""

import json
import locale
import os
import re

import msgspec
import numpy as np

from ..errors import UserError, one_line
from .annotations import MOST_PIXELS, SIZE, Annotations, and_more, first_repeated
from .schema import CocoAnnotation, CocoCategories, CocoCategory, CocoFile, CocoImage, misfit

__all__ = ["read_categories", "read_coco", "write_completed"]

SCHEMAS = {"images": CocoImage, "categories": CocoCategory, "annotations": CocoAnnotation}
BOM = b"\xef\xbb\xbf"
# PaddleDetection takes a segmentation without a point out of its list, and the next box with it
EMPTY_SEGMENTATION = re.compile(rb'"segmentation"\s*:\s*\[\s*\[\s*\]')
# Python's own reader, which PaddleDetection has, refuses it; msgspec skips it where no field asks for it
LONG_NUMBER = re.compile(rb"[0-9]{4300}")
# in pixels; PaddleDetection leaves out what is smaller
LEAST_SIDE = 1e-5


def read_coco(path, load_crowd=False, for_evaluator=False):
    """Read a COCO annotation file and check that PaddleDetection and the COCO evaluator can use it.

    Args:
        path (str | os.PathLike): the file.
        load_crowd (bool): crowds are trained on.
        for_evaluator (bool): the COCO evaluator, for which an annotation of id 0 is none, will read it.

    Returns:
        Annotations: not ``complete`` where :func:`write_completed` has something to fill in.

    Raises:
        UserError: it names the file, the first record that is wrong, and how many more are.
    """
    path = str(path)
    data, complete = _read(path)
    records = _Records(path, _decoded(path, data, CocoFile))
    images, categories, annotations = records.images, records.categories, records.annotations
    for part in ("images", "categories"):
        if not getattr(records, part):
            raise UserError(f"{path} has no {part}")
    image_ids, category_ids, ids = (records.unique_ids(part) for part in SCHEMAS)
    box_image = _indices(image_ids, records.whole("annotations", "image_id"))
    box_class = _indices(category_ids, records.whole("annotations", "category_id"))
    records.refuse(
        "annotations",
        box_class < 0,
        lambda i: f"category_id is {annotations[i].category_id}, and no category has that id",
    )
    sizes = np.array([(image.width, image.height) for image in images], float)
    records.refuse(
        "images",
        ~((sizes > 0) & (sizes <= MOST_PIXELS)).all(1),
        lambda i: f"width and height are {sizes[i, 0]:g} and {sizes[i, 1]:g}, expected pixels",
    )
    boxes = np.array([annotation.bbox for annotation in annotations], float).reshape(-1, 4)
    records.refuse(
        "annotations", ~(np.abs(boxes) <= MOST_PIXELS).all(1), lambda i: f"bbox is {boxes[i].tolist()}, expected pixels"
    )
    crowds = [annotation.iscrowd for annotation in annotations]
    records.refuse(
        "annotations",
        [crowd not in (0, 1, None) for crowd in crowds],
        lambda i: f"iscrowd is {crowds[i]}, expected 0 or 1",
    )
    areas = [annotation.area for annotation in annotations]
    records.refuse(
        "annotations",
        [area is not None and not abs(area) <= MOST_PIXELS**2 for area in areas],
        lambda i: f"area is {areas[i]}, expected square pixels",
    )
    tracks = [annotation.track_id for annotation in annotations]
    records.refuse(
        "annotations",
        [track is not None and not abs(track) < 2**31 for track in tracks],
        lambda i: f"track_id is {tracks[i]}, expected a whole number of at most 31 bits",
    )

    has_area = (boxes[:, :2] + boxes[:, 2:] - boxes[:, :2] > LEAST_SIDE).all(1)
    wrong_area = has_area & np.array([area is not None and area <= 0 for area in areas], bool)
    unusable_id = (ids == 0) & for_evaluator
    records.doubt(
        "annotations", wrong_area, lambda i: f"area is {areas[i]:g}, and that of the bbox is not: the latter is taken"
    )
    records.doubt("annotations", unusable_id, lambda i: "the COCO evaluator takes id 0 for no annotation: renumbered")
    records.doubt(
        "annotations", box_image < 0, lambda i: f"image_id is {annotations[i].image_id}, and no image has that id"
    )
    records.doubt_repeated("images", [image.file_name for image in images])
    class_names = [str(category.name) for category in categories]
    records.doubt_repeated("categories", class_names)

    crowd, ignored = ([bool(value) for value in values] for values in (crowds, [a.ignore for a in annotations]))
    trained_on = ~np.array(ignored, bool) & (box_image >= 0) & (~np.array(crowd, bool) | load_crowd)
    return Annotations(
        path=path,
        class_names=class_names,
        files=[image.file_name for image in images],
        sizes=sizes,
        boxes=boxes,
        layout=SIZE,
        box_image=box_image,
        box_class=box_class,
        box_place=lambda i: records.place("annotations", i),
        has_area=has_area,
        trained_on=trained_on,
        empty=np.bincount(box_image[trained_on & has_area], minlength=len(images)) == 0,
        doubts=records.doubts,
        complete=complete
        and records.ids_are_int
        and None not in areas
        and None not in crowds
        and None not in tracks
        and not wrong_area.any()
        and not unusable_id.any(),
    )


class _Records:
    """The images, categories and annotations of a file, and what is said of them."""

    def __init__(self, path, content):
        self.path, self.doubts, self.ids_are_int = path, [], True
        self.images, self.categories, self.annotations = content.images, content.categories, content.annotations

    def place(self, part, index):
        return f"{part}[{index}] (id {getattr(self, part)[index].id})"

    def refuse(self, part, wrong, say):
        """Raise a UserError about the first record for which ``wrong`` is true."""
        where = np.flatnonzero(wrong)
        if len(where):
            first = int(where[0])
            raise UserError(f"{self.path}: {self.place(part, first)}: {say(first)}{and_more(len(where))}")

    def doubt(self, part, wrong, say):
        """Note the first record for which ``wrong`` is true."""
        where = np.flatnonzero(wrong)
        if len(where):
            first = int(where[0])
            self.doubts.append(f"{self.place(part, first)}: {say(first)}{and_more(len(where))}")

    def doubt_repeated(self, part, names):
        repeated = first_repeated(names)
        if repeated:
            first, second, count = repeated
            self.doubts.append(f"{self.place(part, second)} is {names[first]!r} like {part}[{first}]{and_more(count)}")

    def whole(self, part, field):
        """A field of all records, int64."""
        values = [getattr(record, field) for record in getattr(self, part)]
        numbers = np.array(values) if values else np.empty(0, np.int64)
        if numbers.dtype == np.int64:
            return numbers
        is_whole = lambda value: abs(value) < 2**63 and value == int(value)  # of NaN the first is false
        self.refuse(
            part,
            [not is_whole(value) for value in values],
            lambda i: f"{field} is {values[i]}, expected a whole number of at most 63 bits",
        )
        self.ids_are_int = False  # pycocotools finds no category of id 1.0
        return np.array([int(value) for value in values], np.int64)

    def unique_ids(self, part):
        ids = self.whole(part, "id")
        repeated = first_repeated(ids)
        if repeated:
            first, second, count = repeated
            raise UserError(
                f"{self.path}: {part}[{second}] has id {ids[first]} like {part}[{first}]{and_more(count)}: of equal "
                f"ids the last is taken and the others are lost"
            )
        return ids


def read_categories(path):
    """[(id, name)] of the categories of a COCO annotation file, whatever else is in it.

    Raises:
        UserError: there are none, or one is wrong.
    """
    data, _ = _read(path)
    content = _decoded(path, data, CocoCategories)
    if not content.categories:
        raise UserError(f"{path} has no categories")
    return [(category.id, str(category.name)) for category in content.categories]


def write_completed(path, target, for_evaluator=False):
    """Write a COCO annotation file that :func:`read_coco` accepted, with what it lacked filled in."""
    with open(path, encoding="utf-8-sig") as file:
        content = json.load(file)
    annotations = content["annotations"]
    for record in (record for part in SCHEMAS for record in content[part]):
        record.update({key: int(record[key]) for key in ("id", "image_id", "category_id") if key in record})
    for annotation in annotations:
        if annotation.get("iscrowd") is None:
            annotation["iscrowd"] = 0
        if annotation.get("track_id", -1) is None:
            del annotation["track_id"]
        _, _, width, height = annotation["bbox"]
        if annotation.get("area") is None or annotation["area"] <= 0:
            annotation["area"] = max(width, 0) * max(height, 0)
        if for_evaluator and annotation["id"] == 0:
            annotation["id"] = max(other["id"] for other in annotations) + 1
        segmentation = annotation.get("segmentation")
        if isinstance(segmentation, list) and not any(segmentation):
            annotation["segmentation"] = []
    scratch = f"{target}.{os.getpid()}"  # every process of a run writes it
    with open(scratch, "w") as file:
        json.dump(content, file)
    os.replace(scratch, target)


def _read(path):
    """(the JSON of a file, whether PaddleDetection can read it as it is)."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    complete = not data.startswith(BOM) and not EMPTY_SEGMENTATION.search(data)
    data = data[len(BOM) :] if data.startswith(BOM) else data
    if not data.isascii():
        # PaddleDetection opens it in the machine's own encoding
        complete = complete and locale.getpreferredencoding(False).lower().replace("-", "") == "utf8"
        try:
            data.decode()  # the schema does not have every text
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8 text: {error}") from error
    return data, complete


def _decoded(path, data, schema):
    if LONG_NUMBER.search(data):
        return _decoded_slowly(path, data, schema)
    try:
        return msgspec.json.decode(data, type=schema)
    except (msgspec.MsgspecError, RecursionError):
        return _decoded_slowly(path, data, schema)


def _decoded_slowly(path, data, schema):
    """With Python's own reader, which tells the line and takes NaN; names the records that do not fit."""
    try:
        content = json.loads(data.decode())
    except RecursionError as error:
        raise UserError(f"{path} is not in COCO format: lists within lists without end") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {one_line(error)}") from error
    for part in schema.__struct_fields__:
        records = content.get(part) if isinstance(content, dict) else None
        if not isinstance(records, list):
            raise UserError(f"{path} is not in COCO format: it has no list of {part}")
        wrong = [index for index, record in enumerate(records) if misfit(record, SCHEMAS[part])]
        if wrong:
            record = records[wrong[0]]
            known = f" (id {record['id']})" if isinstance(record, dict) and type(record.get("id")) is int else ""
            raise UserError(f"{path}: {part}[{wrong[0]}]{known}: {misfit(record, SCHEMAS[part])}{and_more(len(wrong))}")
    return msgspec.convert(content, schema)


def _indices(ids, wanted):
    """Where each of ``wanted`` stands in ``ids``, which are unique; -1 for what does not."""
    order = np.argsort(ids)
    found = order[np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)]
    return np.where(ids[found] == wanted, found, -1)
