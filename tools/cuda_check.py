"""Compile the CUDA kernels for every architecture that setup.py builds: ``python tools/cuda_check.py [ARCH ...]``.

Fails on a warning, and on a kernel that spills registers or keeps a stack frame. Prints how many registers a thread
takes, at least and at most, for each kernel and dtype. ``--quick`` only learns whether they compile without a warning,
in a quarter of the time (nvcc 12.9 or newer).
"""

import argparse
import collections
import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

from paddle_vfl._cuda_toolkit import ARCHITECTURES, architectures, toolkit

SOURCES = sorted((Path(__file__).resolve().parents[1] / "csrc" / "cuda").glob("*.cu"))


def compile(source, arch, optimize):
    """(registers of each kernel as {(kernel, dtype): [numbers]}, complaints) of one file."""
    flags = [
        "-std=c++17",
        "-O3",
        f"-gencode=arch=compute_{arch},code=sm_{arch}",
        "-Xptxas=-v",
        "-Xcompiler=-Wall,-Wextra",
        "--Werror=all-warnings",
        *([] if optimize else ["--Ofast-compile=max"]),
    ]
    done = subprocess.run(
        [toolkit() / "bin" / "nvcc", *flags, "-c", str(source), "-o", os.devnull], capture_output=True, text=True
    )
    if done.returncode != 0:
        return {}, [f"{source.name}, sm_{arch}: {done.stderr[:4000]}"]
    registers, complaints = collections.defaultdict(list), []
    kernel = None
    for line in done.stderr.splitlines() if optimize else ():
        if found := re.search(r"Compiling entry function '(\w+)'", line):
            kernel = re.search(r"(elementwise|sum_tiles|sum_rows)", found[1])[1]
        elif found := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            if any(int(number) for number in found.groups()):
                complaints.append(f"{source.name}, sm_{arch}, {kernel}: {line.strip()}")
        elif found := re.search(r"Used (\d+) registers", line):
            registers[kernel, source.stem.replace("kernels_", "")].append(int(found[1]))
    return registers, complaints


def print_registers(archs, found):
    """A table of what :func:`compile` found, by source and architecture."""
    table = collections.defaultdict(dict)
    for (_, arch), registers in found.items():
        for kernel, numbers in registers.items():
            table[kernel][arch] = f"{min(numbers)}-{max(numbers)}"
    print("registers a thread".ljust(24) + "".join(f"sm_{arch}".rjust(9) for arch in archs))
    for (kernel, dtype), row in sorted(table.items()):
        print(f"{kernel} {dtype}".ljust(24) + "".join(row.get(arch, "").rjust(9) for arch in archs))
    print(f"{sum(len(numbers) for r in found.values() for numbers in r.values())} kernels, no warning, no spill")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("arch", nargs="*", help="architectures, such as 90 (default: all that nvcc knows)")
    parser.add_argument("--quick", action="store_true", help="without optimization, and so without registers")
    args = parser.parse_args()
    given = args.arch
    if toolkit() is None:
        sys.exit("there is no nvcc (put it on the PATH or set CUDA_HOME)")
    archs = given or architectures(toolkit())
    unknown = [arch for arch in ARCHITECTURES if arch not in architectures(toolkit())]
    jobs = [(source, arch) for arch in archs for source in SOURCES]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda job: compile(*job, optimize=not args.quick), jobs))
    if complaints := [line for _, lines in results for line in lines]:
        sys.exit("\n".join(complaints))
    if args.quick:
        print(f"{len(jobs)} files compile without a warning")
    else:
        print_registers(archs, {job: registers for job, (registers, _) in zip(jobs, results)})
    if not given and unknown:
        print(f"not compiled, because this nvcc does not know it: sm_{', sm_'.join(unknown)}")


if __name__ == "__main__":
    main()
