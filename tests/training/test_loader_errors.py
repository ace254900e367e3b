"""Whatever fails while a batch is read is an error where the batch is waited for."""

import faulthandler
import gc
import itertools
import shutil

import numpy as np
import pytest
from ppdet.core.workspace import create, load_config
from ppdet.data.reader import BatchCompose, Compose
from ppdet.data.source.dataset import DetDataset
from ppdet.data.transform.batch_operators import PadGT
from ppdet.data.transform.operators import Resize

import paddle_vfl
from paddle_vfl.errors import UserError
from paddle_vfl.training.loader_errors import LoaderError, loader_errors

from paddle.io import DistributedBatchSampler


@pytest.fixture(params=[0, 2], ids=["no workers", "two workers"])
def batches(request, config, digits, tmp_path):
    """A function that reads all the batches of a copy of the small data set, and returns their number.

    Where it would wait for ever, in a function of Paddle that no exception gets out of, the tests end.
    """
    shutil.copytree(digits, tmp_path / "data")
    sections = {"TrainDataset": {"dataset_dir": str(tmp_path / "data")}}
    path = str(config("ppyoloe_plus_digits.yml", worker_num=request.param, **sections))

    def read():
        cfg = load_config(path)
        reader = create("TrainReader")(create("TrainDataset")(), cfg.worker_num)
        return len(list(reader.dataloader))

    paddle_vfl.enable()
    faulthandler.dump_traceback_later(60, exit=True)
    with loader_errors():
        yield read
    gc.collect()  # where Paddle waits for its workers
    faulthandler.cancel_dump_traceback_later()


def failing(error):
    def fail(*args, **kwargs):
        raise error

    return fail


ERRORS = [
    (ValueError("no\n such thing"), "ValueError: no such thing"),
    (UnicodeDecodeError("utf-8", b"x", 0, 1, "odd"), "UnicodeDecodeError: 'utf-8' codec can't decode byte 0x78 in"),
    (KeyError("gt_bbox"), "KeyError: 'gt_bbox'"),
    (MemoryError(), "MemoryError"),
]


def test_no_error_no_matter(batches):
    assert batches() == 2


@pytest.mark.parametrize("error, message", ERRORS, ids=lambda value: type(value).__name__)
def test_a_transform_that_fails_names_its_image(batches, monkeypatch, error, message):
    monkeypatch.setattr(Resize, "apply", failing(error))
    with pytest.raises(LoaderError) as raised:
        batches()
    text = str(raised.value)
    assert text.startswith("image ") and f".png: {message}" in text and "\n" not in text and "Traceback" not in text


@pytest.mark.parametrize("error, message", ERRORS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("where", [(BatchCompose, "__call__"), (DetDataset, "__getitem__")], ids=["batch", "data set"])
def test_anything_else_that_fails_says_why(batches, monkeypatch, where, error, message):
    with monkeypatch.context() as patched, pytest.raises(LoaderError) as raised:  # undone before loader_errors is
        patched.setattr(*where, failing(error))
        batches()
    assert str(raised.value).startswith(message) and "\n" not in str(raised.value)


def test_a_transform_of_a_batch_that_fails_is_named(batches, monkeypatch):
    monkeypatch.setattr(PadGT, "__call__", lambda self, samples: samples[0]["gone"])
    with pytest.raises(LoaderError, match="^PadGT: KeyError: 'gone'$"):
        batches()


def test_images_of_unlike_sizes_cannot_be_a_batch(batches, monkeypatch):
    sizes = itertools.cycle([32, 64])
    monkeypatch.setattr(PadGT, "__call__", lambda self, batch: [{"image": np.zeros(next(sizes))} for _ in batch])
    with pytest.raises(LoaderError, match="^samples cannot be put together to a batch: ValueError: all input arrays"):
        batches()


@pytest.mark.parametrize(
    "transforms, message",
    [
        (
            [{"Decode": {}}, {"BatchRandomResize": {"target_size": [96]}}],
            "BatchRandomResize, {'target_size': .96.}: Type",
        ),
        ([{"Resizes": {}}], "Resizes, {}: AttributeError: "),
        (None, "are None: TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_a_transform_that_cannot_be_made_is_named(transforms, message):
    with loader_errors(), pytest.raises(UserError, match=f"^transforms of a reader: {message}"):
        Compose(transforms)


def test_an_image_that_was_damaged_meanwhile_is_named(batches, tmp_path):
    (tmp_path / "data" / "train" / "000005.png").write_bytes(b"no image")
    with pytest.raises(LoaderError, match="image .*data/train/000005.png: AttributeError: "):
        batches()


def test_an_image_that_is_not_there_any_more_is_named(batches, tmp_path, monkeypatch):
    gone = tmp_path / "data" / "train" / "000005.png"
    monkeypatch.setattr(DetDataset, "set_transform", lambda self, t: (gone.unlink(), setattr(self, "transform", t)))
    with pytest.raises(LoaderError, match="image .*000005.png: FileNotFoundError: .*No such file.*000005.png"):
        batches()


def test_an_order_of_images_that_fails_says_why(batches, monkeypatch):
    monkeypatch.setattr(DistributedBatchSampler, "__iter__", lambda self: iter([[0], [99]]))
    with pytest.raises(LoaderError, match="IndexError: list index out of range"):
        batches()
