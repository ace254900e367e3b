"""What PaddleDetection needs to run on newer versions of what it depends on: a fix for each way in which they changed.

Each fix is a function whose docstring begins with the symptom it cures. It changes PaddleDetection's own modules, or
puts back what NumPy and Pillow removed, and only what would fail: what runs without a fix gives the same numbers with
it. ``zlib`` before ``paddle``, which has to come earlier than anything here, is at the top of paddle_vfl/_ops.py.
"""

import inspect

from .assigners import batches_without_boxes, levels_of_few_cells, yolof_without_boxes
from .dependencies import numpy_aliases, pillow_textsize
from .no_positives import fcos_without_boxes, fcos_without_positives, picodet_without_positives
from .scalars import concat_of_scalars
from .static_graph import export_of_whole_graphs, operators_in_static_graphs
from .unlike_types import operators_on_unlike_types

__all__ = ["apply_after_import", "apply_before_import"]


def apply_before_import(patches):
    """Apply what ``import ppdet`` needs. Returns {name of a fix applied: its symptom}."""
    return _apply((numpy_aliases,), patches)


def apply_after_import(patches):
    """Apply what changes ppdet itself. Returns {name of a fix applied: its symptom}."""
    fixes = (
        pillow_textsize,
        operators_on_unlike_types,
        operators_in_static_graphs,
        export_of_whole_graphs,
        concat_of_scalars,
        levels_of_few_cells,
        batches_without_boxes,
        yolof_without_boxes,
        picodet_without_positives,
        fcos_without_boxes,
        fcos_without_positives,
    )
    return _apply(fixes, patches)


def _apply(fixes, patches):
    return {fix.__name__: _symptom(fix) for fix in fixes if fix(patches)}


def _symptom(fix):
    """The first paragraph of its docstring, on one line."""
    return " ".join(inspect.getdoc(fix).split("\n\n")[0].split())
