"""Charts: each number in its place, every line told from the others, and said in words."""

from __future__ import annotations

import re

import pytest

from singleimg.report.charts import Series, by_layer, curves
from singleimg.report.page import render
from singleimg.report.results import ResultsPage, Section

STEPS = [10, 20, 30, 40]


def numbers(path: str) -> list[tuple[float, float]]:
    """The points of an SVG path of absolute moves and lines."""
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path)]


def test_a_curve_has_a_point_for_each_value_in_its_place():
    chart = curves("loss", [Series("a", STEPS, [4, 3, 2, 0])])
    points = numbers(chart.lines[0].path)
    assert len(points) == 4
    across, up = zip(*points, strict=True)
    assert across[1] - across[0] == pytest.approx(across[3] - across[2], abs=0.2)
    assert up[1] - up[0] == pytest.approx((up[3] - up[2]) / 2, abs=0.2)  # smaller is lower
    ticks = {text: y for y, text in chart.up}
    assert ticks["0"] == up[3] and ticks["4"] == up[0]
    assert [text for _, text in chart.across] == ["10", "20", "30", "40"]
    assert dict((text, x) for x, text in chart.across)["20"] == across[1]
    assert [text for _, _, text in chart.lines[0].points] == [
        "a 10: 4", "a 20: 3", "a 30: 2", "a 40: 0",
    ]  # fmt: skip


def test_it_is_said_in_words_who_cannot_see_it():
    assert curves("loss", [Series("a", STEPS, [4, 3, 2, 0.51234])]).label == (
        "Line chart: loss. a from 4 at update 10 to 0.5123 at update 40."
    )
    lines = [Series("one", [0, 1], [50.25, 60]), Series("two", [1], [70])]
    assert by_layer("accuracy", ["conv1", "conv2"], lines, "%").label == (
        "Line chart: accuracy. one: conv1 50.25, conv2 60; two: conv2 70 (%)."
    )


def test_what_is_no_number_is_a_gap():
    line = curves("loss", [Series("a", STEPS, [1, float("nan"), 2, 3])]).lines[0]
    assert re.findall("[ML]", line.path) == ["M", "M", "L"]


@pytest.mark.parametrize("values", [[5], [0], [-3]])
def test_one_value_alone_has_its_place_too(values):
    chart = curves("loss", [Series("a", [1], values)])
    ((x, y),) = numbers(chart.lines[0].path)
    assert 0 <= x <= chart.width and 0 <= y <= chart.height
    assert [text for _, text in chart.across] == ["1"] and chart.lines[0].points


def test_long_curves_are_means_and_say_so():
    steps = list(range(1, 4502))
    chart = curves("loss", [Series("a", steps, [3.0 * (k % 3 == 0) for k in steps])])
    assert chart.caption == "loss (each point the mean of 3)"
    points = numbers(chart.lines[0].path)
    assert len(points) == 1501
    assert {y for _, y in points[:-1]} == {points[0][1]}  # of 0, 0 and 3
    assert " from 1 at update 2 to " in chart.label
    assert len(numbers(curves("l", [Series("", steps[:2000], steps[:2000])]).lines[0].path)) == 2000


def test_an_error_bar_reaches_as_far_as_the_error_up_and_down():
    lines = [Series("a", [0, 1], [40, 50], [5, None], [(0, 37), (0, 43)])]
    chart = by_layer("accuracy", ["conv1", "conv2"], lines, "%")
    (line,) = chart.lines
    (point, _) = numbers(line.path)
    top, foot = map(float, re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", line.bars)[0])
    scale = point[1] - numbers(line.path)[1][1]  # 10 points
    assert point[1] - top == pytest.approx(scale / 2, abs=0.2)
    assert foot - point[1] == pytest.approx(scale / 2, abs=0.2)
    assert line.bars.count("V") == 1 and len(line.dots) == 2
    assert line.points[0][2] == "a conv1: 40 ± 5" and line.points[1][2] == "a conv2: 50"


def test_lines_of_a_family_share_a_colour_and_differ_in_their_dashes():
    names = [("r", ""), ("A, one", "A"), ("A, full", "A"), ("B", "B")]
    chart = by_layer("x", ["conv1"], [Series(n, [0], [1], family=f) for n, f in names], "%")
    looks = [(line.colour, line.dash) for line in chart.lines]
    assert looks == [(0, 0), (1, 0), (1, 1), (2, 0)]
    across = [line.points[0][0] for line in chart.lines]
    assert across == sorted(set(across))  # side by side, so that no error bar hides another


def test_many_lines_can_be_told_apart():
    chart = by_layer("x", ["conv1"], [Series(f"row {k}", [0], [k]) for k in range(8)], "%")
    assert len({(line.colour, line.dash, line.shape) for line in chart.lines}) == 8


def test_names_are_text_in_the_drawing_too():
    bad = "<script>alert(1)</script>"
    chart = curves(bad, [Series(bad, [1, 2], [3, 4]), Series("b", [1, 2], [3, 4])])
    page = ResultsPage(bad, bad, [(bad, bad)], [Section(bad, charts=[chart], items=[bad])])
    assert bad not in page.html() and "&lt;script&gt;alert(1)" in page.html()
    assert "<script>" not in render("charts.html")
