"""The page of a sweep: what was swept, and what it does to the same images, side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from PIL import Image, ImageDraw

_PATCH = 96  # pixels, side of an image in a strip or a figure
_STYLE = """
:root { color-scheme: light dark; --text: #1b1b1f; --dim: #5f6068; --line: #dcdce2;
  --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8ec; --dim: #a0a1aa; --line: #3a3b42; --bad: #f2877f; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--text); margin: 2rem auto;
  max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
p, .dim { color: var(--dim); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .35rem .7rem; text-align: left; vertical-align: middle; white-space: nowrap; }
tbody tr { border-top: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.strip img { display: block; height: 64px; image-rendering: auto; }
.failed { color: var(--bad); white-space: normal; }
.figure td { padding: 2px; } .figure th { color: var(--dim); font-weight: normal; }
.figure img { display: block; width: min(96px, 18vw); }
@media (max-width: 40rem) {
  table.jobs thead { display: none; }
  table.jobs tr { display: block; padding: .7rem 0; }
  table.jobs td { display: inline-block; padding: .1rem .9rem .1rem 0; text-align: left; }
  table.jobs td[data-name]::before { content: attr(data-name) " "; color: var(--dim); }
  table.jobs td.strip { display: block; } td.strip img { height: auto; max-width: 100%; }
}
"""


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
    size: str = ""
    rate: float | None = None
    value: float | None = None
    fill: float | None = None
    area: float | None = None
    folder: str = ""
    error: str = ""
    images: Sequence[np.ndarray] = field(default_factory=list)


def sweep_page(title: str, rows: Sequence[SweepRow]) -> str:
    """The whole page, one file of HTML without any other: light and dark, wide and narrow."""
    keys = list(dict.fromkeys(key for row in rows for key in row.swept))
    parts = [f"<h1>{escape(title)}</h1>", _summary(rows)]
    axes = axes_of(rows)
    if axes is not None:
        parts += [f"<h2>{escape(axes[0])} × {escape(axes[1])}</h2>", _figure(rows, *axes)]
    parts += ["<h2>Jobs</h2>", _jobs(rows, keys)]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
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


def _summary(rows: Sequence[SweepRow]) -> str:
    done = sum(row.status == "done" for row in rows)
    shown = max((len(row.images) for row in rows), default=0)
    same = f" Each strip shows images 0 … {shown - 1}." if shown > 1 else ""
    return f"<p>{len(rows)} jobs, {done} done.{same}</p>"


def _figure(rows: Sequence[SweepRow], first: str, second: str) -> str:
    cells, vertical, horizontal = _cells(rows, first, second)
    head = "".join(f"<th>{escape(second)}={escape(value)}</th>" for value in horizontal)
    lines = []
    for value in vertical:
        patches = [cells.get((value, other)) for other in horizontal]
        lines.append(
            f"<tr><th>{escape(first)}={escape(value)}</th>"
            + "".join(
                "<td></td>"
                if image is None
                else f'<td><img alt="image 0 of {escape(first)}={escape(value)}, '
                f'{escape(second)}={escape(other)}" src="{_source(_patch(image))}"></td>'
                for other, image in zip(horizontal, patches, strict=True)
            )
            + "</tr>"
        )
    return (
        f'<div class="wide"><table class="figure"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _jobs(rows: Sequence[SweepRow], keys: Sequence[str]) -> str:
    made = any(row.count is not None for row in rows)
    figures = ["images", "size", "images/s", "fill", "crop area"] if made else ["value"]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("job", *keys))
    head += "".join(f'<th class="number">{name}</th>' for name in figures) + "<th></th>"
    lines = []
    for row in rows:
        cells = [_cell("job", str(row.number))]
        cells += [_cell(key, row.swept.get(key, "")) for key in keys]
        if row.status != "done":
            error = escape(row.error or row.status)
            cells.append(f'<td class="failed" colspan="{len(figures) + 1}">{error}</td>')
            lines.append(f"<tr>{''.join(cells)}</tr>")
            continue
        values = [_number(row.value, "{:,.4g}")]
        if made:
            values = [
                _number(row.count, "{:,}"), row.size, _number(row.rate, "{:,.0f}"),
                _number(row.fill, "{:.1%}"), _number(row.area, "{:.1%}"),
            ]  # fmt: skip
        cells += [_cell(n, v, "number") for n, v in zip(figures, values, strict=True)]
        cells.append(_strip(row))
        lines.append(f'<tr title="{escape(row.folder)}">{"".join(cells)}</tr>')
    return (
        f'<div class="wide"><table class="jobs"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(name: str, value: str, kind: str = "") -> str:
    return f'<td class="{kind}" data-name="{escape(name)}">{escape(value)}</td>'


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _strip(row: SweepRow) -> str:
    if not len(row.images):
        return "<td></td>"
    patches = [_patch(image) for image in row.images]
    whole = Image.new("RGB", (len(patches) * (_PATCH + 2) - 2, _PATCH), "white")
    for number, patch in enumerate(patches):
        whole.paste(patch, (number * (_PATCH + 2), 0))
    what = escape(f"images of job {row.number}")
    return f'<td class="strip"><img alt="{what}" src="{_source(whole)}"></td>'


def _patch(image: np.ndarray) -> Image.Image:
    kind = Image.Resampling.BOX if max(image.shape) > _PATCH else Image.Resampling.NEAREST
    return Image.fromarray(image).resize((_PATCH, _PATCH), kind)


def _source(image: Image.Image) -> str:
    """The picture itself, within the page."""
    file = io.BytesIO()
    image.save(file, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
