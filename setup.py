"""Builds the extension paddle_vfl._C; everything else about the package is in pyproject.toml.

Paddle must be installed first, because the operator is compiled against it:

    pip install --no-build-isolation .
"""
import sys

from setuptools import setup

try:
    import zlib  # noqa: F401  before paddle: see paddle_vfl/ppdet_plugin/version_fixes.py

    import paddle
    from paddle.utils.cpp_extension import BuildExtension, CppExtension
except ImportError as error:
    sys.exit(
        "paddle_vfl is compiled against the PaddlePaddle that it will run with, and that cannot be imported here "
        f"({error}). Install paddlepaddle, then: pip install --no-build-isolation paddle-vfl"
    )
import pybind11


class Build(BuildExtension):
    """Paddle's build, less the Python stub that newer versions write: it would shadow the module _C."""

    def _generate_python_api_file(self):
        pass

    def _rename_inplace_shared_library(self):
        pass


extension = CppExtension(
    sources=[
        "csrc/module.cc",
        "csrc/varifocal_op.cc",
        "csrc/cpu/buffers.cc",
        "csrc/cpu/kernels.cc",
        "csrc/cpu/kernels_avx512.cc",
        "csrc/cpu/kernels_avx2.cc",
        "csrc/cpu/kernels_portable.cc",
        "csrc/cpu/threads.cc",
    ],
    include_dirs=["csrc", pybind11.get_include()],
    define_macros=[("VFL_PADDLE_VERSION", paddle.__version__)],
    extra_compile_args={"cxx": ["-O3", "-std=c++17", "-fvisibility=hidden", "-pthread"]},
    extra_link_args=["-pthread"],
)
extension.name = "paddle_vfl._C"  # as an argument, Paddle 2.6 passes it on twice

setup(ext_modules=[extension], cmdclass={"build_ext": Build.with_options(no_python_abi_suffix=False)})
