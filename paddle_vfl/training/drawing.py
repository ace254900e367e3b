"""Pictures of a run: detections and curves."""

import functools
import zlib
from pathlib import Path

from .history import read_history

__all__ = ["AP_NAMES", "decode", "draw", "draw_curves", "draw_grid"]

AP_NAMES = ("AP 0.50:0.95", "AP 0.50", "AP 0.75", "AP small", "AP medium", "AP large")
# the first that there is; the last, which comes with matplotlib, has no Chinese
FONTS = ["Noto Sans CJK SC", "WenQuanYi Zen Hei", "SimHei", "Microsoft YaHei", "PingFang SC", "DejaVu Sans"]


def decode(path):
    """The image as the model sees it before its size is changed: PaddleDetection lets OpenCV turn it as EXIF says, make
    16 bits 8, and drop the alpha channel.

    Returns:
        numpy.ndarray: (height, width, 3), uint8, RGB.
    """
    import cv2
    import numpy as np

    return cv2.cvtColor(cv2.imdecode(np.frombuffer(Path(path).read_bytes(), np.uint8), 1), cv2.COLOR_BGR2RGB)


def draw(image, found, threshold, scale=1):
    """Boxes with class names and scores over an image.

    Args:
        image (numpy.ndarray | PIL.Image.Image): RGB.
        found (Iterable[tuple]): ``(class name, score, box)``; a box is (x, y, width, height), or the eight coordinates
            of its corners, in pixels.
        threshold (float): boxes with a lower score are left out.
        scale (float): enlarges the picture.

    Returns:
        PIL.Image.Image: RGB.
    """
    from PIL import Image, ImageDraw

    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size]) if scale != 1 else picture.copy()
    canvas = ImageDraw.Draw(picture)
    unit = max(picture.size) / 640
    font, width = _font(max(11, round(14 * unit))), max(1, round(2 * unit))
    for name, score, box in sorted(found, key=lambda detection: detection[1]):  # the best on top
        if score < threshold:
            continue
        color = f"hsl({zlib.crc32(name.encode()) % 360}, 80%, 42%)"
        corners = [scale * value for value in _corners(box)]
        canvas.line([*corners, *corners[:2]], fill=color, width=width, joint="curve")
        x, y = min(corners[::2]), min(corners[1::2])
        left, top, right, bottom = canvas.textbbox((0, 0), f"{name} {score:.2f}", font=font)
        # above the box, or inside it where there is no room
        x, y = min(max(x, 0), max(picture.width - right, 0)), y - bottom if y >= bottom else max(y, 0)
        canvas.rectangle([x, y, x + right, y + bottom], fill=color)
        canvas.text((x, y), f"{name} {score:.2f}", fill="white", font=font)
    return picture


def _corners(box):
    if len(box) == 8:
        return box
    x, y, w, h = box
    return [x, y, x + w, y, x + w, y + h, x, y + h]


@functools.lru_cache(None)
def _font(size):
    from matplotlib import font_manager
    from PIL import ImageFont

    known = {font.name for font in font_manager.fontManager.ttflist}  # findfont warns of each that is not there
    family = next(name for name in FONTS if name in known)
    return ImageFont.truetype(font_manager.findfont(font_manager.FontProperties(family=family)), size)


def draw_grid(found, path, threshold=0.4, columns=6, rows=4, side=280):
    """The first images with their boxes, in squares of ``side`` pixels.

    Args:
        found (Mapping[pathlib.Path, list]): as :func:`paddle_vfl.training.detect` returns it.
        path (str): the picture to write.
    """
    from PIL import Image

    gap = 6
    grid = Image.new("RGB", (columns * (side + gap) - gap, rows * (side + gap) - gap), "white")
    for index, (image, boxes) in zip(range(columns * rows), found.items()):
        pixels = decode(image)
        picture = draw(pixels, boxes, threshold, scale=side / max(pixels.shape[:2]))
        left, top = (index % columns) * (side + gap), (index // columns) * (side + gap)
        grid.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
    grid.save(path)


def draw_curves(history, path):
    """Losses over the steps and AP over the epochs."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot as plt

    steps, evaluations = read_history(history)
    per_epoch = max(s["step"] for s in steps) + 1
    epochs = np.array([s["epoch"] + s["step"] / per_epoch for s in steps])
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for name in (name for name in steps[0]["losses"] if name != "loss"):
        values = np.array([s["losses"][name] for s in steps])
        (line,) = left.plot(epochs, values, alpha=0.25, linewidth=0.8)
        left.plot(
            epochs,
            [values[max(0, i - 31) : i + 1].mean() for i in range(len(values))],
            color=line.get_color(),
            label=name,
        )
    left.set(xlabel="epoch", ylabel="loss (mean of 32 steps)", yscale="log", title="training losses")
    left.legend()
    evaluations = [e for e in evaluations if e["eval"].get("bbox")]
    for index, name in enumerate(AP_NAMES[:3]):
        right.plot(
            [e["epoch"] + 1 for e in evaluations], [e["eval"]["bbox"][index] for e in evaluations], "o-", label=name
        )
    right.set(xlabel="epoch", ylim=(0, 1), title="validation")
    right.legend()
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
