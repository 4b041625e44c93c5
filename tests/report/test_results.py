"""The page of results: what it is given, in its order, in a form that a browser can sort."""

from __future__ import annotations

import re

from PIL import Image

from singleimg.report.charts import Series, by_layer, curves
from singleimg.report.results import Cell, Picture, ResultsPage, Section, Table, two_columns
from tests.browser import opened
from tests.report.test_sweep import Balanced

ROWS = [
    [Cell("a"), Cell("9.5 ± 1.0", 9.5)],
    [Cell("b"), Cell("10.0", 10.0)],
    [Cell("c"), Cell("–")],
    [Cell("d")],
]
PAGE = ResultsPage(
    "Title",
    "Lead.",
    [("rows", "4")],
    [
        Section("Empty"),
        Section("Tables", tables=[Table(("row", "accuracy"), ROWS, "In numbers")]),
        Section(
            "Figures",
            charts=[
                curves("loss", [Series("", [1, 2], [3, 4])]),
                by_layer("accuracy", ["conv1"], [Series(k, [0], [1]) for k in "ab"], "%"),
            ],
            pictures=[Picture(Image.new("RGB", (48, 48), "red"), "a red square", "Red.")],
        ),
        Section("Parts", parts=[Section("Part", said=["A sentence."], commands=["run.py a=b"])]),
    ],
)  # fmt: skip


def test_sections_stand_in_their_order_and_those_without_content_are_left_out():
    html = PAGE.html()
    assert re.findall(r"<h[123]>(.*?)</h", html) == ["Title", "Tables", "Figures", "Parts", "Part"]
    reader = Balanced()
    reader.feed(html)
    assert reader.open == []
    assert html == PAGE.html()
    assert "http" not in html  # it names no place to ask


def test_every_figure_says_what_it_shows():
    html = PAGE.html()
    labels = re.findall(r'role="img" aria-label="([^"]+)"', html)
    assert [label.partition(". ")[0] for label in labels] == [
        "Line chart: loss", "Line chart: accuracy",
    ]  # fmt: skip
    assert 'alt="a red square"' in html and "<figcaption>Red.</figcaption>" in html
    assert '<ul class="legend">' in html  # of the two lines; one line alone needs none
    assert html.count('<ul class="legend">') == 1


def test_a_column_of_numbers_is_told_from_one_of_texts():
    table = Table(("row", "accuracy"), ROWS)
    assert not table.is_number(0) and table.is_number(1)
    html = PAGE.html()
    assert '<td class="number" data-value="9.5">9.5 ± 1.0</td>' in html
    assert '<td class="number" data-value="">–</td>' in html
    assert two_columns(("key", "value"), [("a", "1")]).rows == [[Cell("a"), Cell("1")]]


def test_a_column_of_long_texts_is_broken_into_lines():
    table = Table(("a", "b"), [[Cell("short"), Cell("a text of many words")], [Cell("short")]])
    assert not table.is_long(0) and table.is_long(1)
    html = ResultsPage("t", "l", sections=[Section("s", tables=[table])]).html()
    assert '<td>short</td><td class="text">a text of many words</td>' in html


def test_a_browser_sorts_by_the_numbers(tmp_path):
    file = tmp_path / "page.html"
    file.write_text(PAGE.html())
    with opened(file) as page:
        page.locator("th.number button").click()
        page.locator("th.number button").click()
        names = page.locator("table.sortable tbody tr td:first-child").all_inner_texts()
        assert names[:2] == ["b", "a"]
