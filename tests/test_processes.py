"""Processes that run this package run the one that started them."""

import subprocess

from paddle_vfl import __version__
from paddle_vfl.processes import python_module


def test_a_source_in_the_current_folder_does_not_come_first(tmp_path):
    (tmp_path / "paddle_vfl").mkdir()
    (tmp_path / "paddle_vfl" / "__init__.py").write_text("raise ImportError('the one of the current folder')")
    done = subprocess.run(
        python_module("paddle_vfl", "--version"), cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout.split()[-1]) == (0, __version__), done.stderr
