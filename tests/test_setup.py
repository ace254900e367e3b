"""What setup.py and the build backend say, and what they build."""

import os
import re
import subprocess
import sys
from pathlib import Path

import paddle
import pytest

from paddle_vfl import _cuda_toolkit
from paddle_vfl._version import __version__, local_version

ROOT = Path(__file__).resolve().parents[1]


def setup(environment):
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stderr


@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="Paddle has CUDA")
@pytest.mark.parametrize(
    "value, message",
    [
        ("1", "PADDLE_VFL_CUDA=1, but the installed Paddle .* is a CPU build"),
        ("yes", "PADDLE_VFL_CUDA is 'yes', expected 0 or 1"),
    ],
)
def test_a_wish_for_cuda_that_cannot_be_met_is_an_error(value, message):
    status, errors = setup({"PADDLE_VFL_CUDA": value})
    assert status == 1 and re.search(message, errors) and "Traceback" not in errors


@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="Paddle has CUDA")
@pytest.mark.parametrize("value", ["", "0"])
def test_a_cpu_build_needs_no_word(value):
    assert setup({"PADDLE_VFL_CUDA": value})[0] == 0


def import_backend(prepare="", **environment):
    """(exit status, stderr) of what pip does first, after ``prepare``, a piece of Python. Paddle is a stand-in."""
    code = f"import sys, types\nsys.modules['paddle'] = types.ModuleType('paddle')\n{prepare}\nimport build_backend"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stderr


def test_a_machine_that_has_everything_is_told_nothing():
    assert import_backend() == (0, "")


NOT_INSTALLED = {
    "paddle": r"PaddlePaddle, which the operator is compiled against and which cannot be imported here \(.*; "
    r"pip install paddlepaddle\)",
    "pybind11": r"pybind11 \(pip install pybind11\)",
    "setuptools": r"'setuptools<81' \(pip install 'setuptools<81'\)",
}


@pytest.mark.parametrize("name", NOT_INSTALLED)
def test_a_package_that_is_not_installed_is_named_in_one_line(name):
    status, errors = import_backend(f"sys.modules[{name!r}] = None")
    expected = f"paddle_vfl cannot be built here. Missing: {NOT_INSTALLED[name]}. "
    assert status == 1 and re.fullmatch(
        expected + r"Then, in its folder: pip install --no-build-isolation \.\n", errors
    ), errors


def test_wheel_is_needed_where_setuptools_does_not_bring_it():
    without_wheel = "sys.modules['wheel'] = None"
    status, errors = import_backend(f"{without_wheel}\nsys.modules['setuptools.command.bdist_wheel'] = None")
    assert status == 1 and "Missing: wheel (pip install wheel). " in errors


@pytest.fixture
def fake_program(tmp_path):
    """Write an executable script; returns its path."""

    def write(name, body):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return write


def test_a_compiler_that_is_not_there_is_named():
    status, errors = import_backend(CXX="no-such-compiler -m64")
    assert status == 1 and errors.count("\n") == 1
    assert "Missing: the C++ compiler no-such-compiler (Debian: apt install g++; another one: set CC and CXX)" in errors


def test_a_compiler_that_is_too_old_is_named(fake_program):
    old = fake_program("c++", '[ "$1" = --version ] && echo "g++ (GNU) 7.5.0" && exit 0; echo "error" >&2; exit 1')
    status, errors = import_backend(CXX=str(old))
    assert status == 1 and errors.count("\n") == 1
    assert "Missing: a newer C++ compiler than g++ (GNU) 7.5.0: g++ 9 or clang 10 " in errors


def test_the_headers_of_python_are_named():
    status, errors = import_backend("import sysconfig; sysconfig.get_path = lambda name: '/nowhere'")
    assert status == 1 and "Missing: Python's headers, /nowhere/Python.h (Debian: apt install python3-dev). " in errors


def test_all_that_is_missing_is_said_at_once():
    status, errors = import_backend("sys.modules['pybind11'] = None", CXX="no-such-compiler")
    assert status == 1 and errors.count("\n") == 1 and "pybind11" in errors and "no-such-compiler" in errors


def test_windows_is_told_of_wsl_before_anything_else():
    status, errors = import_backend("sys.platform = 'win32'", CXX="no-such-compiler")
    assert status == 1 and errors.count("\n") == 1
    assert errors.startswith("paddle_vfl does not build on Windows itself: install it in WSL 2")


