"""What COCO and VOC annotations have in common once they are read."""

import dataclasses
from typing import Callable

import numpy as np

__all__ = ["CENTRE", "CORNERS", "MOST_PIXELS", "SIZE", "Annotations", "and_more", "first_repeated"]

# what the four numbers of a box may mean
SIZE = "x, y, width, height"
CORNERS = "x1, y1, x2, y2"
CENTRE = "centre x, centre y, width, height"
# more than an image can have; PaddleDetection computes boxes in float32
MOST_PIXELS = 1e6


@dataclasses.dataclass
class Annotations:
    """The images and boxes of a data set, as its files have them.

    Args:
        path (str): annotation file; for VOC the list of images.
        class_names (list[str]): in the order of the class indices.
        files (list[str]): of the images, from the image folder.
        sizes (numpy.ndarray): [images, 2], width and height in pixels, as annotated.
        boxes (numpy.ndarray): [boxes, 4], float64, the four numbers of the file.
        layout (str): what they mean, ``SIZE`` or ``CORNERS``.
        box_image, box_class (numpy.ndarray): [boxes], indices into ``files`` (-1: none) and ``class_names``.
        box_place (Callable[int, str]): where box i stands in the file.
        has_area (numpy.ndarray): [boxes], bool: it is large enough for PaddleDetection.
        trained_on (numpy.ndarray): [boxes], bool: PaddleDetection takes it, if it has an area and its image is there.
        empty (numpy.ndarray): [images], bool: PaddleDetection counts it among the images without a box.
        doubts (list[str]): what may be a mistake, a line each.
        complete (bool): PaddleDetection can read the file as it is.
    """

    path: str
    class_names: list
    files: list
    sizes: np.ndarray
    boxes: np.ndarray
    layout: str
    box_image: np.ndarray
    box_class: np.ndarray
    box_place: Callable
    has_area: np.ndarray
    trained_on: np.ndarray
    empty: np.ndarray
    doubts: list
    complete: bool = True

    def corners(self, layout=None):
        """[boxes, 4], x1, y1, x2, y2, if the numbers of the file mean ``layout``, by default their own."""
        first, second = self.boxes[:, :2], self.boxes[:, 2:]
        layout = layout or self.layout
        if layout == SIZE:
            second = first + second
        elif layout == CENTRE:
            first, second = first - second / 2, first + second / 2
        return np.concatenate([first, second], 1)


def and_more(count):
    """What a message about the first of ``count`` ends with."""
    return f" (and {count - 1:,} more)" if count > 1 else ""


def first_repeated(values):
    """(index, index of its first repetition, number of repetitions of all) for what an array repeats first, or None."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    earlier = first[inverse.reshape(-1)]
    repeats = np.flatnonzero(earlier != np.arange(len(values)))
    return (int(earlier[repeats[0]]), int(repeats[0]), len(repeats)) if len(repeats) else None
