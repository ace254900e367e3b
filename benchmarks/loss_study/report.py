"""The results of finished runs: one JSON, tables with mean and spread, a plot with a dot for every seed."""

import csv
import json
import re
import statistics
from datetime import datetime

import ppdet

from paddle_vfl.bench.run import machine

from .cells import DETECTORS, FAMILY
from .detections import measure

VALUES = {"AP": 0, "AP50": 1, "AP75": 2, "AR": 8}  # of COCO's twelve
CLASSES_SHOWN = 5  # where there are more, the rows have no columns for them


def collect(runs, setting):
    """The results of the runs that are finished, and the names of the others, as one JSON-ready dict."""
    annotations = setting.data / "annotations" / "val.json"
    evaluations = {run: run.evaluation() for run in runs}
    facts = {**machine("cpu"), "paddledet": getattr(ppdet, "__version__", "unknown")}
    return {
        "data": setting.data.name,
        **{key: getattr(setting, key) for key in ("epochs", "size", "flip")},
        "machine": {
            key: facts[key] for key in ("date", "processor", "cores", "python", "version", "paddle", "paddledet")
        },
        "missing": [run.name for run in runs if evaluations[run] is None],
        "runs": [_result(run, values, annotations) for run, values in evaluations.items() if values is not None],
    }


def _result(run, values, annotations):
    detections = run.results / "bbox.json"
    return {
        "detector": run.cell.detector,
        "loss": run.cell.loss,
        "options": list(run.cell.options),
        "seed": run.seed,
        **{name: round(values[index], 4) for name, index in VALUES.items()},
        **(measure(annotations, detections) if detections.exists() else {}),
        "classification_loss": run.classification(),
        **_times(run.log),
    }


def _times(log):
    """{"seconds": of the whole run, "step": seconds, the median}, as far as PaddleDetection's log says them."""
    text = log.read_text(errors="replace") if log.exists() else ""
    stamps = re.findall(r"^\[(.{14})\] ", text, re.MULTILINE)
    times = [datetime.strptime(f"2000/{stamp}", "%Y/%m/%d %H:%M:%S") for stamp in stamps]  # a year with 29 February
    steps = [float(cost) for cost in re.findall(r"batch_cost: ([\d.]+)", text)]
    if not steps:
        return {}
    return {"seconds": (times[-1] - times[0]).total_seconds(), "step": statistics.median(steps)}


def rows(results):
    """A row for each detector and loss of what :func:`collect` returns, as a dict of text: means over the seeds; of AP
    also the least and the most, and the mean difference from the head's own loss with the same seed, with the number
    of seeds in which it is above 0."""
    groups = _groups(results)
    classes = list(dict.fromkeys(name for run in results["runs"] for name in run.get("classes", {})))
    classes = classes if len(classes) <= CLASSES_SHOWN else []
    found = []
    for (detector, loss), runs in groups.items():
        row = {
            "detector": detector,
            "loss": f"{DETECTORS[detector].own} (own)" if loss == "own" else loss,
            "seeds": str(len(runs)),
            "AP (min - max)": _spread(runs),
            "against own (seeds better)": "",
        }
        differences = _differences(runs, groups.get((detector, "own"), {}))
        if loss != "own" and differences:
            row["against own (seeds better)"] = f"{statistics.mean(differences):+.3f} ({_better(differences)})"
        row.update({name: _mean([run[name] for run in runs.values()]) for name in ("AP50", "AP75", "AR")})
        row.update({name.title(): _mean([run.get(name) for run in runs.values()]) for name in ("pearson", "spearman")})
        by_class = [run.get("classes", {}) for run in runs.values()]
        row.update({f"AP {name}": _mean([aps.get(name) for aps in by_class]) for name in classes})
        found.append(row)
    return found


