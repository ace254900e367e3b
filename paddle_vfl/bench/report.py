"""Tables and plots of benchmark results."""

from pathlib import Path

from .cases import CASES, SIZES

__all__ = ["plot", "table"]

COLUMNS = ("case", "threads", "peer", "median", "quartiles", "fused is faster by", "peak memory")


def table(results):
    """A Markdown table of :func:`paddle_vfl.bench.run_benchmark`'s results.

    "fused is faster by" is the peer's median over that of the fused operator in the same case and run; peak memory is
    beyond the inputs, in sizes of the float32 prediction tensor.
    """
    fused = {(r["case"], r["threads"]): r["median"] for r in results if r["peer"] == "fused"}
    rows = [COLUMNS]
    for r in results:
        ratio = r["median"] / fused[r["case"], r["threads"]]
        peak = "" if r["peak_bytes"] is None else f"{r['peak_bytes'] / (4 * r['elements']):.1f} x"
        rows.append(
            (
                r["case"],
                str(r["threads"]),
                r["peer"],
                _milliseconds(r["median"]),
                f"{_milliseconds(r['low'])} - {_milliseconds(r['high'])}",
                "" if r["peer"] == "fused" else f"{ratio:.1f} x",
                peak,
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def plot(results, folder):
    """Draw what there is of time against size, memory against size and the share of the limit. Returns the paths of the
    PNG files."""
    import matplotlib

    matplotlib.use("Agg")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {case.name for case in CASES if case.rows in SIZES}
    by_size = [r for r in results if r["case"] in sizes]
    in_memory = [
        r for r in by_size if r["peak_bytes"] is not None and r["threads"] == min(x["threads"] for x in by_size)
    ]
    copies = {(r["case"], r["threads"]): r["median"] for r in results if r["peer"] == "copy"}
    shares = [
        {**r, "share": copies[r["case"], r["threads"]] / r["median"]}
        for r in by_size
        if r["peer"] != "copy" and (r["case"], r["threads"]) in copies
    ]
    return [
        _lines(
            folder / "time.png",
            by_size,
            lambda r: r["median"] / r["elements"] * 1e9,
            "ns an element, forward and backward",
            scale="log",
        ),
        _lines(
            folder / "memory.png",
            in_memory,
            lambda r: r["peak_bytes"] / (4 * r["elements"]),
            "peak memory beyond the inputs, in predictions",
        ),
        _lines(
            folder / "limit.png", shares, lambda r: 100 * r["share"], "% of the speed of moving 20 bytes an element"
        ),
    ]


def _lines(path, results, value, label, scale="linear"):
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    colors = {peer: f"C{i}" for i, peer in enumerate(("fused", "ppdet", "torch", "torch.compile", "copy"))}
    for peer, threads in sorted({(r["peer"], r["threads"]) for r in results}):
        points = sorted((r["elements"], value(r)) for r in results if (r["peer"], r["threads"]) == (peer, threads))
        name = "20 bytes an element" if peer == "copy" else peer
        axes.plot(
            *zip(*points),
            color=colors[peer],
            marker="o",
            linestyle="-" if threads == 1 else "--",
            label=f"{name}, {threads} thread{'s' if threads > 1 else ''}",
        )
    axes.set(xscale="log", yscale=scale, xlabel="elements", ylabel=label)
    if scale == "linear":
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if results:
        figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def _milliseconds(seconds):
    return f"{seconds * 1e3:.3g} ms"
