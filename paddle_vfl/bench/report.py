"""Tables of benchmark results."""

__all__ = ["table"]

COLUMNS = ("case", "threads", "peer", "median", "quartiles", "fused is faster by", "peak memory")


def table(results):
    """A Markdown table of :func:`paddle_vfl.bench.run_benchmark`'s results.

    "fused is faster by" is the peer's median over that of the fused operator in the same case and run; peak memory is beyond the
    inputs, in sizes of the float32 prediction tensor.
    """
    fused = {(r["case"], r["threads"]): r["median"] for r in results if r["peer"] == "fused"}
    rows = [COLUMNS]
    for r in results:
        ratio = r["median"] / fused[r["case"], r["threads"]]
        peak = "" if r["peak_bytes"] is None else f"{r['peak_bytes'] / (4 * r['elements']):.1f} x"
        rows.append((
            r["case"], str(r["threads"]), r["peer"], _milliseconds(r["median"]), f"{_milliseconds(r['low'])} - {_milliseconds(r['high'])}",
            "" if r["peer"] == "fused" else f"{ratio:.1f} x", peak,
        ))
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def _milliseconds(seconds):
    return f"{seconds * 1e3:.3g} ms"
