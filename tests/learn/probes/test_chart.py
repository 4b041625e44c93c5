"""The picture of scores: its file, and that every run stands in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

from singleimg.errors import UserError
from singleimg.learn.probes.chart import draw, draw_layers, make_figure
from singleimg.learn.probes.scores import LayerScore, RunScore

pytest.importorskip("matplotlib")


def run_score(row: str, seed: int, *accuracies: float) -> RunScore:
    layers = [LayerScore(k + 1, value, 0.01) for k, value in enumerate(accuracies)]
    return RunScore(row, seed, "cifar10", tuple(layers))


SCORES = [
    run_score("one", 0, 0.5, 0.6, 0.4),
    run_score("one", 1, 0.54, 0.62, 0.44),
    run_score("two", 0, 0.7, 0.8),
]


def test_a_png_of_900_by_600_is_written(tmp_path: Path) -> None:
    draw(tmp_path / "scores.png", SCORES)
    with Image.open(tmp_path / "scores.png") as image:
        assert image.format == "PNG" and image.size == (900, 600)
        assert len(image.convert("RGB").getcolors(1 << 20)) > 10
    assert [file.name for file in tmp_path.iterdir()] == ["scores.png"]


def test_each_row_is_a_line_through_its_means_and_each_run_its_points() -> None:
    axes = make_figure(6, 4).subplots()
    draw_layers(axes, SCORES)
    drawn = [
        (line.get_linestyle(), list(map(float, line.get_xdata())), list(line.get_ydata()))
        for line in axes.get_lines()
    ]
    assert drawn == [
        ("-", [1, 2, 3], pytest.approx([52, 61, 42])),
        ("None", [1, 2, 3], pytest.approx([50, 60, 40])),
        ("None", [1, 2, 3], pytest.approx([54, 62, 44])),
        ("-", [1, 2], pytest.approx([70, 80])),
        ("None", [1, 2], pytest.approx([70, 80])),
    ]


def test_rows_are_named_and_have_colours_of_their_own_that_their_runs_share() -> None:
    axes = make_figure(6, 4).subplots()
    draw_layers(axes, SCORES)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]
    assert [line.get_color() for line in axes.get_lines()] == ["C0"] * 3 + ["C1"] * 2


def test_layers_are_named_up_to_the_deepest_of_all_runs() -> None:
    axes = make_figure(6, 4).subplots()
    draw_layers(axes, SCORES[::-1])
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["conv1", "conv2", "conv3"]
    assert axes.get_ylabel() == "test accuracy of a linear probe, %"


def test_a_style_is_that_of_its_row_alone() -> None:
    axes = make_figure(6, 4).subplots()
    draw_layers(axes, SCORES, {"two": {"color": "0.5", "linestyle": ":"}})
    assert [line.get_color() for line in axes.get_lines()] == ["C0"] * 3 + ["0.5"] * 2
    assert axes.get_lines()[3].get_linestyle() == ":"


def test_without_matplotlib_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError) as mistake:
        make_figure(6, 4)
    assert str(mistake.value) == (
        "figures need the module matplotlib, which is not installed: type pip install "
        '-e ".[train]".'
    )
