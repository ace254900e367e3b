"""The CUDA kernels against PyTorch and the copy speed of the GPU. Needs PyTorch, a GPU and nvcc; Paddle is not needed.

    python benchmarks/gpu.py --json gpu.json --plots docs/benchmarks

Forward and backward are timed apart, by replays of CUDA graphs that go round several sets of inputs, more than the
caches hold. The limit is a copy of the bytes that must be moved: forward reads predictions and targets, backward reads
them again and writes the gradient. Peers and limit take turns; medians and quartiles are of the rounds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import cuda_kernels
import numpy as np

CLASSES = 80
SIZES = [100_000, 1_000_000, 5_376_000, 50_000_000, 500_000_000]
DTYPES = ["float32", "bfloat16", "float16", "float64"]
LARGEST = {"float64": 50_000_000}  # elements; for others what fits
CACHE = 200e6  # bytes that no GPU's caches hold


class Inputs:
    """One set of tensors, and the fused calls on them."""

    def __init__(self, torch, kernels, rows, dtype, form):
        kind = getattr(torch, dtype)
        computed = torch.float64 if dtype == "float64" else torch.float32
        self.x = (torch.randn(rows, CLASSES, device="cuda") * 2 - 3).to(kind)
        label = torch.where(
            torch.rand(rows, device="cuda") < 0.03, torch.randint(CLASSES, (rows,), device="cuda"), CLASSES
        )
        score = torch.rand(rows, device="cuda").to(kind)
        self.loss, self.grad = torch.empty(rows, device="cuda", dtype=computed), torch.empty_like(self.x)
        self.upstream = torch.ones(rows, device="cuda", dtype=computed)
        if form == "pair":
            self.q, self.label = score, label
        else:
            self.q = (
                torch.zeros(rows, CLASSES + 1, device="cuda", dtype=kind)
                .scatter_(1, label[:, None], score[:, None])[:, :CLASSES]
                .contiguous()
            )
            self.label = None
        self.problem = kernels.problem(
            (self.x.data_ptr(), dtype, (rows, CLASSES)),
            (self.q.data_ptr(), dtype),
            None if self.label is None else (self.label.data_ptr(), "int64"),
            form,
            reduce_rows=True,
        )
        self.leaf = self.x.detach().requires_grad_()
        self.forward = lambda: kernels.forward(self.problem, self.loss.data_ptr())
        self.backward = lambda: kernels.backward(self.problem, self.upstream.data_ptr(), self.grad.data_ptr())


def composed_loss(torch):
    """The formula in PyTorch's operators."""

    def loss(pred, target):
        pred, target = (pred, target) if pred.dtype == torch.float64 else (pred.float(), target.float())
        p = torch.sigmoid(pred)
        weight = torch.where(target > 0, target, 0.75 * (p - target).abs().pow(2.0))
        return (weight * torch.nn.functional.binary_cross_entropy_with_logits(pred, target, reduction="none")).sum(1)

    return loss


def steps_of(torch, sets, form):
    """{(peer, pass): [one call for each set]}."""
    steps = {("fused", "forward"): [s.forward for s in sets], ("fused", "backward"): [s.backward for s in sets]}
    if form == "pair":
        return steps
    eager = composed_loss(torch)
    torch._dynamo.reset()  # or it would compile for any size once it has seen two, and not at all after eight
    for peer, function in (("torch", eager), ("torch.compile", torch.compile(eager, dynamic=False))):
        kept = [(s.leaf, function(s.leaf, s.q), s.upstream) for s in sets]
        steps[peer, "forward"] = [lambda s=s, f=function: f(s.x, s.q) for s in sets]
        steps[peer, "backward"] = [lambda k=k: torch.autograd.grad(k[1], k[0], k[2], retain_graph=True) for k in kept]
    return steps


