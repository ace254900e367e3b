"""Images, decoded as in training."""

import json
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from paddle_vfl.datasets import images
from paddle_vfl.datasets.images import Decoded, decode_images


@pytest.fixture
def folder(tmp_path):
    """With one image of 30 x 20 pixels, a.png."""
    Image.effect_noise((30, 20), 50).save(tmp_path / "a.png")
    return tmp_path


@pytest.fixture
def decoded(monkeypatch):
    """A list that grows with every image that OpenCV decodes."""
    sizes, decode = [], cv2.imdecode

    def counting(data, flags):
        sizes.append(len(data))
        return decode(data, flags)

    monkeypatch.setattr(cv2, "imdecode", counting)
    return sizes


def test_sizes(folder):
    Image.new("L", (7, 9)).save(folder / "b.bmp")
    assert decode_images(folder, ["b.bmp", "a.png"]) == [Decoded(7, 9), Decoded(30, 20)]
    assert decode_images(folder, [str(folder / "a.png")]) == [Decoded(30, 20)]
    assert decode_images(folder, []) == []


def test_a_turned_photograph_has_the_size_that_training_sees(folder):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    Image.new("RGB", (30, 20)).save(folder / "a.jpg", exif=exif)
    assert decode_images(folder, ["a.jpg"]) == [Decoded(20, 30)]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1", "I;16"])
def test_modes_of_png(folder, mode):
    Image.new(mode, (5, 6)).save(folder / "b.png")
    assert decode_images(folder, ["b.png"]) == [Decoded(5, 6)]


def as_pcx(path):
    Image.new("RGB", (9, 9)).save(path, format="PCX")


def cut(path):
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    "damage, problem",
    [
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"no image"), "OpenCV cannot decode it, it is damaged or no image"),
        (lambda path: path.write_bytes(b"\0\5\26\7"), "OpenCV cannot decode it, it is damaged or no image"),
        (as_pcx, "OpenCV cannot decode it, a PCX file, damaged or of a format that it lacks"),
        (cut, "OpenCV cannot decode it, a PNG file, damaged or of a format that it lacks"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
        (lambda path: path.unlink(), "No such file or directory"),
    ],
    ids=["empty", "text", "what macOS leaves", "another format", "cut", "folder", "gone"],
)
def test_what_is_wrong_is_said(folder, damage, problem):
    damage(folder / "a.png")
    assert decode_images(folder, ["a.png"]) == [Decoded(problem=problem)]


def test_too_large_an_image_is_said(folder):
    """2^15 x 2^15 + 1 pixels, of which OpenCV reads the head."""
    head = struct.pack(">IIBBBBB", 2**15, 2**15 + 1, 8, 0, 0, 0, 0)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b""))
    (image,) = decode_images(folder, ["a.png"])
    assert "CV_IO_MAX_IMAGE_PIXELS" in image.problem and "\n" not in image.problem


@pytest.mark.parametrize("thumbnail", [False, True], ids=["plain", "with a thumbnail"])
def test_a_photograph_that_ends_too_early_is_noticed(folder, thumbnail, rng):
    """OpenCV decodes it, and so does training."""
    pixels = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    if thumbnail:
        exif = Image.Exif()
        exif[0x010E] = cv2.imencode(".jpg", pixels)[1].tobytes()[:20000]  # a whole JPEG within the head
        Image.fromarray(pixels).save(folder / "b.jpg", exif=exif)
    else:
        Image.fromarray(pixels).save(folder / "b.jpg")
    assert decode_images(folder, ["b.jpg"]) == [Decoded(64, 64)]
    (folder / "b.jpg").write_bytes((folder / "b.jpg").read_bytes()[:-900])
    assert decode_images(folder, ["b.jpg"]) == [Decoded(64, 64, cut=True)]
    (folder / "c.jpg").write_bytes(cv2.imencode(".jpg", pixels)[1].tobytes() + b"what some cameras add" * 100)
    assert decode_images(folder, ["c.jpg"]) == [Decoded(64, 64)]


def test_an_image_is_decoded_once(folder, decoded):
    Image.effect_noise((8, 8), 50).save(folder / "b.png")
    assert decode_images(folder, ["a.png"]) == decode_images(folder, ["a.png"]) and len(decoded) == 1
    decode_images(folder, ["a.png", "b.png"])
    decode_images(folder, ["a.png"])
    assert len(decoded) == 2, "what is known of others stays"
    os.utime(folder / "a.png", (1, 1))
    decode_images(folder, ["a.png", "b.png"])
    assert len(decoded) == 3
    Image.new("L", (31, 20)).save(folder / "a.png")
    os.utime(folder / "a.png", (1, 1))
    assert decode_images(folder, ["a.png"]) == [Decoded(31, 20)] and len(decoded) == 4


def test_a_damaged_image_is_tried_again(folder, decoded):
    (folder / "a.png").write_bytes(b"no image")
    for _ in range(2):
        decode_images(folder, ["a.png"])
    assert len(decoded) == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"source": null, "images": []}'])
def test_a_damaged_memory_is_ignored(folder, decoded, content):
    decode_images(folder, ["a.png"])
    images._Known(str(folder)).path.write_text(content)
    assert decode_images(folder, ["a.png"]) == [Decoded(30, 20)] and len(decoded) == 2
    assert json.loads(images._Known(str(folder)).path.read_text())["images"].keys() == {"a.png"}


def test_a_memory_that_cannot_be_written_is_done_without(folder, decoded, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "a.png"))
    for _ in range(2):
        assert decode_images(folder, ["a.png"]) == [Decoded(30, 20)]
    assert len(decoded) == 2


def test_a_folder_whose_name_is_no_text_has_a_memory_too(tmp_path, decoded):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.mkdir(folder)
    Image.new("RGB", (30, 20)).save(os.path.join(folder, "a.png"))
    for _ in range(2):
        assert decode_images(folder, ["a.png"]) == [Decoded(30, 20)]
    assert len(decoded) == 1
