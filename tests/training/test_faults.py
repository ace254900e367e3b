"""Training that is interrupted, killed and resumed; damaged checkpoints; folders that cannot be written."""

import contextlib
import errno
import functools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paddle_vfl.errors import UserError
from paddle_vfl import training
from paddle_vfl.training.history import read_history


@pytest.fixture
def start():
    """A function that starts training in a process, as from a terminal. None is left behind."""
    processes = []

    def run(path, *args):
        command = [sys.executable, "-m", "paddle_vfl", "train", "-c", str(path), "--seed", "0", *map(str, args)]
        # a background job's children ignore Ctrl-C
        listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        processes.append(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                preexec_fn=listen,
            )
        )
        return processes[-1]

    yield run
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def finish(process, timeout=300):
    output = process.communicate(timeout=timeout)[0]
    assert process.returncode == 0, output[-3000:]


def wait_for(condition, process, timeout=200):
    deadline = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0][-3000:]
        time.sleep(0.02)


@pytest.fixture
def four_epochs(config, tmp_path):
    """A function that writes a config of four epochs of its own folder."""
    # so short a training finds nothing with a score worth keeping
    head = {"nms": {"score_threshold": 0.0}}
    return lambda name: config(
        "ppyoloe_plus_digits.yml", epoch=4, snapshot_epoch=1, save_dir=str(tmp_path / name), PPYOLOEHead=head
    )


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_metrics_of_an_uninterrupted_one(start, four_epochs, tmp_path):
    whole = four_epochs("whole")
    three = ["--eval", "-o", "epoch=3"]
    finish(start(whole, *three))
    killed = four_epochs("killed")
    folder = tmp_path / "killed" / killed.stem
    process = start(killed, *three)
    # the second epoch has begun: there is a checkpoint of the first, and more history than it
    wait_for(
        lambda: (folder / "history.jsonl").exists() and '"epoch": 1' in (folder / "history.jsonl").read_text(), process
    )
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (folder / "model_final.pdparams").exists()
    finish(start(killed, *three, "-r", folder / "0"))
    expected, got = (
        read_history(tmp_path / "whole" / whole.stem / "history.jsonl"),
        read_history(folder / "history.jsonl"),
    )
    assert [(s["epoch"], s["step"]) for s in got[0]] == [(s["epoch"], s["step"]) for s in expected[0]]
    for a, b in zip(got[0], expected[0]):
        assert a["losses"] == pytest.approx(b["losses"], rel=1e-4)
    assert [e["epoch"] for e in got[1]] == [0, 1, 2]
    for a, b in zip(got[1], expected[1]):
        assert a["eval"]["bbox"] == pytest.approx(b["eval"]["bbox"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_stops_training_in_one_line(start, four_epochs, tmp_path, workers):
    path = four_epochs("interrupted")
    process = start(path, "-o", f"worker_num={workers}", "epoch=1000")
    history = tmp_path / "interrupted" / path.stem / "history.jsonl"
    wait_for(lambda: history.exists() and history.read_text().count("\n") >= 3, process)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output[-3000:]
    assert "paddle-vfl train: interrupted" in output
    if workers == 0:
        assert "Traceback" not in output
    # every line that was written is whole
    assert all(json.loads(line) for line in history.read_text().splitlines())


@pytest.fixture
def checkpoint(config, tmp_path):
    """(config, a checkpoint of it)."""
    path = config("ppyoloe_plus_digits.yml", epoch=1, snapshot_epoch=1)
    training.train(str(path), seed=0)
    return str(path), tmp_path / "output" / path.stem / "model_final"


def test_resume_refuses_the_state_of_another_optimizer(checkpoint):
    path, stem = checkpoint
    options = ["epoch=2", "OptimizerBuilder.optimizer={type: Momentum, momentum: 0.9}"]
    with pytest.raises(
        UserError, match="the checkpoint has the state of another optimizer: Optimizer set error, .*_vel"
    ):
        training.train(path, options, resume=str(stem))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt", ".pdema"])
def test_a_truncated_checkpoint_is_reported(checkpoint, suffix):
    path, stem = checkpoint
    cut(Path(f"{stem}{suffix}"))
    with pytest.raises(UserError, match=f"checkpoint .*model_final{suffix} is damaged .*: take an earlier one"):
        training.train(path, resume=str(stem))


@pytest.mark.parametrize("part, what", [("pdopt", ": training cannot go on from it"), ("pdema", ", the weights that ")])
def test_a_checkpoint_without_a_part_is_reported(checkpoint, part, what):
    path, stem = checkpoint
    Path(f"{stem}.{part}").unlink()
    with pytest.raises(UserError, match=f"model_final has no .{part}{what}"):
        training.train(path, resume=str(stem))


@pytest.mark.parametrize(
    "damage",
    [cut, lambda path: path.write_bytes(b"hello"), lambda path: path.write_bytes(b"")],
    ids=["cut", "text", "empty"],
)
def test_damaged_weights_are_reported(checkpoint, damage):
    path, stem = checkpoint
    damage(Path(f"{stem}.pdparams"))
    with pytest.raises(UserError, match="weights .*model_final.pdparams is damaged"):
        training.evaluate(path, [f"weights={stem}"])


def test_an_output_folder_that_cannot_be_made_is_reported(config, tmp_path):
    (tmp_path / "file").write_text("")
    path = config("ppyoloe_plus_digits.yml", save_dir=str(tmp_path / "file" / "output"))
    with pytest.raises(UserError, match="save_dir: cannot write into .*file/output/.*: Not a directory"):
        training.train(str(path))


@pytest.fixture
def broken_digits(config, digits, tmp_path):
    """A function of a function that breaks a copy of the small data set; it returns a config that trains on that."""

    def broken(breaks):
        folder = tmp_path / "broken"
        shutil.copytree(digits, folder)
        annotations = folder / "annotations" / "train.json"
        content = json.loads(annotations.read_text())
        breaks(folder, content)
        annotations.write_text(json.dumps(content))
        return config("ppyoloe_plus_digits.yml", epoch=1, TrainDataset={"dataset_dir": str(folder)})

    return broken


def test_an_unreadable_image_is_named(broken_digits):
    def breaks(folder, content):
        cut(folder / "train" / content["images"][3]["file_name"])
        (folder / "train" / content["images"][5]["file_name"]).write_bytes(b"no image")

    path = str(broken_digits(breaks))
    with pytest.raises(UserError, match="TrainDataset: image .*train/.* cannot be read .*: "):
        training.train(path)


def test_boxes_outside_the_image_and_degenerate_ones_train(broken_digits, tmp_path):
    def breaks(folder, content):
        boxes = [[-50, -50, 20, 20], [120, 120, 500, 500], [10, 10, 0, 5], [10, 10, -5, 5], [300, 300, 10, 10]]
        for annotation, box in zip(content["annotations"], boxes):
            annotation["bbox"] = box

    path = broken_digits(breaks)
    training.train(str(path))
    steps, _ = read_history(tmp_path / "output" / path.stem / "history.jsonl")
    assert all(math.isfinite(value) for step in steps for value in step["losses"].values())


def test_images_without_annotations_train(broken_digits, tmp_path):
    """Beside others: a batch without any box is too much for PaddleDetection 2.6.0's ATSSAssigner."""

    def breaks(folder, content):
        empty = {image["id"] for image in content["images"][:3]}
        content["annotations"] = [a for a in content["annotations"] if a["image_id"] not in empty]

    path = broken_digits(breaks)
    training.train(str(path), ["TrainDataset.allow_empty=true"])
    steps, _ = read_history(tmp_path / "output" / path.stem / "history.jsonl")
    assert steps and all(math.isfinite(value) for step in steps for value in step["losses"].values())


def test_a_full_output_folder_is_reported(four_epochs):
    """A limit on the size of files stands for a full disk: the write of the first checkpoint fails."""
    path = four_epochs("full")
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)); "
        "from paddle_vfl.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "train", "-c", str(path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2 and "paddle-vfl train: cannot write into " in done.stderr, done.stderr[-2000:]