def copy_steps(torch, sets, count):
    """Copies that read and write `count` bytes together."""
    pairs = [
        (
            torch.empty(count // 2, dtype=torch.uint8, device="cuda"),
            torch.empty(count // 2, dtype=torch.uint8, device="cuda"),
        )
        for _ in sets
    ]
    return [lambda a=a, b=b: b.copy_(a) for a, b in pairs]


def as_graph(torch, calls, stream):
    """All calls as one CUDA graph, warmed up. Autograd runs backward on the stream of forward, so that has to be the
    same."""
    for _ in range(2):
        for call in calls:
            call()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for call in calls:
            call()
    return graph


def measure(torch, kernels, elements, dtype, form, rounds):
    rows = elements // CLASSES
    size = cuda_kernels.itemsize(dtype)
    dense = form == "dense"
    bytes_of = {"forward": elements * size * (2 if dense else 1), "backward": elements * size * (3 if dense else 2)}
    count = max(1, min(50, int(CACHE / bytes_of["forward"]) + 1))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        sets = [Inputs(torch, kernels, rows, dtype, form) for _ in range(count)]
        steps = steps_of(torch, sets, form)
        for name, moved in bytes_of.items():
            steps["copy", name] = copy_steps(torch, sets, moved)
        graphs = {key: as_graph(torch, calls, stream) for key, calls in steps.items()}
    repeats = max(1, int(2e9 / (bytes_of["forward"] * count)))
    times = {key: [] for key in graphs}
    for _ in range(rounds):
        for key, graph in graphs.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for _ in range(repeats):
                graph.replay()
            end.record()
            end.synchronize()
            times[key].append(begin.elapsed_time(end) / 1e3 / repeats / count)
    results = []
    for (peer, name), seconds in times.items():
        low, median, high = np.percentile(seconds, [25, 50, 75])
        results.append(
            {
                "elements": elements,
                "dtype": dtype,
                "form": form,
                "peer": peer,
                "pass": name,
                "low": low,
                "median": median,
                "high": high,
                "bytes": bytes_of[name],
                "share": float(np.median(times["copy", name])) / median,
            }
        )
    return results


def table(results):
    lines = ["| elements | dtype | target | pass | peer | median | quartiles | GB/s | of the copy |", "|---" * 9 + "|"]
    for r in results:
        micro = [f"{r[key] * 1e6:.4g}" for key in ("median", "low", "high")]
        speed = f"{r['bytes'] / r['median'] / 1e9:.0f} | {100 * r['share']:.0f}%"
        lines.append(
            f"| {r['elements']:,} | {r['dtype']} | {r['form']} | {r['pass']} | {r['peer']} "
            f"| {micro[0]} us | {micro[1]} - {micro[2]} us | {speed} |"
        )
    return "\n".join(lines)


def plot(results, folder):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained", sharey=True)
    for axis, name in zip(axes, ("forward", "backward")):
        for dtype in dict.fromkeys(r["dtype"] for r in results):
            for peer, style in (("fused", "-"), ("torch.compile", "--"), ("torch", ":")):
                points = sorted(
                    (r["elements"], 100 * r["share"])
                    for r in results
                    if (r["dtype"], r["peer"], r["pass"], r["form"]) == (dtype, peer, name, "dense")
                )
                if points:
                    axis.plot(
                        *zip(*points), style, marker="o", color=f"C{DTYPES.index(dtype)}", label=f"{peer}, {dtype}"
                    )
        axis.set(xscale="log", xlabel="elements", title=name)
        axis.grid(alpha=0.3)
    axes[0].set(ylim=(0, None), ylabel="% of the speed of a copy of the bytes that must move")
    axes[1].legend(fontsize="small")
    path = Path(folder) / "gpu.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="elements (default: %(default)s)")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--rounds", type=int, default=9, help="how often the peers take turns (default: %(default)s)")
    parser.add_argument("--json", help="file for the raw figures")
    parser.add_argument("--plots", help="folder for gpu.png")
    args = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("there is no PyTorch: pip install torch")
    if not torch.cuda.is_available():
        sys.exit("PyTorch sees no GPU")
    if cuda_kernels.toolkit() is None:
        sys.exit("there is no CUDA toolkit: put nvcc on the PATH or set CUDA_HOME")
    with tempfile.TemporaryDirectory() as folder:
        kernels = cuda_kernels.Kernels(cuda_kernels.build_for_gpu(folder), cuda_kernels.GpuMemory(torch))
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True
    ).stdout.split("\n")[0]
    machine = {
        "device": torch.cuda.get_device_name(),
        "driver": driver,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "command": sys.argv,
    }
    results = []
    for dtype in args.dtypes:
        for form in ("dense", "pair"):
            for elements in args.sizes:
                if elements > LARGEST.get(dtype, elements):
                    continue
                try:
                    results += measure(torch, kernels, elements, dtype, form, args.rounds)
                except torch.cuda.OutOfMemoryError:
                    print(f"{elements:,} elements of {dtype} do not fit", file=sys.stderr)
                torch.cuda.empty_cache()
    print(json.dumps(machine))
    print(table(results))
    if args.json:
        Path(args.json).write_text(json.dumps({"machine": machine, "results": results}, indent=1))
    if args.plots:
        print(plot(results, args.plots))


if __name__ == "__main__":
    main()
