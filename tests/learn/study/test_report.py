"""What a study leaves beside its page: a table, scores, a record."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from singleimg.learn.probes.scores import LayerScore, RunScore
from singleimg.learn.study import report
from singleimg.learn.study.design import THIRDS, Row
from singleimg.learn.study.findings import HOLDS, OPEN, Finding
from singleimg.learn.study.row_run import RowResult


def made(name: str, seed: int, minutes: float, *points: float, **settings: dict) -> RowResult:
    layers = [LayerScore(k + 1, one / 100, 0.01, 0.5) for k, one in enumerate(points)]
    score = RunScore(name, seed, "cifar10", tuple(layers))
    early = {part: score for part in settings.pop("early", ())}
    return RowResult(Row(name, seed, (f"seed={seed}",)), score, early, minutes, {"loss": 0.5})


TABLE = [
    made("random", 0, 0.5, 40, 30),
    made("random", 1, 1.5, 42, 34),
    made("RotNet, one image", 0, 12.34, 51.26, 48, early=THIRDS),
]
FACTORS = [made("none", 0, 2, 41, 32), made("all", 0, 3, 49, 45)]
SAID = [
    Finding("a", "RotNet, one image beats random at every layer", OPEN, "conv1 +10.3 (1 seed)"),
    Finding("d", "scale is the best single factor at conv2", HOLDS, "+3.0 ± 0.2 to the next, x"),
]
MORE = {"data": "cifar10", "not_run": ["none"]}
CONTROL = "Null control, augment=paper: it gives nothing away."
MARKDOWN = """\
Null control, augment=paper: it gives nothing away.

| | conv1 | conv2 | seeds | minutes a run |
|---|---:|---:|---:|---:|
| random | 41.0 ± 1.4 | 32.0 ± 2.8 | 2 | 1.0 |
| RotNet, one image | 51.3 | 48.0 | 1 | 12.3 |
{ablation}
- (a) RotNet, one image beats random at every layer: not resolved [conv1 +10.3 (1 seed)]
- (d) scale is the best single factor at conv2: holds [+3.0 ± 0.2 to the next, x]
"""
ABLATION = """
Augmentations (DeepCluster, one image):

| | conv1 | conv2 | seeds | minutes a run |
|---|---:|---:|---:|---:|
| none | 41.0 | 32.0 | 1 | 2.0 |
| all | 49.0 | 45.0 | 1 | 3.0 |
"""


def test_three_files_are_written(tmp_path: Path) -> None:
    report.write(tmp_path, TABLE, FACTORS, SAID, CONTROL, MORE)
    assert {file.name for file in tmp_path.iterdir()} == {
        "table.md", "scores.csv", "study.json",
    }  # fmt: skip


@pytest.mark.parametrize(("factors", "part"), [(FACTORS, ABLATION), ([], "")])
def test_the_text_is_control_tables_and_findings(
    tmp_path: Path, factors: list[RowResult], part: str
) -> None:
    text = report.write(tmp_path, TABLE, factors, SAID, CONTROL, MORE)
    assert text == MARKDOWN.format(ablation=part)
    assert (tmp_path / "table.md").read_text() == text


def test_scores_hold_a_line_for_each_layer_of_each_run(tmp_path: Path) -> None:
    report.write(tmp_path, TABLE, FACTORS, SAID, CONTROL, MORE)
    with (tmp_path / "scores.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    told = [(line["row"], line["seed"], line["layer"], line["accuracy"]) for line in lines]
    assert told == [
        (one.row.name, str(one.row.seed), str(layer.layer), str(layer.accuracy))
        for one in [*TABLE, *FACTORS]
        for layer in one.score.layers
    ]


def test_the_record_holds_all_that_the_report_was_made_of(tmp_path: Path) -> None:
    report.write(tmp_path, TABLE, FACTORS, SAID, CONTROL, MORE)
    record = json.loads((tmp_path / "study.json").read_text())
    assert record["control"] == CONTROL
    assert (record["data"], record["not_run"]) == ("cifar10", ["none"])
    assert record["findings"][1] == {
        "letter": "d", "said": SAID[1].said, "verdict": "holds", "numbers": SAID[1].numbers,
    }  # fmt: skip
    assert [one["row"]["name"] for one in record["rows"]] == [one.row.name for one in TABLE]
    assert [one["row"]["name"] for one in record["ablation"]] == ["none", "all"]
    layers = [
        {"layer": 1, "accuracy": 0.5126, "lr": 0.01, "validation": 0.5, "ten_crop": None},
        {"layer": 2, "accuracy": 0.48, "lr": 0.01, "validation": 0.5, "ten_crop": None},
    ]
    score = {"row": "RotNet, one image", "seed": 0, "data": "cifar10", "layers": layers}
    assert record["rows"][2] == {
        "row": {"name": "RotNet, one image", "seed": 0, "overrides": ["seed=0"], "full": False,
                "early": False},
        "score": score, "early": {"0.33": score, "0.67": score}, "minutes": 12.34,
        "losses": {"loss": 0.5},
    }  # fmt: skip


def test_a_second_report_takes_the_place_of_the_first(tmp_path: Path) -> None:
    report.write(tmp_path, TABLE, FACTORS, SAID, CONTROL, MORE)
    report.write(tmp_path, TABLE, [], SAID[:1], CONTROL, MORE)
    assert json.loads((tmp_path / "study.json").read_text())["ablation"] == []
    assert "Augmentations" not in (tmp_path / "table.md").read_text()
