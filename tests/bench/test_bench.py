"""The benchmark on cases of a few elements: what it measures, not how fast. On GPUs: tests/gpu/test_gpu_bench.py."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paddle_vfl import cli
from paddle_vfl.bench import cpu, run_benchmark
from paddle_vfl.bench.cases import Case, cases_of
from paddle_vfl.bench.report import plot, table
from paddle_vfl.testing import oracle

DOCS = Path(__file__).resolve().parents[2] / "docs"
SMALL = dict(rows=50, classes=4)
MEASURED = [
    Case("tiny", **SMALL, peers=("fused", "ppdet", "copy")),
    Case("tiny half", **SMALL, dtype="bfloat16"),
    Case("100,000 elements", rows=1_250, peers=("fused", "copy")),
]
DENSE = Case("dense", **SMALL)
MASKED = Case("masked", **SMALL, kind="masked", use_sigmoid=False)
PAIR = Case("pair", **SMALL, kind="pair")


@pytest.mark.parametrize(
    "peer, case",
    [
        *(("fused", case) for case in (DENSE, MASKED, PAIR)),
        *(("ppdet", case) for case in (DENSE, MASKED, PAIR)),
        ("torch", DENSE),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_peers_compute_the_same(peer, case):
    if peer != "fused":
        pytest.importorskip(peer)
    pred, target, label = case.arrays()
    if case.kind == "pair":
        target, label = oracle.dense_target(label, target, case.classes), None
    _, expected = oracle.loss_and_grad(pred, target, label, use_sigmoid=case.use_sigmoid)
    grad = np.asarray(cpu.Cpu(threads=1).step(peer, case).whole())
    np.testing.assert_allclose(grad, expected, rtol=1e-4, atol=1e-6)


def test_the_copy_starts_no_thread_while_it_is_timed(monkeypatch):
    ((copy,),) = cpu.Cpu(threads=3).step("copy", DENSE).passes.values()
    started, copied, copyto = [], [], np.copyto
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread))
    monkeypatch.setattr(np, "copyto", lambda sink, source: (copied.append(sink.nbytes), copyto(sink, source)))
    copy()
    assert not started and len(copied) == 3
    assert 2 * sum(copied) == 20 * DENSE.elements  # read and written


@pytest.fixture(scope="module")
def report():
    pytest.importorskip("ppdet")
    return run_benchmark("cpu", MEASURED, threads=[1], rounds=1, seconds=0.001, progress=False)


def test_every_peer_of_every_case_is_measured(report):
    assert [(r["case"], r["peer"]) for r in report["results"]] == [
        (case.name, peer) for case in MEASURED for peer in case.peers
    ]
    for r in report["results"]:
        assert 0 < r["low"] <= r["median"] <= r["high"]
        assert (r["peak_bytes"] is None) == (r["peer"] == "copy")
    assert json.loads(json.dumps(report)) == report
    assert {"processor", "paddle", "isa", "date"} <= set(report["machine"])


def test_a_peer_that_is_not_installed_is_left_out(tmp_path, monkeypatch, capsys):
    (tmp_path / "torch.py").write_text("raise ImportError('there is no torch')")
    monkeypatch.syspath_prepend(tmp_path)
    case = Case("tiny", **SMALL, peers=("fused", "torch"))
    report = run_benchmark("cpu", [case], threads=[1], rounds=1, seconds=0.001, progress=False)
    assert [r["peer"] for r in report["results"]] == ["fused"]
    assert capsys.readouterr().err == "torch is left out: there is no torch\n"


def test_an_instruction_set_that_is_not_there_is_left_out(capsys):
    cases = [Case("other", **SMALL, isa="neon"), Case("tiny", **SMALL)]
    report = run_benchmark("cpu", cases, threads=[1], rounds=1, seconds=0.001, progress=False)
    assert [r["case"] for r in report["results"]] == ["tiny"]
    assert capsys.readouterr().err == "fused is left out: this processor or this build has no neon\n"


def test_the_table_has_a_line_for_each(report):
    lines = table(report["results"]).splitlines()
    assert len(lines) == 2 + len(report["results"]) and len({len(line) for line in lines}) == 1
    fused, ppdet = (
        next(r for r in report["results"] if (r["case"], r["peer"]) == ("tiny", peer)) for peer in ("fused", "ppdet")
    )
    header, _, *rows = _cells(lines)
    assert header[:3] == ["case", "threads", "peer"] and "pass" not in header
    (row,) = [row for row in rows if (row[0], row[2]) == ("tiny", "ppdet")]
    assert f"{ppdet['median'] / fused['median']:.1f} x" in row


def test_the_readme_has_the_figures_of_cpu_json():
    results = json.loads((DOCS / "benchmarks" / "zen4" / "cpu.json").read_text())["results"]

    def peers(case):
        return [
            next(r for r in results if (r["case"], r["peer"], r["threads"]) == (case, peer, 1))
            for peer in ("fused", "ppdet")
        ]

    def predictions(result):
        return f"{result['peak_bytes'] / (4 * result['elements']):.1f}"

    def ratio(fused, ppdet):
        return f"{ppdet['median'] / fused['median']:.0f}"

    logits, own_call, many = map(
        peers,
        (
            "PP-YOLOE batch of 8, logits",
            "PP-YOLOE's own call, probabilities and mask",
            "V3Det, 16,800 x 13,204, (label, score)",
        ),
    )
    figures = [
        (predictions(logits[0]), predictions(logits[1]), predictions(own_call[1])),
        (ratio(*logits), ratio(*own_call)),
        (f"{many[0]['median']:.1f} s", f"{many[1]['median']:.0f} s"),
        (f"{many[0]['peak_bytes'] / 1e9:.1f} GB", f"{many[1]['peak_bytes'] / 1e9:.1f} GB"),
    ]
    for page in ("README.md", "README_cn.md"):
        lines = (DOCS.parent / page).read_text(encoding="utf-8").splitlines()
        for together in figures:
            assert any(all(figure in line for figure in together) for line in lines), (page, together)


def _cells(lines):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_the_plots_are_pictures(report, tmp_path):
    paths = plot(report["results"], tmp_path / "plots")
    assert [path.name for path in paths] == ["time.png", "memory.png", "limit.png"]
    for path in paths:
        assert Image.open(path).size[0] > 500


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    """As in the documentation, with a smaller case."""
    pytest.importorskip("ppdet")
    files = ["--json", str(tmp_path / "cpu.json"), "--plots", str(tmp_path)]
    assert cli.main(["bench", "--match", "small head", "--rounds", "1", "--threads", "1", *files]) == 0
    out = capsys.readouterr().out
    assert "small head, 8,544 x 10" in out and json.loads((tmp_path / "cpu.json").read_text())["results"]
    assert (tmp_path / "time.png").exists()


def test_names_of_cases_are_unique():
    for device in ("cpu", "gpu"):
        names = [case.name for case in cases_of(device)]
        assert len(set(names)) == len(names) > 10


@pytest.mark.parametrize(
    "args, message",
    [
        (["--match", "nothing like it"], "no case has 'nothing like it' in its name; there are: PP-YOLOE"),
        (["--rounds", "0"], "--threads and --rounds: expected at least 1"),
        (["--threads", "0"], "--threads and --rounds: expected at least 1"),
        (["--device", "gpu", "--threads", "2"], "--threads is of the CPU, not of --device gpu"),
    ],
)
def test_bad_options_are_one_line(args, message, capsys):
    assert cli.main(["bench", *args]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and message in err
