"""What a study leaves beside its page: a table, scores, a record."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from singleimg.learn.probes.scores import LayerScore, RunScore
from singleimg.learn.study import report
from singleimg.learn.study.design import Row
from singleimg.learn.study.findings import HOLDS, INTERVAL, Finding
from singleimg.learn.study.row_run import RowResult


def score(name: str, seed: int, *points: float) -> RunScore:
    layers = [LayerScore(k + 1, one / 100, 0.01, 0.5) for k, one in enumerate(points)]
    return RunScore(name, seed, "cifar10", tuple(layers))


def made(name: str, seed: int, minutes: float, *points: float, **facts: float) -> RowResult:
    row = Row(name, seed, (f"seed={seed}",))
    own = {key.replace("_", ", "): share for key, share in facts.items()}
    return RowResult(row, score(name, seed, *points) if points else None, None, own, minutes)


ONE = made("RotNet, one image", 0, 12.34, 51.26, 48, knn=0.4, pretext_own=0.95)
TABLE = [
    made("random", 0, 0.5, 40, 30, knn=0.2),
    made("random", 1, 1.5, 42, 34, knn=0.3),
    RowResult(ONE.row, ONE.score, score(ONE.row.name, 0, 51, 50), ONE.facts, ONE.minutes),
]
STUDENTS = [
    made("teacher", 0, 3),
    made("student of noise", 0, 2, student=0.4, teacher=0.8, agreement=0.42),
]
SAID = [
    Finding("a", "RotNet beats random at every layer", INTERVAL, "conv1 +10.3 (1 seed)", None),
    Finding("d", "scale is the best single factor at conv2", HOLDS, "+3.0 ± 0.2 to x", 0.2),
]
MORE = {"data": "cifar10", "not_run": ["none"]}
CONTROL = "Null control, augment=paper: it gives nothing away."
MARKDOWN = """\
Null control, augment=paper: it gives nothing away.

Rows:

| | conv1 | conv2 | seeds | minutes a run |
|---|---:|---:|---:|---:|
| random | 41.0 ± 1.4 | 32.0 ± 2.8 | 2 | 1.0 |
| RotNet, one image | 51.3 | 48.0 | 1 | 12.3 |
| RotNet, one image, statistics recomputed | 51.0 | 50.0 | 1 | |

| | knn | pretext, own |
|---|---:|---:|
| random | 25.0 ± 7.1 | – |
| RotNet, one image | 40.0 | 95.0 |

Students of one picture each:

| | student | teacher | agreement |
|---|---:|---:|---:|
| student of noise | 40.0 | 80.0 | 42.0 |

- (a) RotNet beats random at every layer: undecided: interval [conv1 +10.3 (1 seed)]
- (d) scale is the best single factor at conv2: holds [+3.0 ± 0.2 to x]
"""


def write(folder: Path, **parts: list[RowResult]) -> str:
    return report.write(folder, parts or {"table": TABLE, "students": STUDENTS}, SAID, CONTROL,
                        MORE)  # fmt: skip


def test_three_files_are_written(tmp_path: Path) -> None:
    write(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"table.md", "scores.csv", "study.json"}


def test_the_text_is_control_tables_and_findings(tmp_path: Path) -> None:
    text = write(tmp_path)
    assert text == MARKDOWN
    assert (tmp_path / "table.md").read_text() == text


def test_scores_hold_a_line_for_each_layer_of_each_run(tmp_path: Path) -> None:
    write(tmp_path)
    with (tmp_path / "scores.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    told = [(line["row"], line["seed"], line["layer"], line["accuracy"]) for line in lines]
    assert told == [
        (one.row, str(one.seed), str(layer.layer), str(layer.accuracy))
        for result in TABLE
        for one in report.scores_of(result)
        for layer in one.layers
    ]
    assert ("RotNet, one image, statistics recomputed", "0", "2", "0.5") in told


def test_the_record_holds_all_that_the_report_was_made_of(tmp_path: Path) -> None:
    write(tmp_path)
    record = json.loads((tmp_path / "study.json").read_text())
    assert record["control"] == CONTROL
    assert (record["data"], record["not_run"]) == ("cifar10", ["none"])
    assert record["findings"][1] == {
        "letter": "d", "said": SAID[1].said, "verdict": "holds", "numbers": SAID[1].numbers,
        "resolves": 0.2,
    }  # fmt: skip
    names = {part: [one["row"]["name"] for one in rows] for part, rows in record["rows"].items()}
    assert names == {"table": [one.row.name for one in TABLE],
                     "students": ["teacher", "student of noise"]}  # fmt: skip
    layers = [
        {"layer": 1, "accuracy": 0.5126, "lr": 0.01, "validation": 0.5, "ten_crop": None},
        {"layer": 2, "accuracy": 0.48, "lr": 0.01, "validation": 0.5, "ten_crop": None},
    ]
    again = [{**layers[0], "accuracy": 0.51}, {**layers[1], "accuracy": 0.5}]
    scores = {"row": "RotNet, one image", "seed": 0, "data": "cifar10"}
    assert record["rows"]["table"][2] == {
        "row": {"name": "RotNet, one image", "seed": 0, "overrides": ["seed=0"],
                "labelled": False, "recomputed": False, "role": "trunk"},
        "score": {**scores, "layers": layers}, "recomputed": {**scores, "layers": again},
        "facts": {"knn": 0.4, "pretext, own": 0.95}, "minutes": 12.34,
    }  # fmt: skip


def test_a_second_report_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write(tmp_path)
    report.write(tmp_path, {"table": TABLE}, SAID[:1], CONTROL, MORE)
    assert list(json.loads((tmp_path / "study.json").read_text())["rows"]) == ["table"]
    assert "Students" not in (tmp_path / "table.md").read_text()
