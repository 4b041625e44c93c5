"""A sweep's page: a row for each job, and for two keys a figure with each image in its place."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np

from singleimg.report.sweep import SweepRow, axes_of, figure, sweep_page


def plain(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((16, 16, 3), colour, np.uint8)


def rows() -> list[SweepRow]:
    """Two keys; of each job one image, whose colour tells which it is."""
    return [
        SweepRow(1 + 3 * i + j, {"deg": str(deg), "shear": str(shear)}, "done", count=5,
                 bytes=1000, rate=1234.5, fill=0.125, area=0.5, folder="a/<b>",
                 images=[plain((80 * i, 80 * j, 200))])
        for i, deg in enumerate((0, 30))
        for j, shear in enumerate((0, 10, 20))
    ]  # fmt: skip


class Balanced(HTMLParser):
    """Fails where a tag is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_each_job_has_its_row_with_its_figures():
    page = sweep_page("Sweep of deg, shear", rows())
    reader = Balanced()
    reader.feed(page)
    assert reader.open == []
    body = page.partition('<table class="jobs sortable">')[2]
    cells = re.findall(r'<td (?:class="number" )?data-name="([^"]*)"[^>]*>([^<]*)</td>', body)
    assert cells[8:16] == [
        ("job", "2"), ("deg", "0"), ("shear", "10"), ("images", "5"), ("size", "1 kB"),
        ("images/s", "1,234"), ("fill", "12.5%"), ("crop area", "50.0%"),
    ]  # fmt: skip
    assert page.count('<td class="strip"><img ') == 6 and "a/&lt;b&gt;" in page
    assert "http" not in page and 'src="data:' in page and "<script src" not in page  # asks nobody


def test_what_failed_says_why_and_what_was_typed_is_text():
    failed = SweepRow(7, {"imgpath": "<i>"}, "failed", error="<b>no</b>")
    page = sweep_page("t", [*rows(), failed])
    assert "&lt;b&gt;no&lt;/b&gt;" in page and "<b>" not in page and "<i>" not in page


def test_a_figure_has_rows_by_the_first_key_and_columns_by_the_second():
    picture = np.asarray(figure(rows()).convert("RGB"))
    assert picture.shape == (24 + 2 * 100, 90 + 3 * 100, 3)
    for i in range(2):
        for j in range(3):
            assert picture[24 + 100 * i + 50, 90 + 100 * j + 50].tolist() == [80 * i, 80 * j, 200]


def test_of_one_key_or_three_there_is_no_figure():
    assert axes_of(rows()) == ("deg", "shear")
    assert axes_of(rows()[:3]) is None and figure(rows()[:3]) is None
    more = [SweepRow(9, {"deg": "0", "shear": "0", "seed": "1"}, "done", images=[plain((0, 0, 0))])]
    assert axes_of([*rows(), *more]) is None


def test_tasks_without_images_have_values():
    page = sweep_page("t", [SweepRow(1, {"task.layer": "conv1"}, "done", value=0.51234)])
    assert 'data-name="value" data-value="0.51234">0.5123</td>' in page
    assert "crop area" not in page
