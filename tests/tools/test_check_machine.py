"""tools/check_machine.sh, which `make` runs first."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "check_machine.sh"
SH = shutil.which("sh")

pytestmark = pytest.mark.skipif(SH is None, reason="no sh")


def check(python, path, **variables):
    env = {"PATH": str(path), "PYTHON": python, **variables}
    done = subprocess.run([SH, str(SCRIPT)], env=env, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def fake(folder, name, body):
    (folder / name).write_text(f"#!{SH}\n{body}\n")
    (folder / name).chmod(0o755)
    return str(folder / name)


def test_says_all_that_is_missing_at_once(tmp_path):
    status, err = check("python-that-is-not-there", tmp_path)
    assert status == 1
    assert (
        "missing: python-that-is-not-there (Python 3.9 to 3.13)" in err
        and "missing: g++ (Debian: apt install g++)" in err
    )


def test_an_old_python_is_named(tmp_path):
    old = fake(tmp_path, "python3", '[ "$1" = --version ] && echo "Python 3.8.18"; exit 1')
    status, err = check(old, tmp_path)
    assert status == 1 and "Python 3.9 to 3.13 (" in err and "is Python 3.8.18); name another one: make PYTHON=" in err


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_this_machine_is_good_enough():
    status, err = check(sys.executable, os.environ["PATH"])
    assert (status, err) == (0, "")


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_a_compiler_may_have_arguments():
    status, err = check(sys.executable, os.environ["PATH"], CXX="g++ -pipe")
    assert (status, err) == (0, "")
