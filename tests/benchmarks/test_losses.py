"""benchmarks/losses.py: what its cells train with, what it skips, and what it reports."""

import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("ppdet")
import losses
from loss_study import runs
from loss_study.cells import CONFIGS, DETECTORS, FAMILY, cells, variants
from loss_study.detections import measure
from loss_study.report import collect, markdown, rows, save, save_csv, summary
from loss_study.runs import Run, Setting, train_all

from paddle_vfl.training import configs

TITLES = {"vfl": "varifocal loss", "qfl": "quality focal loss", "mal": "matchability-aware loss"}
HERE = [name for name, detector in DETECTORS.items() if detector.is_there()]


@pytest.fixture
def setting(digits):
    return Setting(digits, classes=10, epochs=2, size=64, flip=False)


@pytest.fixture
def said(setting, clean_ppdet, caplog):
    """A function that makes the model of a cell as training does, and returns what the log says of its loss."""
    from ppdet.core import workspace

    def build(cell):
        cfg = configs.load(CONFIGS / DETECTORS[cell.detector].config, [*setting.options(), *cell.options])
        with caplog.at_level("INFO", logger="paddle_vfl"):
            workspace.create(cfg.architecture)
        return caplog.records[-1].getMessage()

    return build


@pytest.mark.parametrize(
    "cell", cells(HERE, {loss: loss for loss in ("own", "focal", *FAMILY)}), ids=lambda cell: "-".join(cell[:2])
)
def test_a_cell_trains_with_the_loss_it_names(cell, said):
    detector = DETECTORS[cell.detector]
    if cell.loss == "focal" and not detector.focal:
        assert "alpha 3, gamma 2, positive_weight modulated, target_power 0, loss_weight 0.25" in said(cell)
        return
    title = TITLES.get(detector.own if cell.loss == "own" else cell.loss)
    assert (f"fused {title}, " if title else "trains with its own loss") in said(cell)


def test_what_is_one_and_the_same_is_trained_once():
    chosen = cells(["retinanet", "ppyoloe", "gfl"], {loss: loss for loss in ("own", "focal", "vfl", "qfl")})
    assert [cell[:2] for cell in chosen] == [
        ("retinanet", "own"),
        ("retinanet", "vfl"),
        ("retinanet", "qfl"),
        ("ppyoloe", "own"),
        ("ppyoloe", "focal"),
        ("ppyoloe", "qfl"),
        ("gfl", "own"),
        ("gfl", "focal"),
        ("gfl", "vfl"),
    ]


@pytest.mark.parametrize(
    "study, name, message",
    [
        ("alpha-gamma", "vfl_alpha0.5_gamma3.0", "alpha 0.5, gamma 3.0"),
        ("detach", "vfl_detached", "detach_weight True"),
        ("class-weights", "vfl_weights1.0", "class weights from"),
    ],
)
def test_a_study_varies_what_it_names(study, name, message, said, digits):
    chosen = cells(["ppyoloe"], variants(study, (), digits / "annotations" / "train.json"))
    assert "own" in [cell.loss for cell in chosen]  # what the others are compared with
    assert message in said(next(cell for cell in chosen if cell.loss == name))


@pytest.mark.parametrize(
    "part, expected",
    [
        ("plain_focal", (False, False, 0)),
        ("plain_vfl", (False, False, 1)),
        ("star_vfl", (True, False, 1)),
        ("own", (True, True, 1)),
    ],
)
def test_the_parts_of_vfnet_are_added_one_by_one(part, expected, digits, setting, clean_ppdet):
    from ppdet.core import workspace

    (cell,) = [cell for cell in cells(["vfnet"], variants("vfnet-parts", (), None)) if cell.loss == part]
    cfg = configs.load(CONFIGS / DETECTORS["vfnet"].config, [*setting.options(), *cell.options])
    head = workspace.create(cfg.architecture).head
    assert (head.star, head.refine, head.loss_class.target_power) == expected
    assert cell.options[0] == "VFNetHead.bbox_norm_type=reg_denom"  # as in the published study, the config has another


def test_class_weights_are_those_of_the_command(digits):
    from paddle_vfl.class_weights import class_weight_block

    annotations = digits / "annotations" / "train.json"
    (line,) = re.findall(r"class_weight: (\[.*\])", class_weight_block(annotations, 0.5))
    found = variants("class-weights", (), annotations)["vfl_weights0.5"]["class_weight"]
    assert found == pytest.approx(json.loads(line), rel=1e-3)


