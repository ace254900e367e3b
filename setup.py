"""Builds the extension paddle_vfl._C; everything else about the package is in pyproject.toml.

Paddle must be installed first, because the operator is compiled against it:

    pip install --no-build-isolation .

Environment:
    PADDLE_VFL_CUDA        1: with the CUDA kernels, or fail; 0: without. By default with them if Paddle is a CUDA build
                           and there is nvcc
    PADDLE_VFL_CUDA_ARCHS  GPU architectures, such as "80 90 90+PTX"; by default all of paddle_vfl/_cuda_toolkit.py that
                           nvcc knows, and PTX for the newest
    CUDA_HOME              the CUDA toolkit, if it is not where nvcc on the PATH is
"""

import os
import re
import sys
from pathlib import Path

import build_backend  # noqa: F401  first: it says what is missing
import paddle
import pybind11
from paddle.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension
from setuptools import setup
from setuptools.command.build_ext import build_ext
from setuptools.command.egg_info import egg_info

from paddle_vfl import _cuda_toolkit, _version  # no more of the package: it is not built yet
from paddle_vfl._cxx_flags import cxx_flags

toolkit = _cuda_toolkit.toolkit()


class Build(BuildExtension):
    """Paddle's build, less what would hide the module _C: file names of its own, and the stub of newer versions."""

    def get_ext_filename(self, fullname):
        return build_ext.get_ext_filename(self, fullname)

    def build_extensions(self):
        """As usual, but where a file does not compile, which Paddle only prints, nothing older is linked instead, and
        the object files go, which Paddle puts among what is installed."""
        compiler = type(self.compiler)
        compile_file = compiler._compile
        object_files = []

        def compile_afresh(self, object_file, *args):
            object_files.append(Path(object_file))
            object_files[-1].unlink(missing_ok=True)
            compile_file(self, object_file, *args)

        compiler._compile = compile_afresh
        try:
            super().build_extensions()
        finally:
            compiler._compile = compile_file
            for path in object_files:
                path.unlink(missing_ok=True)

    def _generate_python_api_file(self):
        pass

    def _rename_inplace_shared_library(self):
        pass


class EggInfo(egg_info):
    """The version of a build names its Paddle; sources are for every one."""

    def finalize_options(self):
        local = _version.local_version(paddle.__version__, paddle.version.cuda() if cuda else None)
        self.tag_build = "" if "sdist" in self.distribution.commands else f"+{local}"
        super().finalize_options()


def with_cuda():
    """Whether to build the CUDA kernels; says so where that is less than Paddle could use."""
    wanted = os.environ.get("PADDLE_VFL_CUDA", "")
    if wanted not in ("", "0", "1"):
        sys.exit(f"PADDLE_VFL_CUDA is {wanted!r}, expected 0 or 1")
    missing = None
    if not paddle.is_compiled_with_cuda():
        missing = f"the installed Paddle {paddle.__version__} is a CPU build"
    elif toolkit is None:
        missing = "there is no nvcc (put it on the PATH or set CUDA_HOME)"
    elif _cuda_toolkit.missing_header(toolkit):
        missing = f"the CUDA toolkit in {toolkit} has no {_cuda_toolkit.missing_header(toolkit)}"
    if wanted == "1" and missing:
        sys.exit(f"PADDLE_VFL_CUDA=1, but {missing}")
    if wanted == "" and missing and paddle.is_compiled_with_cuda():
        print(
            f"paddle_vfl: Paddle is a CUDA build, but {missing}: building the CPU kernels only. "
            "Tensors on the CPU will work; those on a GPU will raise an error, so leave paddle_vfl off in training on "
            "GPUs. Install a CUDA toolkit and build again for GPUs.",
            file=sys.stderr,
        )
    return wanted != "0" and not missing


def architectures():
    """Such as ["75", "80", "80+PTX"]."""
    given = os.environ.get("PADDLE_VFL_CUDA_ARCHS")
    if given:
        chosen = re.split(r"[\s,;]+", given.strip().replace(".", ""))
        wrong = [arch for arch in chosen if not re.fullmatch(r"\d{2,3}[af]?(\+PTX)?", arch)]
        if wrong:
            sys.exit(f"PADDLE_VFL_CUDA_ARCHS: {wrong[0]!r} is no architecture, expected such as '80 90 90+PTX'")
        return chosen
    chosen = _cuda_toolkit.architectures(toolkit)
    return [*chosen, chosen[-1] + "+PTX"]


def gencode(arch):
    number = arch.replace("+PTX", "")
    return f"-gencode=arch=compute_{number},code={'compute' if 'PTX' in arch else 'sm'}_{number}"


sources = [
    "csrc/module.cc",
    "csrc/varifocal_op.cc",
    "csrc/cpu/buffers.cc",
    "csrc/cpu/kernels.cc",
    "csrc/cpu/kernels_avx512.cc",
    "csrc/cpu/kernels_avx2.cc",
    "csrc/cpu/kernels_portable.cc",
    "csrc/cpu/threads.cc",
]
options = {
    "include_dirs": ["csrc", pybind11.get_include()],
    "define_macros": [("VFL_PADDLE_VERSION", paddle.__version__)],
    "extra_compile_args": {"cxx": cxx_flags(packages=Path(paddle.__file__).parents[1])},
    "extra_link_args": ["-pthread"],
}
cuda = with_cuda()
if cuda:
    archs = architectures()
    sources += [
        f"csrc/cuda/{name}.cu"
        for name in ("varifocal_cuda", "kernels_float32", "kernels_float64", "kernels_float16", "kernels_bfloat16")
    ]
    options["define_macros"] += [("VFL_CUDA", None)]
    options["include_dirs"] += [f"{toolkit}/include/cccl"]  # where CUDA 13 has the thrust that Paddle's headers include
    options["extra_compile_args"]["nvcc"] = [
        "-O3",
        "-std=c++17",
        "-Xcompiler",
        "-g0,-fvisibility=hidden",
        *map(gencode, archs),
    ]
    options["extra_compile_args"]["cxx"] += ["-DVFL_CUDA_ARCHS=" + " ".join(archs)]
    extension = CUDAExtension(sources=sources, **options)
    # Paddle's CUDA need not be of the version of nvcc, so the run time is taken along
    extension.extra_link_args = [a for a in extension.extra_link_args if a != "-lcudart"] + [
        f"-L{toolkit}/lib64",
        f"-L{toolkit}/lib",
        "-lcudart_static",
        "-lrt",
        "-ldl",
    ]
else:
    extension = CppExtension(sources=sources, **options)
extension.name = "paddle_vfl._C"  # as an argument, Paddle 2.6 passes it on twice
extension.runtime_library_dirs = []  # Paddle is in memory already, from wherever it is installed

setup(
    ext_modules=[extension],
    cmdclass={"build_ext": Build, "egg_info": EggInfo},
    # what lies in build/ may be of other headers or of another Paddle
    options={"build_ext": {"force": True}},
)
