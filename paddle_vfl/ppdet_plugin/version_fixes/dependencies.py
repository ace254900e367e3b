"""NumPy and Pillow."""

import numpy as np

__all__ = ["numpy_aliases", "pillow_textsize"]


def numpy_aliases(patches):
    """PaddleDetection is not imported: AttributeError: module 'numpy' has no attribute 'bool' (int, float)

    NumPy 1.24 removed the aliases that paddledet uses.
    """
    if np.lib.NumpyVersion(np.__version__) < "1.24.0":
        return False
    for alias in (bool, int, float):
        if alias.__name__ not in vars(np):  # NumPy 2 has np.bool again
            patches.set(np, alias.__name__, alias)
    return True


def pillow_textsize(patches):
    """No boxes are drawn: AttributeError: 'ImageDraw' object has no attribute 'textsize'

    Pillow 10 removed it, and paddledet 2.6.0 measures the labels of boxes with it.
    """
    from PIL.ImageDraw import ImageDraw

    if hasattr(ImageDraw, "textsize"):
        return False

    def textsize(self, text, *args, **kwargs):
        left, top, right, bottom = self.textbbox((0, 0), text, *args, **kwargs)
        return right, bottom

    patches.set(ImageDraw, "textsize", textsize)
    return True