def raised(error, folder="out", workers=2):
    """The error that comes of one in a training."""
    from paddle_vfl.training.faults import explained

    with pytest.raises(Exception) as caught:
        with explained(folder, workers):
            raise error
    return caught.value


@pytest.mark.parametrize(
    "error, message",
    [
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write into out: No space left on device"),
        (OSError(errno.EACCES, "Permission denied", "out/x"), "cannot write into out/x: Permission denied"),
        (OSError(errno.EACCES, "Permission denied", "data/x.png"), "data/x.png: Permission denied"),
        (
            SystemError("(Fatal) DataLoader process (pid 1) exited is killed by signal: Killed."),
            "a reader process was killed, most likely by the system for want of memory",
        ),
        (
            SystemError("(Fatal) DataLoader process (pid 1) exited is killed by signal: Bus error."),
            "a reader process ended for want of space in /dev/shm: -o worker_num=0 does without it",
        ),
        (
            SystemError("(Fatal) DataLoader process (pid 1) exited unexpectedly with code 3."),
            "a reader process ended: (Fatal) DataLoader process (pid 1) exited unexpectedly with code 3.",
        ),
    ],
)
def test_the_cause_is_named(error, message):
    assert type(raised(error)) is UserError and message in str(raised(error))


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "gone"), SystemError("other"), KeyError("x")])
def test_other_errors_stay(error):
    assert raised(error) is error


