"""Instructions that the CUDA kernels issue for an element: ``python tools/cuda_instructions.py``; needs nvcc, not a
GPU.

Compiles for sm_90 what training calls most, logits with gamma 2: the row sums of the loss (a thread that computes 32
elements) and the gradient (8 elements). Reads the machine code and takes the shortest way to the end with one
exponential an element and loads of 16 bytes: that of whole vectors without a positive, which nearly all are. Adding up
the rows is not in it. Fails where a number is above LIMITS, or the loads of a vector wait for one another.
"""

import argparse
import collections
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from paddle_vfl._cuda_toolkit import toolkit

CUDA = Path(__file__).resolve().parents[1] / "csrc" / "cuda"
KERNELS = """
#include "launch.cuh"
namespace paddle_vfl {
namespace cuda {
template <DType kPred, TargetKind kKind>
void launch_both(const Problem& problem, const Slice& slice, cudaStream_t stream) {
  using Traits = KernelTraits<kPred, true, kKind, Formula<true, true>>;
  launch_elementwise<Traits, true>(problem, slice, stream);
  launch_sums<Traits>(problem, slice, stream);
}
template <DType kPred>
void launch_all(const Problem& problem, const Slice& slice, cudaStream_t stream) {
  launch_both<kPred, TargetKind::kDense>(problem, slice, stream);
  launch_both<kPred, TargetKind::kMasked>(problem, slice, stream);
  launch_both<kPred, TargetKind::kPair>(problem, slice, stream);
}
template void launch_all<DType::kFloat32>(const Problem&, const Slice&, cudaStream_t);
template void launch_all<DType::kFloat16>(const Problem&, const Slice&, cudaStream_t);
template void launch_all<DType::kBFloat16>(const Problem&, const Slice&, cudaStream_t);
}  // namespace cuda
}  // namespace paddle_vfl
"""
KINDS = ["dense", "masked", "pair"]  # in the order of the enumerators of TargetKind
DTYPES = ["float32", "float64", "float16", "bfloat16"]  # and of DType
ARRAYS = {"dense": 2, "masked": 3, "pair": 1}  # of elements, that are read
# nvcc 13.0, and 3% for its other versions
LIMITS = {
    ("forward", "float32"): {"dense": 36, "masked": 39, "pair": 35},
    ("forward", "float16"): {"dense": 32, "masked": 33, "pair": 36},
    ("forward", "bfloat16"): {"dense": 32, "masked": 33, "pair": 36},
    ("backward", "float32"): {"dense": 48, "masked": 50, "pair": 41},
    ("backward", "float16"): {"dense": 40, "masked": 41, "pair": 43},
    ("backward", "bfloat16"): {"dense": 40, "masked": 41, "pair": 43},
}


def disassembler():
    """The path of nvdisasm: of the toolkit, or of the package nvidia-cuda-nvdisasm."""
    installed = [path for folder in sys.path for path in Path(folder).glob("nvidia/*/bin/nvdisasm")]
    return shutil.which("nvdisasm") or next(map(str, installed), None)


def disassemble(folder):
    """{mangled name: (instructions, {label: index})} of KERNELS."""
    source, binary = Path(folder) / "kernels.cu", Path(folder) / "kernels.cubin"
    source.write_text(KERNELS)
    flags = ["-std=c++17", "-O3", "-arch=sm_90", "-cubin", f"-I{CUDA}"]
    subprocess.run([toolkit() / "bin" / "nvcc", *flags, source, "-o", binary], check=True)
    listing = subprocess.run([disassembler(), "-c", str(binary)], check=True, capture_output=True, text=True).stdout
    kernels = {}
    for line in listing.splitlines():
        if found := re.match(r"\.text\.(\w+):", line):
            instructions, labels = kernels[found[1]] = [], {}
        elif found := re.match(r"(\.L_x_\d+):", line):
            labels[found[1]] = len(instructions)
        elif kernels and (found := re.match(r"\s*/\*[0-9a-f]{4,5}\*/\s+(.*?)\s*;", line)):
            instructions.append(found[1])
    return kernels


