"""Boxes in other units than pixels, in another layout, or outside their images."""

import numpy as np

from ..errors import UserError
from .annotations import CENTRE, CORNERS, SIZE

__all__ = ["check_boxes"]

# a smaller share of strange boxes is put down to mistakes with these, a larger one to how all were written
MANY = 0.1
# a pattern in fewer boxes may be chance
FEW = 20


def check_boxes(annotations, sizes):
    """Check that boxes are in pixels, in the layout of their format and inside their images.

    Args:
        annotations (Annotations): as read.
        sizes (numpy.ndarray): [images, 2], width and height in pixels, as decoded.

    Returns:
        list[str]: what may be a mistake, a line each.

    Raises:
        UserError: the boxes are in other units or in another layout.
    """
    listed = np.flatnonzero(annotations.box_image >= 0)
    if not len(listed):
        return []
    numbers, image_sizes = annotations.boxes[listed], sizes[annotations.box_image[listed]]
    has_area, inside = _judged(annotations.corners()[listed], image_sizes)

    def said(which, what):
        first = int(np.flatnonzero(which)[0])
        box, (width, height) = ", ".join(f"{value:g}" for value in numbers[first]), image_sizes[first]
        return (
            f"{which.sum():,} of {len(which):,} boxes {what}: {annotations.box_place(int(listed[first]))} is [{box}] "
            f"in an image of {width:g} x {height:g} pixels"
        )

    tiny = has_area & (np.abs(numbers) <= 1.001).all(1) & (image_sizes.min(1) > 2)
    if tiny.mean() > MANY:
        raise UserError(
            f"{annotations.path}: {said(tiny, 'are smaller than a pixel')}; expected pixels, are they fractions of the "
            f"image?"
        )
    strange = ~has_area | ~inside
    if strange.mean() > MANY:
        what = f"{said(strange, 'leave their image or have no area')}; expected {annotations.layout}"
        for layout in (SIZE, CORNERS, CENTRE):
            if np.logical_and(*_judged(annotations.corners(layout)[listed], image_sizes)).mean() > 0.99:
                raise UserError(f"{annotations.path}: {what}, are they {layout}?")
        if strange.mean() > 0.5:
            raise UserError(f"{annotations.path}: {what} in pixels of that image")
    doubts = []
    if tiny.any():
        doubts.append(said(tiny, "are smaller than a pixel"))
    if not has_area.all():
        doubts.append(f"{said(~has_area, 'have no area')}; they are left out")
    if not inside.all():
        doubts.append(said(~inside, "leave their image"))
    if len(listed) >= FEW and (annotations.corners()[listed, 2:] < image_sizes / 2).all():
        doubts.append(
            "all boxes are in the upper left quarter of their images: were these smaller when boxes were drawn?"
        )
    return doubts


def _judged(corners, sizes):
    """(has an area, is inside its image, give or take a pixel or 1%), masks of boxes x1, y1, x2, y2."""
    low, high, slack = corners[:, :2], corners[:, 2:], 1 + sizes / 100
    return (high > low).all(1), ((low >= -slack) & (high <= sizes + slack)).all(1)
