"""The command line, as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from paddle_vfl import cli
from paddle_vfl.errors import UserError

pytest.importorskip("ppdet")
from paddle_vfl.training.configs import parse_options

pytestmark = pytest.mark.usefixtures("clean_ppdet")
CONFIG = str(Path(__file__).resolve().parents[1] / "configs" / "ppyoloe_plus_digits.yml")


def run(capsys, *args):
    """(exit status, stdout, stderr) of a command run in this process."""
    try:
        status = cli.main(list(args))
    except SystemExit as end:  # argparse
        status = end.code
    return (status, *capsys.readouterr())


def one_line(text):
    return text.count("\n") == 1 and "Traceback" not in text


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "paddle_vfl", "--version"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and done.stdout.strip() == __import__("paddle_vfl").__version__


def test_info(capsys):
    status, out, _ = run(capsys, "info")
    assert status == 0
    for word in ("version", "isa", "num_threads", "PaddleDetection", "PPYOLOEHead._varifocal_loss"):
        assert word in out


def test_digits(capsys, tmp_path):
    status, out, _ = run(capsys, "digits", str(tmp_path / "d"), "--train-images", "2", "--val-images", "1")
    assert status == 0 and out.strip() == str(tmp_path / "d")
    assert len(json.loads((tmp_path / "d" / "annotations" / "train.json").read_text())["images"]) == 2


def test_digits_refuses_a_foreign_folder(capsys, tmp_path):
    (tmp_path / "mine.txt").touch()
    status, _, err = run(capsys, "digits", str(tmp_path))
    assert status == 2 and one_line(err) and "not written by 'paddle-vfl digits'" in err


@pytest.mark.parametrize(
    "args, message",
    [
        (["train", "-c", "nowhere.yml"], "config nowhere.yml does not exist"),
        (["train", "-c", "setup.txt"], "config setup.txt does not exist"),
        (["train", "-c", __file__], "expected a .yml or .yaml file"),
        (["train", "-c", CONFIG, "-o", "epoch"], "option 'epoch': expected key=value"),
        (["train", "-c", CONFIG, "-o", "epoch=[1"], "option 'epoch=[1'"),
        (
            ["train", "-c", CONFIG, "-o", "TrainDataset.dataset_dir=nowhere"],
            "TrainDataset: dataset_dir nowhere does not exist",
        ),
        (
            ["train", "-c", CONFIG, "-o", "TrainDataset.dataset_dir=.", "TrainDataset.image_dir=nowhere"],
            "TrainDataset: image_dir nowhere does not exist",
        ),
        (
            [
                "train",
                "-c",
                CONFIG,
                "-o",
                "TrainDataset.dataset_dir=.",
                "TrainDataset.image_dir=.",
                "TrainDataset.anno_path=no.json",
            ],
            "TrainDataset: anno_path no.json does not exist",
        ),
        (["train", "-c", CONFIG, "-r", "no/checkpoint"], "weights no/checkpoint.pdparams does not exist"),
        (["train", "-c", CONFIG, "-o", "use_gpu=true"], "this Paddle has no CUDA"),
        (
            ["eval", "-c", CONFIG, "-o", "EvalDataset.dataset_dir=nowhere"],
            "EvalDataset: dataset_dir nowhere does not exist",
        ),
        (["run", "nowhere.py"], "script nowhere.py does not exist"),
        (["infer", "-c", CONFIG], "give either --infer_img or --infer_dir"),
        (["infer", "-c", CONFIG, "--infer_img", "no.png"], "image no.png does not exist"),
        (["infer", "-c", CONFIG, "--infer_dir", "nowhere"], "folder nowhere does not exist"),
        (["infer", "-c", CONFIG, "--infer_dir", str(Path(__file__).parent)], "has no image"),
    ],
)
def test_what_the_user_has_to_mend_is_one_line(args, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *args)
    ours = [line for line in err.splitlines(keepends=True) if line.startswith("paddle-vfl ")]
    assert status == 2 and len(ours) == 1 and one_line(ours[0]) and message in ours[0]


@pytest.mark.parametrize(
    "content, message",
    [
        ("architecture: [", "while parsing"),
        ("_BASE_: [gone.yml]", "its base file"),
        ("num_classes: 3", "no architecture"),
    ],
)
def test_a_broken_config_is_one_line(content, message, capsys, tmp_path):
    path = tmp_path / "c.yml"
    path.write_text(content)
    status, _, err = run(capsys, "train", "-c", str(path))
    ours = [line for line in err.splitlines(keepends=True) if line.startswith("paddle-vfl ")]
    assert status == 2 and len(ours) == 1 and message in ours[0] and "Traceback" not in err


def test_run_hands_the_script_its_arguments_and_its_exit_status(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, ppdet.modeling, paddle_vfl\n"
        "print(__name__, sys.argv[1:], paddle_vfl.status()['enabled'])\nsys.exit(3)"
    )
    command = [sys.executable, "-m", "paddle_vfl", "run", str(script), "-c", "x.yml", "--eval"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, "__main__ ['-c', 'x.yml', '--eval'] True")


def test_run_takes_the_ppdet_of_the_script(tmp_path):
    """As PaddleDetection's tools do, which put their checkout on the path themselves."""
    package = tmp_path / "checkout" / "ppdet" / "modeling"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text("raise ModuleNotFoundError('the checkout', name='elsewhere')")
    script = tmp_path / "script.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(tmp_path / 'checkout')!r})\nimport ppdet.modeling")
    done = subprocess.run(
        [sys.executable, "-m", "paddle_vfl", "run", str(script)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1 and "ModuleNotFoundError: the checkout" in done.stderr


def test_run_says_when_nothing_was_switched(capsys, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("print('hello')")
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "ppdet.modeling")
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    status, out, err = run(capsys, "run", str(script))
    assert (status, out) == (0, "hello\n") and "did not import PaddleDetection's models: nothing was switched" in err


def test_options_nest():
    assert parse_options(["a=1", "b.c=[2, x]", "b.d.e=1e-3", "b.d.f=true"]) == {
        "a": 1,
        "b": {"c": [2, "x"], "d": {"e": "1e-3", "f": True}},
    }
    for option in ("=1", "a.=1", "a"):
        with pytest.raises(UserError, match="expected key=value"):
            parse_options([option])
    with pytest.raises(UserError, match="was given a value before"):
        parse_options(["a=1", "a.b=2"])