def shortest_way(instructions, labels, wanted):
    """The instructions from the entry to an exit, with exactly so many of some as `wanted` says: {what they begin with:
    number}."""
    start = (0, (0,) * len(wanted))  # an instruction, and how many of the wanted ones come before it
    came_from, queue = {start: None}, collections.deque([start])
    while queue:
        state = at, counts = queue.popleft()
        operation = re.sub(r"^@\S+ ", "", instructions[at])
        conditional = operation != instructions[at] or re.match(r"BRA U?!?U?P\d", operation)
        counts = tuple(count + operation.startswith(name) for name, count in zip(wanted, counts))
        if operation.startswith("EXIT") and counts == tuple(wanted.values()):
            way = []
            while state:
                way.append(instructions[state[0]])
                state = came_from[state]
            return way[::-1]
        following = []
        if operation.startswith("BRA"):
            following.append(labels[re.search(r"\((\.L_x_\d+)\)", operation)[1]])
        if conditional or not operation.startswith(("BRA", "EXIT")):
            following.append(at + 1)
        for after in following:
            if (
                after < len(instructions)
                and all(c <= w for c, w in zip(counts, wanted.values()))
                and (after, counts) not in came_from
            ):
                came_from[after, counts] = state
                queue.append((after, counts))
    raise ValueError(f"no way with {wanted}")


def loads_in_flight(way):
    """Loads of 16 bytes before the first instruction that names a register of one, and so waits for it."""
    loads, loaded = 0, set()
    for instruction in way:
        if loaded & {int(register) for register in re.findall(r"\bR(\d+)\b", instruction)}:
            break
        if found := re.search(r"LDG\.E\.128 R(\d+)", instruction):
            loads += 1
            loaded |= set(range(int(found[1]), int(found[1]) + 4))
    return loads


def count(name, instructions, labels):
    """((direction, dtype), kind, (instructions an element, loads in flight)), or None."""
    if "sum_rows" in name:
        return None
    dtype = DTYPES[int(re.search(r"DTypeE(\d)", name)[1])]
    kind = KINDS[int(re.search(r"TargetKindE(\d)", name)[1])]
    direction = "forward" if "sum_tiles" in name else "backward"
    accesses = 2 if dtype == "float32" else 1  # of 16 bytes, for 8 elements
    elements = 32 if direction == "forward" else 8
    moved = elements // 8 * accesses
    wanted = {
        "MUFU.EX2": elements,
        "LDG.E.128": moved * ARRAYS[kind],
        "STG.E.128": moved if direction == "backward" else 0,
    }
    way = shortest_way(instructions, labels, wanted)
    return (direction, dtype), kind, (len(way) / elements, loads_in_flight(way))


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    if toolkit() is None or disassembler() is None:
        sys.exit(
            "there is no nvcc (put it on the PATH or set CUDA_HOME), or no nvdisasm (pip install nvidia-cuda-nvdisasm)"
        )
    table = collections.defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        for name, (instructions, labels) in disassemble(folder).items():
            if counted := count(name, instructions, labels):
                row, kind, table[row][kind] = counted
    print("instructions an element (loads in flight)".ljust(44) + "".join(kind.rjust(12) for kind in KINDS))
    complaints = []
    for row in LIMITS:
        cells = [table[row][kind] for kind in KINDS]
        print(" ".join(row).ljust(44) + "".join(f"{number:.1f} ({loads})".rjust(12) for number, loads in cells))
        for kind, limit in LIMITS[row].items():
            number, loads = table[row][kind]
            if number > limit:
                complaints.append(f"{' '.join(row)} {kind}: {number:.1f} instructions, limit {limit}")
            if loads < ARRAYS[kind]:
                complaints.append(f"{' '.join(row)} {kind}: waits for a load before the arrays' loads are all issued")
    if complaints:
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