def test_a_detector_that_is_not_there_is_said(digits, tmp_path, monkeypatch):
    monkeypatch.setitem(DETECTORS, "gfl", DETECTORS["gfl"]._replace(source="heads/no_such_head.py"))
    monkeypatch.setattr(
        sys, "argv", ["losses.py", "--data", str(digits), "--output", str(tmp_path), "--detectors", "gfl"]
    )
    with pytest.raises(SystemExit, match="^losses: this PaddleDetection has no gfl"):
        losses.main()


def write_history(run, *epochs, ap=0.5):
    """A history as training leaves it, evaluated after these epochs."""
    run.results.mkdir(parents=True, exist_ok=True)
    steps = [{"epoch": 0, "losses": {"loss_cls": value, "loss": 9.0}} for value in (0.125, 0.375)]
    records = steps + [{"epoch": epoch, "eval": {"bbox": [ap, 0.8, 0.6, *[0.1] * 9]}} for epoch in epochs]
    (run.results / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def some_runs(setting, tmp_path):
    chosen = cells(["fcos"], {"own": "own", "vfl": "vfl"})
    return [Run(cell, seed, setting, tmp_path) for seed in (0, 1) for cell in chosen]


def test_finished_runs_are_kept_and_a_failure_stops_no_other(some_runs, monkeypatch, capsys):
    finished, cut_off, half_a_line, fails = some_runs
    write_history(finished, 0, 1)
    write_history(cut_off, 0)
    write_history(half_a_line, 0, 1)
    with open(half_a_line.results / "history.jsonl", "a") as file:
        file.write('{"epoch": 1, "ev')
    trained = []

    def train(command, stdout, env, **_):
        (run,) = [run for run in some_runs if f'save_dir="{run.folder}"' in command]
        trained.append(run)
        assert env["OMP_NUM_THREADS"] == "1" and f"--seed {run.seed}" in " ".join(command)
        if run is not fails:
            write_history(run, 1)
        return SimpleNamespace(returncode=int(run is fails))

    monkeypatch.setattr(runs.subprocess, "run", train)
    assert train_all(some_runs, jobs=1) == [fails]
    assert trained == [cut_off, half_a_line, fails]
    assert f"fcos-vfl-1 failed: see {fails.log}" in capsys.readouterr().err
    trained.clear()
    assert train_all(some_runs, jobs=2) == [fails] and trained == [fails]


BOX = [10.0, 10.0, 20.0, 20.0]


def coco(boxes):
    """COCO annotations of one image each, with two classes of which the second has no box."""
    return {
        "images": [{"id": number, "width": 64, "height": 64, "file_name": f"{number}.png"} for number in range(boxes)],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "none"}],
        "annotations": [
            {"id": number + 1, "image_id": number, "category_id": 1, "bbox": BOX, "area": 400, "iscrowd": 0}
            for number in range(boxes)
        ],
    }


def detections(*found):
    """(how far the box is off, its score), an image each."""
    return [
        {"image_id": number, "category_id": 1, "bbox": [BOX[0] + off, *BOX[1:]], "score": score}
        for number, (off, score) in enumerate(found)
    ]


@pytest.mark.parametrize("order, sign", [((0.9, 0.8, 0.7), 1), ((0.7, 0.8, 0.9), -1)])
def test_how_well_scores_rank(tmp_path, order, sign):
    """Boxes that are off by 0, 2 and 4 of 20 pixels have the IoU 1, 18 / 22 and 16 / 24; one by 19 is no match."""
    annotations, found = tmp_path / "val.json", tmp_path / "bbox.json"
    annotations.write_text(json.dumps(coco(4)))
    found.write_text(json.dumps(detections(*zip((0, 2, 4), order), (19, 0.95))))
    measured = measure(annotations, found)
    assert measured["matched"] == 3 and measured["spearman"] == pytest.approx(sign)
    assert measured["pearson"] == pytest.approx(np.corrcoef(order, (1, 18 / 22, 16 / 24))[0, 1], abs=1e-4)
    assert measured["classes"]["none"] is None and 0 < measured["classes"]["cell"] < 1


LOG = """\
[02/29 23:59:00] ppdet.engine INFO: Epoch: [0] [ 0/64] loss: 1.0 batch_cost: 0.5000 data_cost: 0.0
[03/01 00:00:30] ppdet.engine INFO: Epoch: [1] [ 0/64] loss: 1.0 batch_cost: 0.3000 data_cost: 0.0
"""