def summary(results):
    """A Markdown table with a row for each loss and a column for each detector: the mean AP (min - max), and in how
    many seeds it is above that of the head's own loss."""
    groups = _groups(results)
    detectors = list(dict.fromkeys(detector for detector, _ in groups))

    def cell(detector, loss):
        runs, own = groups.get((detector, loss), {}), groups.get((detector, "own"), {})
        if not runs:
            return "own" if loss == DETECTORS[detector].own and own else ""
        differences = _differences(runs, own)
        return _spread(runs) + (f", {_better(differences)}" if loss != "own" and differences else "")

    heads = [f"{detector} (own: {DETECTORS[detector].own})" for detector in detectors]
    lines = [
        {"loss": loss, **{head: cell(name, loss) for head, name in zip(heads, detectors)}} for loss in _losses(results)
    ]
    return markdown(lines)


def markdown(rows):
    """Dicts of text as a Markdown table."""
    if not rows:
        return "no run is finished"
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def save(results, path):
    """What :func:`collect` returns as PATH.json, its rows as PATH.csv and its plot as PATH.png."""
    path.with_suffix(".json").write_text(json.dumps(results, indent=1))
    if results["runs"]:
        save_csv(results, path.with_suffix(".csv"))
        plot(results, path.with_suffix(".png"))


def save_csv(results, path):
    """The rows of what :func:`collect` returns."""
    lines = rows(results)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def _groups(results):
    """{(detector, loss): {seed: run}}, in the order of the tables."""
    groups = {}
    for run in sorted(results["runs"], key=_place):
        groups.setdefault((run["detector"], run["loss"]), {})[run["seed"]] = run
    return groups


def _place(run):
    """By detector, its own loss first."""
    return list(DETECTORS).index(run["detector"]), run["loss"] != "own"


def _losses(results):
    """Own loss, focal loss, the family, whatever else there is."""
    order = ["own", "focal", *FAMILY]
    there = dict.fromkeys(run["loss"] for run in results["runs"])
    return [loss for loss in order if loss in there] + [loss for loss in there if loss not in order]


def _mean(values):
    return "" if None in values else f"{statistics.mean(values):.3f}"


def _spread(runs):
    aps = [run["AP"] for run in runs.values()]
    return f"{statistics.mean(aps):.3f} ({min(aps):.3f} - {max(aps):.3f})"


def _differences(runs, own):
    """Of the AP, with the same seed."""
    return [run["AP"] - own[seed]["AP"] for seed, run in runs.items() if seed in own]


def _better(differences):
    return f"{sum(difference > 0 for difference in differences)}/{len(differences)}"


def plot(results, path):
    """A panel for each detector, a line for each loss, a dot for each seed and a bar at their mean."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    runs = sorted(results["runs"], key=_place)
    detectors = list(dict.fromkeys(run["detector"] for run in runs))
    losses = _losses(results)
    values = {detector: [run["AP"] for run in runs if run["detector"] == detector] for detector in detectors}
    figure, axes = pyplot.subplots(
        1,
        len(detectors),
        figsize=(1 + 2.6 * len(detectors), 1 + 0.45 * len(losses)),
        layout="constrained",
        squeeze=False,
    )
    for axis, detector in zip(axes[0], detectors):
        for row, loss in enumerate(losses):
            found = [run["AP"] for run in runs if (run["detector"], run["loss"]) == (detector, loss)]
            axis.plot(found, [row] * len(found), "o", color=f"C{row}", alpha=0.6)
            if found:
                axis.plot(statistics.mean(found), row, "|", color="black", markersize=16)
        middle = (min(values[detector]) + max(values[detector])) / 2
        half = max(0.06, 0.6 * (max(values[detector]) - min(values[detector])))  # so that trifles look like trifles
        axis.set(title=f"{detector} (own: {DETECTORS[detector].own})", xlabel="AP")
        axis.set(xlim=(middle - half, middle + half), ylim=(len(losses) - 0.5, -0.5))
        axis.set_yticks(range(len(losses)), losses if axis is axes[0][0] else [""] * len(losses))
        axis.title.set_fontsize("medium")
        axis.grid(alpha=0.3)
    figure.suptitle(f"{results['data']}, {results['epochs']} epochs, {results['size']} px: a dot is a run")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
