"""The records of COCO and VOC annotations, and what is said of one that does not fit."""

import json
import re
from typing import Annotated, Any, Optional, Union

import msgspec

__all__ = ["CocoAnnotation", "CocoCategories", "CocoCategory", "CocoFile", "CocoImage", "VocFile", "misfit"]

Whole = Union[int, float]  # some programs write 1.0
WholeText = Annotated[str, msgspec.Meta(pattern=r"^[+-]?[0-9]+$")]


class CocoImage(msgspec.Struct):
    id: Whole
    file_name: str
    width: float
    height: float


class CocoCategory(msgspec.Struct):
    id: Whole
    name: Union[str, int]


class CocoAnnotation(msgspec.Struct):
    id: Whole
    image_id: Whole
    category_id: Whole
    bbox: tuple[float, float, float, float]
    area: Optional[float] = None
    iscrowd: Union[bool, int, float, None] = None
    ignore: Any = False
    track_id: Optional[Whole] = -1


class CocoCategories(msgspec.Struct):
    categories: list[CocoCategory]


class CocoFile(msgspec.Struct):
    images: list[CocoImage]
    categories: list[CocoCategory]
    annotations: list[CocoAnnotation]


class VocSize(msgspec.Struct):
    width: float
    height: float


class VocCorners(msgspec.Struct):
    xmin: float
    ymin: float
    xmax: float
    ymax: float


class VocObject(msgspec.Struct):
    name: str
    bndbox: VocCorners
    difficult: WholeText = "0"


class VocFile(msgspec.Struct):
    size: VocSize
    object: list[VocObject]
    id: WholeText = "0"


def misfit(record, schema, strict=True):
    """What of a record does not fit its schema: "bbox[0] is "12", expected a number", or None."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
        msgspec.convert(record, schema, strict=strict)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        path = path.strip("`.")
        missing = re.fullmatch(r"Object missing required field `(\w+)`", message)
        if missing:
            return " ".join(filter(None, (path, f"has no {missing[1]}")))
        return f"{path or 'it'} is {_shown(_value_at(record, path))}, expected {_expected(message)}"
    except UnicodeEncodeError:
        return "its text has half a character (a lone surrogate)"
    return None


def _expected(message):
    if "of length 4" in message:
        return "four numbers"
    if "regex" in message:
        return "a whole number"
    names = set(re.findall(r"\w+", message.partition(", got")[0])) - {"null"}
    for name, words in (("array", "a list"), ("object", "an object"), ("str", "text"), ("bool", "0 or 1")):
        if name in names:
            return words
    return "a number"


def _value_at(record, path):
    for key, index in re.findall(r"(\w+)|\[(\d+)\]", path):
        record = record[key] if key else record[int(index)]
    return record


def _shown(value):
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
