"""Tables and plots of benchmark results."""

from pathlib import Path

from .cases import CASES, SIZES

__all__ = ["plot", "table"]

PEERS = ("fused", "ppdet", "torch", "torch.compile", "copy")  # in the order of their colours


def table(results):
    """A Markdown table of :func:`paddle_vfl.bench.run_benchmark`'s results; columns without an entry are left out.

    "fused is faster by" is the peer's median over that of the fused operator in the same case and run; GB/s counts the
    bytes that must move; peak memory is beyond the inputs, in sizes of the float32 prediction tensor.
    """
    fused = {_call(r): r["median"] for r in results if r["peer"] == "fused"}
    columns = {
        "case": lambda r: r["case"],
        "threads": lambda r: str(r.get("threads", "")),
        "pass": lambda r: r.get("pass", ""),
        "peer": lambda r: r["peer"],
        "median": lambda r: _milliseconds(r["median"]),
        "quartiles": lambda r: f"{_milliseconds(r['low'])} - {_milliseconds(r['high'])}",
        "fused is faster by": lambda r: (
            f"{r['median'] / fused[_call(r)]:.1f} x" if r["peer"] != "fused" and _call(r) in fused else ""
        ),
        "GB/s": lambda r: f"{r['bytes'] / r['median'] / 1e9:.3g}" if "bytes" in r else "",
        "peak memory": lambda r: "" if r["peak_bytes"] is None else f"{r['peak_bytes'] / (4 * r['elements']):.1f} x",
    }
    cells = [[name, *map(cell, results)] for name, cell in columns.items()]
    cells = [column for column in cells if any(column[1:])]
    widths = [max(map(len, column)) for column in cells]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in zip(*cells)]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def plot(results, folder):
    """Draw what there is of time against size, memory against size and the share of the limit: a colour for each peer,
    a line style for each number of threads of a CPU or dtype and target of a GPU, a panel for each pass. Returns the
    paths of the PNG files."""
    import matplotlib

    matplotlib.use("Agg")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cases = {case.name: case for case in CASES if case.rows in SIZES}
    by_size = [{**r, "line": (r["peer"], _style(r, cases[r["case"]]))} for r in results if r["case"] in cases]
    copies = {_call(r): r["median"] for r in results if r["peer"] == "copy"}
    in_memory = {}  # more threads need no more, and the passes are not told apart
    for r in by_size:
        if r["peak_bytes"] is not None:
            in_memory.setdefault((r["peer"], r["case"]), {**r, "pass": None})
    shares = [
        {**r, "share": copies[_call(r)] / r["median"]} for r in by_size if r["peer"] != "copy" and _call(r) in copies
    ]
    return [
        _lines(folder / "time.png", by_size, lambda r: r["median"] / r["elements"] * 1e9, "ns an element", scale="log"),
        _lines(
            folder / "memory.png",
            in_memory.values(),
            lambda r: r["peak_bytes"] / (4 * r["elements"]),
            "peak memory beyond the inputs, in predictions",
        ),
        _lines(
            folder / "limit.png",
            shares,
            lambda r: 100 * r["share"],
            "% of the speed of a copy of the bytes that must move",
        ),
    ]


def _call(result):
    """What peers are compared on."""
    return result["case"], result.get("threads"), result.get("pass")


def _style(result, case):
    if "threads" in result:
        return f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    return case.dtype if case.kind == "dense" else f"{case.dtype}, {case.kind}"


def _lines(path, results, value, label, scale="linear"):
    from matplotlib import pyplot

    passes = list(dict.fromkeys(r.get("pass") for r in results)) or [None]
    styles = list(dict.fromkeys(r["line"][1] for r in results))
    figure, axes = pyplot.subplots(
        1, len(passes), figsize=(3.5 + 4.5 * len(passes), 4.5), layout="constrained", sharey=True, squeeze=False
    )
    for axis, name in zip(axes[0], passes):
        for line in sorted({r["line"] for r in results}, key=lambda line: (PEERS.index(line[0]), line[1])):
            peer, style = line
            points = sorted((r["elements"], value(r)) for r in results if r["line"] == line and r.get("pass") == name)
            axis.plot(
                *zip(*points),
                color=f"C{PEERS.index(peer)}",
                marker="o",
                linestyle=("-", "--", ":", "-.")[styles.index(style) % 4],
                label=f"{peer}, {style}",
            )
        axis.set(xscale="log", yscale=scale, xlabel="elements", title=name or "forward and backward")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel(label)
    if scale == "linear":
        axes[0][0].set_ylim(bottom=0)
    if results:
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def _milliseconds(seconds):
    return f"{seconds * 1e3:.3g} ms"
