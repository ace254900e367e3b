"""The command line, as a user meets it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from paddle_vfl import cli

pytest.importorskip("ppdet")
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


@pytest.mark.parametrize("args", [[], ["--help"]])
def test_help_has_examples_and_needs_no_paddle(args):
    code = "import sys; sys.modules['paddle'] = None; from paddle_vfl.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "paddle-vfl train -c configs/ppyoloe_plus_digits.yml --eval" in done.stdout


COMMANDS = ["train -c {}", "eval -c {}", "infer -c {} --infer_img x.png", "digits digits"]


@pytest.mark.parametrize("command", COMMANDS)
def test_where_only_paddle_is_installed_a_line_says_what_to_install(command, tmp_path):
    """Paddle brings NumPy and Pillow, and none of what PaddleDetection brings."""
    code = "import sys; sys.modules.update(dict.fromkeys(['ppdet', 'yaml', 'tqdm', 'cv2', 'sklearn']))\n"
    code += "from paddle_vfl.cli import main; sys.exit(main(sys.argv[1:]))"
    args = command.format(CONFIG).split()
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert last.startswith(f"paddle-vfl {args[0]}: ") and "is not installed: pip install" in last


def test_info_needs_paddle_alone(tmp_path):
    code = "import sys; sys.modules.update(dict.fromkeys(['ppdet', 'yaml', 'tqdm', 'cv2', 'sklearn']))\n"
    code += "from paddle_vfl.cli import main; sys.exit(main(['info']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "PaddleDetection is not installed: pip install" in done.stdout, done.stderr


def test_help_of_train_explains_the_options(capsys):
    status, out, _ = run(capsys, "train", "--help")
    assert status == 0 and "-o epoch=30 LearningRate.base_lr=1e-3" in out


def test_options_may_be_given_in_several_places():
    args = cli._parser().parse_args(["train", "-o", "a=1", "b=2", "-c", "x.yml", "-o", "c=3"])
    assert args.opt == ["a=1", "b=2", "c=3"]


def test_the_data_set_that_a_command_writes_is_said_to_be_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, "train", "-c", CONFIG)
    assert status == 2 and "dataset/digits does not exist: `paddle-vfl digits dataset/digits` writes it" in err


@pytest.mark.parametrize("args", [["-m", "paddle_vfl", "info"], ["-c", "import paddle_vfl; paddle_vfl.build_info()"]])
def test_a_source_folder_without_the_operator_says_so(args, tmp_path):
    package = Path(cli.__file__).parent
    shutil.copytree(package, tmp_path / "paddle_vfl", ignore=shutil.ignore_patterns("_C*", "__pycache__"))
    (tmp_path / "csrc").mkdir()
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, *args], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    last = done.stderr.splitlines()[-1]
    assert done.returncode != 0 and f"{tmp_path / 'paddle_vfl'} is the source of paddle_vfl, and its operator" in last
    assert ("Traceback" in done.stderr) == (args[0] == "-c")


def test_info(capsys):
    status, out, _ = run(capsys, "info")
    assert status == 0
    for word in ("version", "isa", "num_threads", "PaddleDetection", "PPYOLOEHead._varifocal_loss"):
        assert word in out


def test_an_instruction_set_that_there_is_not():
    command, env = [sys.executable, "-m", "paddle_vfl", "info"], {**os.environ, "PADDLE_VFL_ISA": "foo"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "paddle-vfl info: PADDLE_VFL_ISA: there is no instruction set 'foo'; expected one of" in done.stderr


def test_who_reads_the_output_may_go(tmp_path):
    """``paddle-vfl info | head -1``: status 141, as of a program that SIGPIPE ends, and no traceback."""
    command = [sys.executable, "-m", "paddle_vfl", "info"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        process.stdout.close()
        assert "Broken pipe" not in process.stderr.read()
    assert process.returncode == 141


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
        (["train", "-c", CONFIG, "-r", "no/checkpoint"], "checkpoint no/checkpoint.pdparams does not exist"),
        (["train", "-c", CONFIG, "-o", "use_gpu=true"], "this Paddle has no CUDA"),
        (["train", "-c", CONFIG, "--seed", "-1"], "--seed is -1, expected 0 to 4294967280"),
        (["train", "-c", CONFIG, "--seed", "4294967281"], "--seed is 4294967281, expected 0 to 4294967280"),
        (["bench", "--match", "8 x 80", "--json", "no/where.json"], "No such file or directory: 'no/where.json'"),
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
def test_what_the_user_has_to_fix_is_one_line(args, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *args)
    ours = [line for line in err.splitlines(keepends=True) if line.startswith("paddle-vfl ")]
    assert status == 2 and len(ours) == 1 and one_line(ours[0]) and message in ours[0]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"architecture: [", "while parsing"),
        (b"num_classes: 3", "no architecture"),
        (b"", "c.yml is empty"),
        (b"# nothing\n", "c.yml is empty"),
        (b"- a", "expected a mapping of keys to values, got a sequence"),
        (b"text", "expected a mapping of keys to values, got a scalar"),
        (b"_BASE_: [gone.yml]", "its base file"),
        (b"_BASE_: base.yml", "_BASE_: expected a list of files, as in [base.yml]"),
        (b"_BASE_: [c.yml]", "its _BASE_ files or its anchors lead in a circle"),
        (b"a: &a [*a]", "its _BASE_ files or its anchors lead in a circle"),
        ("epoch: 3  # 学习率".encode("gbk"), "c.yml is not utf-8 text: save it as UTF-8"),
        ("epoch: 3".encode("utf-16"), "c.yml is not utf-8 text: save it as UTF-8"),
        (b"TrainDataset: !COCODataset {}", "could not determine a constructor for the tag '!COCODataset'"),
        (b"TrainDataset: !COCODataSet {anno: 1}", "unexpected keyword argument 'anno'"),
    ],
)
def test_a_broken_config_is_one_line(content, message, capsys, tmp_path):
    path = tmp_path / "c.yml"
    path.write_bytes(content)
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


def test_run_is_like_python(tmp_path):
    """A symbolic link finds the file's neighbours, `--` is an argument, a broken pipe of the script's is its own."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "neighbour.py").touch()
    script = tmp_path / "real" / "script.py"
    script.write_text(
        "import os, sys, neighbour\nprint(sys.argv[1:], flush=True)\n"
        "end, pipe = os.pipe()\nos.close(end)\nos.write(pipe, b'x')"
    )
    (tmp_path / "link.py").symlink_to(script)
    command = [sys.executable, "-m", "paddle_vfl", "run", str(tmp_path / "link.py"), "--", "-m", "x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "['--', '-m', 'x']\n")
    assert "BrokenPipeError: [Errno 32] Broken pipe" in done.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="PYTHONSAFEPATH is of Python 3.11")
def test_run_keeps_the_path_that_is_there_in_place_of_the_scripts(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "of_the_path.py").touch()
    script = tmp_path / "script.py"
    script.write_text("import of_the_path")
    path = os.pathsep.join([str(tmp_path / "modules"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "paddle_vfl", "run", str(script)],
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


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
    assert (status, out) == (0, "hello\n") and "imported PaddleDetection's models: nothing was switched" in err
