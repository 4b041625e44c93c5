"""Scores: what they are written as, and what they say over seeds."""

from __future__ import annotations

import csv

import pytest
from PIL import Image

from singleimg.errors import UserError
from singleimg.probe.chart import draw
from singleimg.probe.scores import (
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


def test_harmed_scores_are_named(tmp_path):
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


def test_the_picture_shows_every_run(tmp_path):
    pytest.importorskip("matplotlib")
    draw(tmp_path / "scores.png", SCORES)
    with Image.open(tmp_path / "scores.png") as image:
        assert image.size == (900, 600)
        assert len(image.convert("RGB").getcolors(1 << 20)) > 10
