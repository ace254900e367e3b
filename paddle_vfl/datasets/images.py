"""Images, decoded as in training, once."""

import concurrent.futures
import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np
from tqdm import tqdm

from ..errors import one_line

__all__ = ["Decoded", "decode_images"]

SCAN, END = b"\xff\xda", b"\xff\xd9"  # markers of JPEG


class Decoded(NamedTuple):
    """What an image turned out to be: width and height in pixels, or the problem that leaves it without."""

    width: int = 0
    height: int = 0
    cut: bool = False  # decoded, but its file ends too early: grey from there on
    problem: Optional[str] = None


def decode_images(folder, names):
    """Decode images as PaddleDetection does.

    That is done in parallel and, as long as a file's size and time of change stay the same, not again in a later run.

    Args:
        folder (str | os.PathLike): the names start from it.
        names (Sequence[str]): files that exist.

    Returns:
        list[Decoded]: one for each name.
    """
    known = _Known(os.path.abspath(folder))
    pool = concurrent.futures.ThreadPoolExecutor(min(os.cpu_count() or 1, 8))
    try:
        results = pool.map(lambda name: _decode(os.path.join(folder, name), name, known), names)
        return list(tqdm(results, "images", len(names), unit="image", delay=1, disable=None))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for what has not begun
        known.save()


def _decode(file, name, known):
    import cv2

    try:
        stat = os.stat(file)
        key = [stat.st_size, stat.st_mtime_ns]
        found = known.get(name, key)
        if found is not None:
            return found
        with open(file, "rb") as opened:
            data = opened.read()
        if not data:
            return Decoded(problem="the file is empty")
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except OSError as error:
        return Decoded(problem=error.strerror)
    except (cv2.error, MemoryError) as error:
        return Decoded(problem=one_line(error) or "not enough memory")
    if image is None:
        return Decoded(problem=f"OpenCV cannot decode it, {_what_it_is(file)}")
    height, width = image.shape[:2]
    decoded = Decoded(width, height, cut=data.rfind(END) < data.rfind(SCAN) and data.startswith(b"\xff\xd8"))
    known.put(name, key, decoded)
    return decoded


def _what_it_is(file):
    from PIL import Image

    with contextlib.suppress(Exception), Image.open(file) as image:  # Pillow raises many kinds for damaged files
        return f"a {image.format} file, damaged or of a format that it lacks"
    return "it is damaged or no image"


class _Known:
    """What the images of a folder were found to be, kept between runs in the user's cache folder."""

    def __init__(self, folder):
        import cv2

        self.source = {"folder": folder, "decoder": f"opencv {cv2.__version__}", "fields": Decoded._fields}
        cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
        self.path = cache / "paddle_vfl" / "images" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.json"
        self.images, self.changed = {}, False
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(self.path.read_text())
            if content["source"] == json.loads(json.dumps(self.source)):
                self.images = content["images"]

    def get(self, name, key):
        entry = self.images.get(name)
        return Decoded(*entry[1]) if entry and entry[0] == key else None

    def put(self, name, key, decoded):
        self.images[name] = [key, decoded]
        self.changed = True

    def save(self):
        if not self.changed:
            return
        with contextlib.suppress(OSError):  # they are decoded again then
            self.path.parent.mkdir(parents=True, exist_ok=True)
            scratch = self.path.with_suffix(f".{os.getpid()}")
            scratch.write_text(json.dumps({"source": self.source, "images": self.images}))
            os.replace(scratch, self.path)
