"""The page of a sweep: what was swept, and what it does to the same images, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from singleimg.report.page import render
from singleimg.system.figures import size

_PATCH = 96  # pixels, side of an image in a strip or a figure


@dataclass
class SweepRow:
    """One job: what was swept by its keys, what became of it, and some of its images.

    rate: images/s. fill: share of pixels that show nothing of the picture, 0 … 1. area: mean share
    of the picture that an image is cut from, 0 … 1. images: ``uint8`` H×W×3, of the same indices in
    all rows.
    """

    number: int
    swept: dict[str, str]
    status: str
    count: int | None = None
    bytes: int | None = None
    rate: float | None = None
    value: float | None = None
    fill: float | None = None
    area: float | None = None
    folder: str = ""
    error: str = ""
    images: Sequence[np.ndarray] = field(default_factory=list)

    def figures(self, made: bool) -> Iterator[tuple[str, float | str, str]]:
        """Names, values and texts of its cells; ``made``: of a job that makes images."""
        if not made:
            yield _cell("value", self.value, "{:,.4g}")
            return
        yield _cell("images", self.count, "{:,}")
        yield "size", self.bytes or "", "" if self.bytes is None else size(self.bytes)
        yield _cell("images/s", self.rate, "{:,.0f}")
        yield _cell("fill", self.fill, "{:.1%}")
        yield _cell("crop area", self.area, "{:.1%}")


def sweep_page(title: str, rows: Sequence[SweepRow]) -> str:
    """The whole page, one file of HTML without any other: light and dark, wide and narrow."""
    axes = axes_of(rows)
    cells, vertical, horizontal = _cells(rows, *axes) if axes else ({}, [], [])
    made = any(row.count is not None for row in rows)
    return render(
        "sweep.html",
        title=title,
        rows=rows,
        done=sum(row.status == "done" for row in rows),
        shown=max((len(row.images) for row in rows), default=0),
        axes=axes,
        cells=cells,
        vertical=vertical,
        horizontal=horizontal,
        keys=list(dict.fromkeys(key for row in rows for key in row.swept)),
        made=made,
        patch=_patch,
        strip=_strip,
        figures=[name for name, _, _ in SweepRow(0, {}, "").figures(made)],
    )


def axes_of(rows: Sequence[SweepRow]) -> tuple[str, str] | None:
    """The two keys that vary, of a sweep of two: rows by the first, columns by the second."""
    keys = list(dict.fromkeys(key for row in rows for key in row.swept))
    varied = [key for key in keys if len({row.swept.get(key) for row in rows}) > 1]
    if len(varied) != 2 or not any(len(row.images) for row in rows):
        return None
    return varied[0], varied[1]


def figure(rows: Sequence[SweepRow]) -> Image.Image | None:
    """A picture of a sweep of two keys: one image of each job, with the values beside and above."""
    axes = axes_of(rows)
    if axes is None:
        return None
    cells, vertical, horizontal = _cells(rows, *axes)
    left, top, gap = 90, 24, 4
    width = left + len(horizontal) * (_PATCH + gap)
    whole = Image.new("RGB", (width, top + len(vertical) * (_PATCH + gap)), "white")
    drawing = ImageDraw.Draw(whole)
    for column, value in enumerate(horizontal):
        place = (left + column * (_PATCH + gap) + _PATCH // 2, top // 2)
        drawing.text(place, f"{axes[1]}={value}", "black", anchor="mm")
    for line, value in enumerate(vertical):
        y = top + line * (_PATCH + gap)
        drawing.text((left - 8, y + _PATCH // 2), f"{axes[0]}={value}", "black", anchor="rm")
        for column, other in enumerate(horizontal):
            image = cells.get((value, other))
            if image is not None:
                whole.paste(_patch(image), (left + column * (_PATCH + gap), y))
    return whole


def _cells(
    rows: Sequence[SweepRow], first: str, second: str
) -> tuple[dict[tuple[str, str], np.ndarray], list[str], list[str]]:
    """The first image of each job by its values of two keys, and these values in order."""
    cells = {
        (row.swept.get(first, ""), row.swept.get(second, "")): row.images[0]
        for row in rows
        if len(row.images)
    }
    vertical = list(dict.fromkeys(row.swept.get(first, "") for row in rows))
    horizontal = list(dict.fromkeys(row.swept.get(second, "") for row in rows))
    return cells, vertical, horizontal


def _cell(name: str, value: float | None, form: str) -> tuple[str, float | str, str]:
    return (name, "", "–") if value is None else (name, value, form.format(value))


def _strip(images: Sequence[np.ndarray]) -> Image.Image:
    whole = Image.new("RGB", (len(images) * (_PATCH + 2) - 2, _PATCH), "white")
    for number, image in enumerate(images):
        whole.paste(_patch(image), (number * (_PATCH + 2), 0))
    return whole


def _patch(image: np.ndarray) -> Image.Image:
    kind = Image.Resampling.BOX if max(image.shape) > _PATCH else Image.Resampling.NEAREST
    return Image.fromarray(image).resize((_PATCH, _PATCH), kind)
