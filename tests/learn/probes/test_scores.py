"""Scores: what they are written as, and what they say over seeds."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from singleimg.errors import UserError
from singleimg.learn.probes.scores import (
    LayerScore,
    RunScore,
    over_seeds,
    read_json,
    table,
    write_csv,
    write_json,
)


def run_score(row: str, seed: int, *accuracies: float) -> RunScore:
    layers = [LayerScore(k + 1, value, 0.01, 0.5) for k, value in enumerate(accuracies)]
    return RunScore(row, seed, "cifar10", tuple(layers))


SCORES = [
    run_score("one", 0, 0.5, 0.6),
    run_score("one", 1, 0.54, 0.6),
    run_score("two", 0, 0.7, 0.8),
]


def test_json_comes_back_and_csv_has_a_line_a_layer(tmp_path):
    write_json(tmp_path / "scores.json", SCORES)
    assert read_json(tmp_path / "scores.json") == SCORES
    write_csv(tmp_path / "scores.csv", SCORES)
    with (tmp_path / "scores.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 6
    assert list(lines[0].items()) == [
        ("row", "one"), ("seed", "0"), ("data", "cifar10"), ("layer", "1"), ("accuracy", "0.5"),
        ("lr", "0.01"), ("validation", "0.5"), ("ten_crop", ""),
    ]  # fmt: skip


def test_damaged_scores_are_named(tmp_path):
    (tmp_path / "scores.json").write_text("[{}]")
    with pytest.raises(UserError, match="cannot be read as scores"):
        read_json(tmp_path / "scores.json")


def test_rows_have_means_and_deviations_over_seeds():
    means = over_seeds(SCORES)
    assert means["one"][0] == (pytest.approx(0.52), pytest.approx(0.0282843, rel=1e-4))
    assert means["two"] == [(0.7, None), (0.8, None)]


def test_the_table_is_markdown_in_percent():
    assert table(SCORES).splitlines() == [
        "| | conv1 | conv2 | seeds |",
        "|---|---:|---:|---:|",
        "| one | 52.0 ± 2.8 | 60.0 ± 0.0 | 2 |",
        "| two | 70.0 | 80.0 | 1 |",
    ]


def test_json_keeps_every_field_to_the_last_bit(tmp_path: Path) -> None:
    layers = (LayerScore(1, 1 / 3, 1e-4, 0.1 + 0.2, 2 / 3), LayerScore(2, 0.5, 0.1))
    scores = [RunScore('a "row", with ± and commas', 2**40, "cifar10", layers)]
    write_json(tmp_path / "scores.json", scores)
    assert read_json(tmp_path / "scores.json") == scores
    write_csv(tmp_path / "scores.csv", scores)
    with (tmp_path / "scores.csv").open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert first["row"] == scores[0].row and int(first["seed"]) == 2**40
    assert [float(first[key]) for key in ("accuracy", "lr", "validation", "ten_crop")] == [
        1 / 3, 1e-4, 0.1 + 0.2, 2 / 3,
    ]  # fmt: skip
    assert (second["validation"], second["ten_crop"]) == ("", "")


def test_what_is_written_takes_the_place_of_what_was_there_and_leaves_nothing_beside_it(
    tmp_path: Path,
) -> None:
    for scores in (SCORES, SCORES[:1]):
        write_json(tmp_path / "scores.json", scores)
        write_csv(tmp_path / "scores.csv", scores)
    assert {file.name for file in tmp_path.iterdir()} == {"scores.json", "scores.csv"}
    assert read_json(tmp_path / "scores.json") == SCORES[:1]
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(("text", "reason"), [
    ("[{}]", "'row'"),
    ('[{"row": "a"', "Expecting ',' delimiter: line 1 column 13 (char 12)"),
    ("", "Expecting value: line 1 column 1 (char 0)"),
    ("5", "'int' object is not iterable"),
])  # fmt: skip
def test_damaged_scores_are_a_sentence(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "scores.json"
    file.write_text(text)
    with pytest.raises(UserError) as mistake:
        read_json(file)
    assert str(mistake.value) == f"{file} cannot be read as scores ({reason}): remove it."


def test_scores_cut_short_anywhere_are_a_sentence(tmp_path: Path) -> None:
    write_json(tmp_path / "scores.json", SCORES)
    text = (tmp_path / "scores.json").read_text()
    for end in range(0, len(text) - 2, 97):
        (tmp_path / "cut.json").write_text(text[:end])
        with pytest.raises(UserError, match="cannot be read as scores"):
            read_json(tmp_path / "cut.json")


def test_scores_that_are_not_there_or_are_of_no_layer_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "layer.json").write_text(
        '[{"row": "a", "seed": 0, "data": "x", "layers": [{"layer": 1, "depth": 2}]}]'
    )
    for name in ("none.json", "layer.json"):
        with pytest.raises(UserError, match=f"{name} cannot be read as scores"):
            read_json(tmp_path / name)


def test_rows_keep_their_order_and_are_averaged_in_any_field() -> None:
    scores = [
        RunScore(row, seed, "x", (LayerScore(1, 0.5, 0.01, 0.5, ten),))
        for row, seed, ten in (("b", 0, 0.2), ("a", 0, 0.9), ("b", 1, 0.4))
    ]
    means = over_seeds(scores, "ten_crop")
    assert list(means) == ["b", "a"]
    assert means["b"] == [(pytest.approx(0.3), pytest.approx(0.02**0.5))]
    assert table(scores, "ten_crop").splitlines()[2:] == [
        "| b | 30.0 ± 14.1 | 2 |",
        "| a | 90.0 | 1 |",
    ]


def test_a_row_of_fewer_layers_leaves_cells_empty() -> None:
    """Five convolutions beside four: ``task=probe`` takes checkpoints of any networks."""
    scores = [run_score("five", 0, 0.5, 0.6, 0.7), run_score("four", 0, 0.4, 0.3)]
    assert table(scores).splitlines() == [
        "| | conv1 | conv2 | conv3 | seeds |",
        "|---|---:|---:|---:|---:|",
        "| five | 50.0 | 60.0 | 70.0 | 1 |",
        "| four | 40.0 | 30.0 | | 1 |",
    ]