def run_setup(code, cwd=ROOT):
    """What ``code`` prints of the distribution ``dist`` that setup.py makes."""
    code = f"""
import setuptools  # has distutils where Python has none
import distutils.core
dist = distutils.core.run_setup("setup.py", [], stop_after="commandline")
{code}
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def test_what_was_built_before_is_not_taken_for_up_to_date():
    """It may be of other headers, or of another Paddle: installing again must compile again."""
    status, out, errors = run_setup(
        "build = dist.get_command_obj('build_ext'); build.ensure_finalized(); print('force:', build.force)"
    )
    assert status == 0 and "force: True" in out, errors


@pytest.mark.slow
def test_what_does_not_compile_fails_though_there_is_an_older_object(tmp_path):
    """Paddle only prints the error of the compiler."""
    package = ("paddle_vfl/__init__.py", "paddle_vfl/_version.py", "paddle_vfl/_cxx_flags.py")
    for name in ("setup.py", "build_backend.py", *package):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "paddle_vfl" / "_cuda_toolkit.py").write_text("toolkit = lambda: None\n")
    build = "dist.get_command_obj('build_ext').ensure_finalized()\n"
    status, out, errors = run_setup(build + "print('SOURCES', *dist.ext_modules[0].sources)", tmp_path)
    assert status == 0, errors
    _, *sources = next(line for line in out.splitlines() if line.startswith("SOURCES")).split()
    for number, source in enumerate(sources):
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).write_text(f"int number_{number};")
    status, _, errors = run_setup("dist.run_command('build_ext')", tmp_path)
    assert status == 0, errors
    (tmp_path / sources[0]).write_text("this is no C++")
    status, _, _ = run_setup("dist.run_command('build_ext')", tmp_path)
    assert status != 0


def version_of(command):
    code = f"""
dist.commands = [{command!r}]
dist.get_command_obj("egg_info").ensure_finalized()
print("VERSION", dist.metadata.version)
"""
    status, out, errors = run_setup(code)
    assert status == 0, errors
    return re.search(r"VERSION (\S+)", out)[1]


@pytest.mark.slow
@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="Paddle has CUDA")
def test_the_version_of_a_build_names_its_paddle_and_that_of_sources_does_not():
    assert version_of("build") == f"{__version__}+paddle{paddle.__version__}"
    assert version_of("sdist") == __version__


@pytest.mark.parametrize(
    "paddle_version, cuda, expected",
    [
        ("3.3.1", None, "paddle3.3.1"),
        ("3.3.1", "12.6", "paddle3.3.1.cu126"),
        ("3.4.0.dev1+abc", None, "paddle3.4.0.dev1.abc"),
    ],
)
def test_the_local_part_of_the_version(paddle_version, cuda, expected):
    assert local_version(paddle_version, cuda) == expected


@pytest.fixture
def toolkits(fake_program, tmp_path, monkeypatch):
    """CUDA toolkits: in the folders home, path and nvcc, where the variables and PATH point, and in a package."""
    for name in ("home", "path", "nvcc", "site-packages/nvidia/cu13"):
        fake_program(
            f"{name}/bin/nvcc", '[ "$1" = --list-gpu-arch ] && printf "compute_75\\ncompute_80\\ncompute_90\\n"'
        )
        (tmp_path / name / "include").mkdir()
        (tmp_path / name / "include" / "cuda_runtime.h").touch()
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "path"))
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "nvcc").symlink_to(tmp_path / "nvcc" / "bin" / "nvcc")
    monkeypatch.setenv("PATH", f"{tmp_path / 'links'}:{os.environ['PATH']}")
    return tmp_path


def test_the_cuda_toolkit_is_the_first_that_has_nvcc_and_its_headers(toolkits, monkeypatch):
    assert _cuda_toolkit.toolkit() == toolkits / "home"
    (toolkits / "home" / "bin" / "nvcc").unlink()
    assert _cuda_toolkit.toolkit() == toolkits / "path"
    (toolkits / "path" / "include" / "cuda_runtime.h").unlink()
    assert _cuda_toolkit.toolkit() == toolkits / "nvcc"


def test_the_cuda_toolkit_may_be_a_package(toolkits, monkeypatch):
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "path", [str(toolkits / "site-packages")])
    assert _cuda_toolkit.toolkit() == toolkits / "site-packages" / "nvidia" / "cu13"


def test_the_architectures_are_those_that_nvcc_knows(toolkits):
    assert _cuda_toolkit.architectures(toolkits / "home") == ["75", "80", "90"]


def test_a_header_that_the_toolkit_lacks_is_named(toolkits):
    include = toolkits / "home" / "include"
    (include / "cccl" / "thrust").mkdir(parents=True)
    for header in ("cuda_bf16.h", "cccl/thrust/complex.h"):
        (include / header).touch()
    assert _cuda_toolkit.missing_header(toolkits / "home") == "cuda_fp16.h"
    (include / "cuda_fp16.h").touch()
    assert _cuda_toolkit.missing_header(toolkits / "home") is None
