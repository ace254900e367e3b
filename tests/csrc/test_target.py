"""No function outside the namespaces avx512 and avx2 has an AVX instruction: csrc/cpu/before_target.h says why."""

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from paddle_vfl._ops import extension

CPU = Path(__file__).resolve().parents[2] / "csrc" / "cpu"

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="not an x86 processor"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="no objdump"),
    pytest.mark.skipif("avx2" not in extension.isa_list(), reason="this build has no AVX versions"),
]


def functions_with_avx(binary):
    """Mangled names of the functions of a library or an object file: all AVX instructions begin with a v."""
    command = ["objdump", "--disassemble", "--no-show-raw-insn", str(binary)]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    sections = re.split(r"^[0-9a-f]+ <(.+)>:$", listing, flags=re.MULTILINE)
    return {name for name, body in zip(sections[1::2], sections[2::2]) if re.search(r":\tv", body)}


def of_version(names, version):
    return {name for name in names if f"10paddle_vfl{len(version)}{version}" in name}


def test_the_library():
    found = functions_with_avx(extension.__file__)
    avx512, avx2 = of_version(found, "avx512"), of_version(found, "avx2")
    assert avx512 and avx2
    assert found - avx512 - avx2 == set()


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
@pytest.mark.parametrize("version", ["avx512", "avx2"])
def test_functions_that_other_compilers_might_not_inline(version, tmp_path, pytestconfig):
    if not pytestconfig.getoption("--thorough"):
        pytest.skip("`make sanitize` runs it")
    binary = tmp_path / "kernels.o"
    command = ["g++", "-std=c++17", "-O0", "-Wno-psabi", "-c", str(CPU / f"kernels_{version}.cc"), "-o", binary]
    subprocess.run(command, check=True)
    found = functions_with_avx(binary)
    assert found
    assert found - of_version(found, version) == set()