def test_full_shared_memory_is_not_a_full_output_folder(monkeypatch):
    from paddle_vfl.training import faults

    usage = {"/dev/shm": 1000}
    monkeypatch.setattr(
        faults.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 30, 0, usage.get(path, 1 << 30))
    )
    full = OSError(errno.ENOSPC, "No space left on device")
    assert "/dev/shm, through which 2 reader processes pass images on, is full" in str(raised(full))
    assert "cannot write into out" in str(raised(full, workers=0))


@pytest.mark.slow
def test_a_reader_process_that_is_killed_is_named(start, four_epochs, tmp_path):
    path = four_epochs("killed")
    process = start(path, "-o", "worker_num=2", "epoch=1000")
    history = tmp_path / "killed" / path.stem / "history.jsonl"
    wait_for(lambda: history.exists() and history.read_text().count("\n") >= 3, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    output = process.communicate(timeout=100)[0]
    assert process.returncode == 2 and "paddle-vfl train: a reader process was killed" in output, output[-3000:]


def test_fewer_images_than_a_batch_are_named_before_training(config, tmp_path):
    path = config("ppyoloe_plus_digits.yml")
    with pytest.raises(UserError, match="16 images with boxes, and TrainReader.batch_size is 17: .*batch_size=16"):
        training.train(path, ["TrainReader.batch_size=17"])
    assert not list(tmp_path.glob("output/*/*.pdparams"))


@pytest.mark.parametrize(
    "option, message",
    [
        ("save_dir=~", "save_dir is None, expected a folder"),
        (
            "CSPResNet.layers=[3]",
            "no model can be made of the options of CSPResNet: IndexError: list index out of range",
        ),
        ("CSPResNet.return_idx=[9]", "no model can be made of the options of CSPResNet: IndexError: list index out of"),
        ("TrainReader.sample_transforms=~", "transforms of a reader: are None: TypeError: "),
    ],
)
def test_what_cannot_be_made_of_its_options_is_named(option, message, config):
    with pytest.raises(UserError, match=message):
        training.train(config("ppyoloe_plus_digits.yml"), [option])


@pytest.mark.parametrize(
    "option, message",
    [
        ("TrainReader.collate_batch=false", "ATSSAssigner, atss_assigner.py:[0-9]+: AttributeError: 'list' object has"),
        ("PPYOLOEHead.fpn_strides=[32, 16]", "PPYOLOEHead, ppyoloe_head.py:[0-9]+: AssertionError: The size of feats"),
    ],
)
def test_what_does_not_suit_the_batches_is_named_at_the_first(option, message, config):
    with pytest.raises(UserError, match=f"the model cannot take a batch: {message}"):
        training.train(config("ppyoloe_plus_digits.yml"), [option])


def test_what_does_not_suit_the_images_is_named_at_the_first(checkpoint, digits):
    path, stem = checkpoint
    options = [f"weights={stem}", "PPYOLOEHead.fpn_strides=[32, 16]"]
    for run in (training.evaluate, functools.partial(training.infer, folder=str(digits / "val"))):
        with pytest.raises(UserError, match="the model cannot take a batch: PPYOLOEHead, ppyoloe_head.py:[0-9]+: As"):
            run(path, options)


def test_a_model_that_fails_later_shows_where(config, monkeypatch):
    from ppdet.modeling.heads import PPYOLOEHead

    steps, forward = [], PPYOLOEHead.forward

    def fail_in_the_second(self, *args, **kwargs):
        steps.append(1)
        assert len(steps) < 2, "later"
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(PPYOLOEHead, "forward", fail_in_the_second)
    with pytest.raises(AssertionError, match="later"):
        training.train(config("ppyoloe_plus_digits.yml"))


def test_a_metric_that_does_not_suit_the_data_is_named_before_training(config, digits, tmp_path):
    path = config("ppyoloe_plus_digits.yml")
    with pytest.raises(UserError, match="metric VOC does not suit the data set: "):
        training.train(path, ["metric=VOC"], evaluate=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "val.txt").write_text("a.jpg a.xml")
    voc = f"EvalDataset={{name: VOCDataSet, dataset_dir: '{tmp_path}/mine', image_dir: '.', anno_path: val.txt}}"
    from paddle_vfl.training import configs
    from paddle_vfl.training.trainer import Trainer

    trainer = Trainer(configs.load(path, [voc]), mode="train")
    with pytest.raises(UserError, match="metric COCO needs COCO annotations, and EvalDataset has .*val.txt"):
        trainer.check_metric()


def test_a_second_training_says_what_becomes_of_the_first(checkpoint, caplog):
    path, stem = checkpoint
    caplog.clear()
    training.train(path, ["epoch=1"], seed=0)
    (said,) = [record.getMessage() for record in caplog.records if "earlier run" in record.getMessage()]
    assert f"{stem.parent} holds an earlier run" in said and f"`-r {stem}` goes on with it" in said
