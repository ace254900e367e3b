"""The benchmark on a case of a few elements: what it measures, not how fast."""

import json

import pytest
from PIL import Image

from paddle_vfl import cli
from paddle_vfl.bench import cases, run_benchmark
from paddle_vfl.bench.report import plot, table

pytest.importorskip("ppdet")

TINY = [
    cases.Case("tiny", rows=50, classes=4, peers=("fused", "ppdet", "copy")),
    cases.Case("tiny mask", rows=50, classes=4, form="masked", peers=("fused", "ppdet")),
    cases.Case("tiny pair", rows=50, classes=4, form="pair", peers=("fused", "ppdet")),
    cases.Case("tiny half", rows=50, classes=4, dtype="bfloat16"),
    cases.Case("100,000 elements", rows=1_250, peers=("fused", "copy")),
]


@pytest.fixture(scope="module")
def report():
    return run_benchmark([1], TINY, rounds=2, seconds=0.001, progress=False)


def test_every_peer_of_every_case_is_measured(report):
    assert [(r["case"], r["peer"]) for r in report["results"]] == [
        (case.name, peer) for case in TINY for peer in case.peers
    ]
    for r in report["results"]:
        assert 0 < r["low"] <= r["median"] <= r["high"]
        assert (r["peak_bytes"] is None) == (r["peer"] == "copy")
    assert json.loads(json.dumps(report)) == report
    assert {"processor", "paddle", "isa", "date"} <= set(report["machine"])


def test_the_table_has_a_line_for_each(report):
    lines = table(report["results"]).splitlines()
    assert len(lines) == 2 + len(report["results"]) and len({len(line) for line in lines}) == 1
    fused, ppdet = (
        next(r for r in report["results"] if (r["case"], r["peer"]) == ("tiny", peer)) for peer in ("fused", "ppdet")
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    (row,) = [row for row in rows if (row[0], row[2]) == ("tiny", "ppdet")]
    assert f"{ppdet['median'] / fused['median']:.1f} x" in row


def test_the_plots_are_pictures(report, tmp_path):
    paths = plot(report["results"], tmp_path / "plots")
    assert [path.name for path in paths] == ["time.png", "memory.png", "limit.png"]
    for path in paths:
        assert Image.open(path).size[0] > 500


@pytest.mark.slow
def test_the_command(tmp_path, capsys):
    """As in the documentation, with a smaller case."""
    assert (
        cli.main(
            [
                "bench",
                "--match",
                "small head",
                "--rounds",
                "1",
                "--threads",
                "1",
                "--json",
                str(tmp_path / "cpu.json"),
                "--plots",
                str(tmp_path),
            ]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "small head, 8,544 x 10" in out and json.loads((tmp_path / "cpu.json").read_text())["results"]
    assert (tmp_path / "time.png").exists()


@pytest.mark.parametrize(
    "args, message",
    [
        (["--match", "nothing like it"], "no case has 'nothing like it' in its name; there are: PP-YOLOE"),
        (["--rounds", "0"], "--threads and --rounds: expected at least 1"),
        (["--threads", "0"], "--threads and --rounds: expected at least 1"),
    ],
)
def test_bad_options_are_one_line(args, message, capsys):
    assert cli.main(["bench", *args]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and message in err
