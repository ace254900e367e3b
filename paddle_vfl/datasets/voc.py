"""VOC annotations: a list of images, an XML file for each, a list of class names; read and checked."""

import os
from xml.etree import ElementTree

import msgspec
import numpy as np

from ..errors import UserError, one_line
from .annotations import CORNERS, MOST_PIXELS, Annotations, and_more, first_repeated
from .schema import VocFile, misfit

__all__ = ["read_labels", "read_voc"]


def read_voc(path, image_dir, class_names):
    """Read what a VOC list names and check that PaddleDetection can.

    Args:
        path (str | os.PathLike): text file with an image and its annotations, an XML file, on every line.
        image_dir (str | os.PathLike): folder that both start from.
        class_names (list[str]): in the order of the class indices.

    Returns:
        Annotations: of the lines whose XML file is there, as PaddleDetection leaves out the others.

    Raises:
        UserError: it names the file, the first thing in it that is wrong, and how many more files are wrong.
    """
    path = str(path)
    pairs, doubts = _pairs(path, image_dir), []
    there = [os.path.isfile(os.path.join(image_dir, xml)) for _, xml in pairs]
    lost = [os.path.join(image_dir, xml) for (_, xml), found in zip(pairs, there) if not found]
    if len(lost) == len(pairs):
        raise UserError(f"{path}: {lost[0]} does not exist{and_more(len(lost))}")
    if lost:
        doubts.append(f"{lost[0]} does not exist{and_more(len(lost))}: PaddleDetection leaves such lines out")
    pairs = [pair for pair, found in zip(pairs, there) if found]
    repeated = first_repeated([image for image, _ in pairs])
    if repeated:
        doubts.append(f"{pairs[repeated[0]][0]} is listed more than once{and_more(repeated[2])}")

    indices = {name: index for index, name in enumerate(class_names)}
    contents = [_load(os.path.join(image_dir, xml), indices) for _, xml in pairs]
    problems = [content for content in contents if isinstance(content, UserError)]
    if problems:
        raise UserError(f"{problems[0]}{and_more(len(problems))}")
    objects = [
        (image, number, item) for image, content in enumerate(contents) for number, item in enumerate(content.object)
    ]
    box_place = lambda i: f"{os.path.join(image_dir, pairs[objects[i][0]][1])}: object[{objects[i][1]}]"
    sizes = np.array([(content.size.width, content.size.height) for content in contents], float)
    boxes = np.array([msgspec.structs.astuple(item.bndbox) for _, _, item in objects], float).reshape(-1, 4)
    box_image = np.array([image for image, _, _ in objects], int)
    # as PaddleDetection clips them
    clipped = np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], sizes[box_image] - 1)
    return Annotations(
        path=path,
        class_names=list(class_names),
        files=[image for image, _ in pairs],
        sizes=sizes,
        boxes=boxes,
        layout=CORNERS,
        box_image=box_image,
        box_class=np.array([indices[item.name] for _, _, item in objects], int),
        box_place=box_place,
        has_area=(clipped[1] > clipped[0]).all(1),
        trained_on=np.ones(len(objects), bool),
        empty=np.array([not content.object for content in contents], bool),
        doubts=doubts,
    )


def read_labels(path):
    """The class names of a VOC label list, a line each.

    Raises:
        UserError: the file cannot be read, is empty, or a line of it is empty, repeated or "background".
    """
    names = [line.strip() for line in _text(path).rstrip().split("\n")]
    if names == [""]:
        raise UserError(f"{path} is empty, expected a class name on every line")
    if "" in names:
        raise UserError(f"{path}: line {names.index('') + 1} is empty, and PaddleDetection counts it as a class")
    repeated = first_repeated(names)
    if repeated:
        first, second, count = repeated
        raise UserError(f"{path}: lines {first + 1} and {second + 1} are both {names[first]!r}{and_more(count)}")
    if names[0] == "background":
        raise UserError(f"{path} begins with background, which is no class: PaddleDetection counts it in training only")
    return names


def _pairs(path, image_dir):
    """[(image, XML file)] of a list."""
    lines = _text(path).split("\n")
    lines = lines[:-1] if not lines[-1] else lines
    if not lines:
        raise UserError(f"{path} has no images")
    pairs = [tuple(line.split()[:2]) for line in lines]
    wrong = [index for index, pair in enumerate(pairs) if len(pair) < 2]
    if wrong:
        raise UserError(
            f"{path}: line {wrong[0] + 1} is {lines[wrong[0]].strip()!r}, expected an image and an XML file, "
            f"with a space between{and_more(len(wrong))}"
        )
    return pairs


def _text(path):
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from error
    if text.startswith("\ufeff"):
        raise UserError(f"{path} begins with a byte order mark, which PaddleDetection takes for text: save it without")
    return text


def _load(path, indices):
    """The VocFile in an XML file, or a UserError."""
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        return UserError(f"{path}: {error.strerror}")
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter for its encoding
        return UserError(f"{path} is not XML: {one_line(error)}")
    content = _fields(root, {"id": None, "size": {"width": None, "height": None}})
    corners = {"xmin": None, "ymin": None, "xmax": None, "ymax": None}
    content["object"] = [
        _fields(item, {"name": None, "difficult": None, "bndbox": corners}) for item in root.findall("object")
    ]
    problem = misfit(content, VocFile, strict=False)
    if problem:
        return UserError(f"{path}: {problem}")
    content = msgspec.convert(content, VocFile, strict=False)
    width, height = content.size.width, content.size.height
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        return UserError(f"{path}: size is {width:g} x {height:g}, expected pixels")
    for number, item in enumerate(content.object):
        corners = msgspec.structs.astuple(item.bndbox)
        if not all(abs(value) <= MOST_PIXELS for value in corners):
            return UserError(f"{path}: object[{number}].bndbox is {list(corners)}, expected pixels")
        if item.name not in indices:
            return UserError(f"{path}: object[{number}] is of class {item.name!r}, which is not among the class names")
    return content


def _fields(element, fields):
    """The texts of the children of an XML element that are ``fields``, or dicts of theirs; what is missing is left
    out."""
    found = {}
    for name, deeper in fields.items():
        child = element.find(name)
        if child is not None:
            found[name] = _fields(child, deeper) if deeper else child.text if name == "name" else _stripped(child.text)
    return found


def _stripped(text):
    return text and text.strip()
