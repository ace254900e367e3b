"""Builds the extension paddle_vfl._C; everything else about the package is in pyproject.toml.

Paddle must be installed first, because the operator is compiled against it:

    pip install --no-build-isolation .

Environment:
    PADDLE_VFL_CUDA        1: with the CUDA kernels, or fail; 0: without. By default with them if Paddle is a CUDA build
    and there is nvcc. PADDLE_VFL_CUDA_ARCHS  GPU architectures, such as "80 90 90+PTX"; by default all that nvcc knows
    from 7.0 on, and PTX for the newest CUDA_HOME              the CUDA toolkit, if it is not where nvcc on the PATH is
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup


def cuda_home():
    """The folder of the CUDA toolkit, or None."""
    nvcc = shutil.which("nvcc")
    candidates = [
        os.environ.get("CUDA_HOME"),
        os.environ.get("CUDA_PATH"),
        nvcc and Path(nvcc).resolve().parents[1],
        "/usr/local/cuda",
    ]
    return next(
        (
            str(c)
            for c in candidates
            if c and all((Path(c) / part).exists() for part in ("bin/nvcc", "include/cuda_runtime.h"))
        ),
        None,
    )


# Paddle looks for it when it is imported, and follows no links
if cuda_home():
    os.environ["CUDA_HOME"] = cuda_home()

try:
    import zlib  # noqa: F401  before paddle: see paddle_vfl/ppdet_plugin/version_fixes.py

    import paddle
    from paddle.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension
except ImportError as error:
    sys.exit(
        "paddle_vfl is compiled against the PaddlePaddle that it will run with, and that cannot be imported here "
        f"({error}). Install paddlepaddle, then: pip install --no-build-isolation paddle-vfl"
    )
import pybind11  # noqa: E402  what is missing first is Paddle


class Build(BuildExtension):
    """Paddle's build, less the Python stub that newer versions write: it would shadow the module _C."""

    def _generate_python_api_file(self):
        pass

    def _rename_inplace_shared_library(self):
        pass


# architecture, and the versions of nvcc that compile for it
ARCHITECTURES = {
    "70": ((10, 0), (12, 9)),
    "75": ((10, 0), (99, 0)),
    "80": ((11, 0), (99, 0)),
    "86": ((11, 1), (99, 0)),
    "89": ((11, 8), (99, 0)),
    "90": ((11, 8), (99, 0)),
    "100": ((12, 8), (99, 0)),
    "120": ((12, 8), (99, 0)),
}


def with_cuda():
    """Whether to build the CUDA kernels; says so where that is less than Paddle could use."""
    wanted = os.environ.get("PADDLE_VFL_CUDA", "")
    if wanted not in ("", "0", "1"):
        sys.exit(f"PADDLE_VFL_CUDA is {wanted!r}, expected 0 or 1")
    missing = None
    if not paddle.is_compiled_with_cuda():
        missing = f"the installed Paddle {paddle.__version__} is a CPU build"
    elif cuda_home() is None:
        missing = "there is no nvcc (put it on the PATH or set CUDA_HOME)"
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
    text = subprocess.run([cuda_home() + "/bin/nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(map(int, re.search(r"release (\d+)\.(\d+)", text).groups()))
    chosen = [arch for arch, (first, last) in ARCHITECTURES.items() if first <= version <= last]
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
    "extra_compile_args": {"cxx": ["-O3", "-std=c++17", "-fvisibility=hidden", "-pthread"]},
    "extra_link_args": ["-pthread"],
}
if with_cuda():
    home, archs = cuda_home(), architectures()
    sources += [
        f"csrc/cuda/{name}.cu"
        for name in ("varifocal_cuda", "kernels_float32", "kernels_float64", "kernels_float16", "kernels_bfloat16")
    ]
    options["define_macros"] += [("VFL_CUDA", None)]
    options["include_dirs"] += [home + "/include/cccl"]  # where CUDA 13 has the thrust that Paddle's headers include
    options["extra_compile_args"]["nvcc"] = [
        "-O3",
        "-std=c++17",
        "-Xcompiler",
        "-fvisibility=hidden",
        *map(gencode, archs),
    ]
    options["extra_compile_args"]["cxx"] += ["-DVFL_CUDA_ARCHS=" + " ".join(archs)]
    extension = CUDAExtension(sources=sources, **options)
    # Paddle's CUDA need not be of the version of nvcc, so the run time is taken along
    extension.extra_link_args = [a for a in extension.extra_link_args if a != "-lcudart"] + [
        f"-L{home}/lib64",
        "-lcudart_static",
        "-lrt",
        "-ldl",
    ]
else:
    extension = CppExtension(sources=sources, **options)
extension.name = "paddle_vfl._C"  # as an argument, Paddle 2.6 passes it on twice

setup(
    ext_modules=[extension],
    cmdclass={"build_ext": Build.with_options(no_python_abi_suffix=False)},
    # what lies in build/ may be of other headers or of another Paddle
    options={"build_ext": {"force": True}},
)