def test_the_report_of_stored_histories(some_runs, setting, tmp_path):
    for run, ap in zip(some_runs[:3], (0.40, 0.45, 0.42)):
        write_history(run, 0, 1, ap=ap)
        run.log.write_text(LOG)
    results = collect(some_runs, setting)
    assert results["missing"] == ["fcos-vfl-1"] and results["epochs"] == 2 and results["machine"]["paddle"]
    first = results["runs"][0]
    assert (first["AP"], first["AP50"], first["AP75"], first["AR"]) == (0.4, 0.8, 0.6, 0.1)
    assert first["classification_loss"] == [0.125, 0.25]
    assert first["seconds"] == 90 and first["step"] == pytest.approx(0.4)
    own, vfl = rows(results)
    assert [own["loss"], own["seeds"], own["AP (min - max)"]] == ["focal (own)", "2", "0.410 (0.400 - 0.420)"]
    assert [vfl["loss"], vfl["AP50"], vfl["against own (seeds better)"]] == ["vfl", "0.800", "+0.050 (1/1)"]
    assert summary(results).splitlines() == [
        "| loss | fcos (own: focal) |",
        "| --- | --- |",
        "| own | 0.410 (0.400 - 0.420) |",
        "| vfl | 0.450 (0.450 - 0.450), 1/1 |",
    ]
    save(json.loads(json.dumps(results)), tmp_path / "losses")
    assert json.loads((tmp_path / "losses.json").read_text()) == results
    assert (tmp_path / "losses.csv").read_text().startswith("detector,loss,seeds,AP (min - max),")
    assert (tmp_path / "losses.png").stat().st_size > 5000


def test_a_loss_that_is_the_own_one_of_some_heads_has_one_row():
    def run(detector, loss, ap):
        return {"detector": detector, "loss": loss, "seed": 0, "AP": ap}

    runs = [run("gfl", "own", 0.5), run("retinanet", "qfl", 0.4), run("retinanet", "own", 0.3), run("gfl", "mal", 0.4)]
    assert summary({"runs": runs}).splitlines()[2:] == [
        "| own | 0.300 (0.300 - 0.300) | 0.500 (0.500 - 0.500) |",
        "| qfl | 0.400 (0.400 - 0.400), 1/1 | own |",
        "| mal |  | 0.400 (0.400 - 0.400), 0/1 |",
    ]


def test_nothing_is_finished(some_runs, setting):
    assert summary(collect(some_runs, setting)) == "no run is finished"


def test_a_folder_that_is_no_data_set_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["losses.py", "--data", str(tmp_path), "--report"])
    with pytest.raises(SystemExit, match=r"^losses: .*train.json: expected COCO annotations"):
        losses.main()


DOCS = CONFIGS.parent / "docs"
PAGES = {
    "digits": ["which_loss.md", "which_loss.zh.md"],
    "digits_8_epochs": ["which_loss.md", "which_loss.zh.md"],
    "bccd_class_weights_320": ["which_loss.md", "which_loss.zh.md"],
    "bccd_class_weights": [],  # the page has the means alone
    "bccd_losses": ["which_loss.md", "which_loss.zh.md"],
    "alpha_gamma": ["which_loss.md", "which_loss.zh.md"],
    "detach": ["which_loss.md", "which_loss.zh.md"],
    "vfnet_parts": ["vfnet.md"],
}


@pytest.mark.parametrize("stored", sorted((DOCS / "study").glob("*.json")), ids=lambda path: path.stem)
def test_the_tables_of_the_pages_are_those_of_the_stored_results(stored, tmp_path):
    results = json.loads(stored.read_text())
    for page in PAGES[stored.stem]:
        text = (DOCS / page).read_text(encoding="utf-8")
        tables = [made.splitlines()[2:] for made in (summary(results), markdown(rows(results)))]
        assert any(lines and all(line in text for line in lines) for lines in tables), page
        assert f"(study/{stored.stem}.csv)" in text and f"(study/{stored.stem}.json)" in text
    save_csv(results, tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == stored.with_suffix(".csv").read_text()


@pytest.mark.slow
def test_from_the_command_line_to_the_table(digits, tmp_path, monkeypatch, capfd):
    arguments = f"--data {digits} --output {tmp_path} --detectors ppyoloe --losses vfl --seeds 0 --epochs 1 --size 64"
    monkeypatch.setattr(sys, "argv", ["losses.py", *arguments.split()])
    losses.main()
    said = capfd.readouterr().out
    assert "1 runs, 0 of them finished before" in said and "| own | 0.0" in said
    results = json.loads((tmp_path / "losses.json").read_text())
    assert results["missing"] == [] and results["runs"][0]["step"] > 0
    monkeypatch.setattr(runs.subprocess, "run", None)  # trained once
    losses.main()
    assert "1 runs, 1 of them finished before" in capfd.readouterr().out
