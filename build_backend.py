"""The build backend: that of setuptools, once all that the build needs is there. What is missing is said in one line.

pip imports this file, and so does setup.py.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import warnings
from pathlib import Path

# what the sources use and older compilers lack
_PROBE = """
typedef float Floats __attribute__((vector_size(16)));
typedef int Ints __attribute__((vector_size(16)));
template <class V> Floats probe(V x) {
  if constexpr (sizeof(V) == 16) return x > 0 ? __builtin_convertvector(Ints{}, Floats) : x;
}
Floats use(Floats x) { return probe(x); }
"""


def _compiler():
    """What is missing of the C++ compiler, or None."""
    command = shlex.split(os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "c++")
    install = "Debian: apt install g++; another one: set CC and CXX"
    try:
        probe = [*command, "-std=c++17", "-fsyntax-only", "-x", "c++", "-"]
        done = subprocess.run(probe, input=_PROBE, capture_output=True, text=True)
        if done.returncode == 0:
            return None
        version = subprocess.run([*command, "--version"], capture_output=True, text=True).stdout.partition("\n")[0]
    except OSError:
        return f"the C++ compiler {command[0]} ({install})"
    return f"a newer C++ compiler than {version or command[0]}: g++ 9 or clang 10 ({install})"


def _python_headers():
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        return f"Python's headers, {header} (Debian: apt install python3-dev)"


def _packages():
    missing = []
    try:
        import setuptools  # noqa: F401
    except ImportError:
        missing.append("'setuptools<81'")
    try:
        import wheel  # noqa: F401
    except ImportError:
        try:
            import setuptools.command.bdist_wheel  # noqa: F401  setuptools brings it from 70.1 on
        except ImportError:
            missing.append("wheel")
    try:
        import pybind11  # noqa: F401
    except ImportError:
        missing.append("pybind11")
    if missing:
        return f"{' '.join(missing)} (pip install {' '.join(missing)})"


def _paddle():
    from paddle_vfl._cuda_toolkit import toolkit

    if toolkit():  # Paddle looks for it when it is imported, and follows no links
        os.environ["CUDA_HOME"] = str(toolkit())
    try:
        import zlib  # noqa: F401  before paddle: see paddle_vfl/__init__.py

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No ccache found")  # it would be quicker the second time
            import paddle  # noqa: F401
    except ImportError as error:
        if error.name == "setuptools":  # which is named apart
            return None
        return (
            "PaddlePaddle, which the operator is compiled against and which cannot be imported here "
            f"({error}; pip install paddlepaddle)"
        )


def check():
    """Exit with one line if anything is missing."""
    if sys.platform == "win32":
        sys.exit(
            "paddle_vfl does not build on Windows itself: install it in WSL 2, together with PaddlePaddle for Linux"
        )
    missing = [what for what in (_paddle(), _packages(), _compiler(), _python_headers()) if what]
    if missing:
        sys.exit(
            f"paddle_vfl cannot be built here. Missing: {'; '.join(missing)}. "
            "Then, in its folder: pip install --no-build-isolation ."
        )


check()

from setuptools.build_meta import *  # noqa: E402, F403
