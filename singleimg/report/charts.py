"""Lines over axes: curves of a training, accuracies by layer; pages/charts.html makes SVG of them.

All colours are classes of the page's style, so that a chart follows light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

COLOURS, DASHES, SHAPES = 8, 3, 4  # that the style has
_MOST = 2000  # points of a line
_MARKED = 40  # points of a line that have marks
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 34  # pixels around the axes


@dataclass(frozen=True)
class Series:
    """One line.

    x, y: of one length; where y is not finite, the line has a gap. errors: of each y half the
    length of its error bar; None: not known. runs: single values beside the line, (x, y). family:
    lines of one family share a colour, and differ in their dashes; "": the line's own.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    errors: Sequence[float | None] = ()
    runs: Sequence[tuple[float, float]] = ()
    family: str = ""


@dataclass
class Line:
    """A series as it is drawn: ``path`` and ``bars`` of SVG; ``points``: place and what is said of
    it; ``dots``: places. colour, dash, shape: numbers of the style's."""

    name: str
    path: str
    bars: str
    points: list[tuple[float, float, str]]
    dots: list[tuple[float, float]]
    colour: int
    dash: int
    shape: int


@dataclass
class Chart:
    """Lines over axes.

    caption: below it. label: what it shows, for who cannot see it. ticks: places on the axis and
    texts. height, width: of the drawing, pixels.
    """

    caption: str
    label: str
    width: int
    height: int
    lines: list[Line] = field(default_factory=list)
    across: list[tuple[float, str]] = field(default_factory=list)
    up: list[tuple[float, str]] = field(default_factory=list)
    left: int = _LEFT
    bottom: int = _BOTTOM


def curves(caption: str, series: Sequence[Series], what: str = "update") -> Chart:
    """Values over a whole training: all lines over the same axis of numbers (updates).

    Of a line of more than 2,000 points each one drawn is the mean of several, which the caption
    says.
    """
    longest = max(len(one.x) for one in series)
    if longest > _MOST:
        by = -(-longest // _MOST)
        caption = f"{caption} (each point the mean of {by})"
        series = [replace(one, x=_means(one.x, by), y=_means(one.y, by)) for one in series]
    last = [
        f"{one.name or caption} from {_n(one.y[0])} at {what} {_n(one.x[0])} to {_n(one.y[-1])} at "
        f"{what} {_n(one.x[-1])}"
        for one in series
    ]
    points = [x for one in series for x in one.x]
    low, high = min(points), max(points)
    ticks = [(x, f"{x:,.0f}") for x in _ticks(low, high, 4) if low <= x <= high]
    if len(ticks) < 2:
        ticks = [(x, f"{x:,.0f}") for x in dict.fromkeys((low, high))]
    label = f"Line chart: {caption}. {'; '.join(last)}."
    return _drawn(Chart(caption, label, 360, 200), series, (low, high), ticks)


def by_layer(caption: str, layers: Sequence[str], series: Sequence[Series], unit: str) -> Chart:
    """Values of each layer: ``x`` of the series are places in ``layers``, from 0."""
    said = [
        f"{one.name}: "
        + ", ".join(f"{layers[int(x)]} {_n(y)}" for x, y in zip(one.x, one.y, strict=True))
        for one in series
    ]
    label = f"Line chart: {caption}. {'; '.join(said)} ({unit})."
    apart = min(0.04, 0.5 / max(1, len(series)))  # else error bars would lie on each other
    shifted = []
    for place, one in enumerate(series):
        by = (place - (len(series) - 1) / 2) * apart
        runs = [(x + by, y) for x, y in one.runs]
        shifted.append(replace(one, x=[x + by for x in one.x], runs=runs))
    ticks = [(float(place), name) for place, name in enumerate(layers)]
    chart = Chart(f"{caption}, {unit}", label, 560, 340)
    return _drawn(chart, shifted, (-0.3, len(layers) - 0.7), ticks, layers)


def _drawn(
    chart: Chart,
    series: Sequence[Series],
    ends: tuple[float, float],
    ticks: Sequence[tuple[float, str]],
    names: Sequence[str] = (),
) -> Chart:
    """``chart`` with its axes and lines; ``ends``: of the horizontal axis."""
    low, high = _range(series)
    wide = chart.width - _LEFT - _RIGHT
    tall = chart.height - _TOP - _BOTTOM

    def across(x: float) -> float:
        return round(_LEFT + (x - ends[0]) / ((ends[1] - ends[0]) or 1) * wide, 1)

    def up(y: float) -> float:
        return round(_TOP + (high - y) / (high - low) * tall, 1)

    chart.across = [(across(x), text) for x, text in ticks]
    chart.up = [(up(y), _n(y)) for y in _ticks(low, high, 5) if low <= y <= high]
    families: dict[str, list[str]] = {}
    for one in series:
        families.setdefault(one.family or one.name, []).append(one.name)
    for place, one in enumerate(series):
        family = one.family or one.name
        errors = one.errors or [None] * len(one.y)
        path, bars, points, pen = [], [], [], "M"
        for x, y, error in zip(one.x, one.y, errors, strict=True):
            if not math.isfinite(y):
                pen = "M"
                continue
            path.append(f"{pen}{across(x)} {up(y)}")
            pen = "L"
            where = names[round(x)] if names else f"{x:,.0f}"
            spread = "" if error is None else f" ± {_n(error)}"
            points.append((across(x), up(y), f"{one.name} {where}: {_n(y)}{spread}".strip()))
            if error:
                top, foot, middle = up(y + error), up(y - error), across(x)
                bars.append(f"M{middle} {top}V{foot}M{middle - 4} {top}h8M{middle - 4} {foot}h8")
        chart.lines.append(Line(
            one.name, " ".join(path), " ".join(bars),
            points if len(points) <= _MARKED else [],
            [(across(x), up(y)) for x, y in one.runs],
            list(families).index(family) % COLOURS,
            families[family].index(one.name) % DASHES,
            place % SHAPES,
        ))  # fmt: skip
    return chart


def _range(series: Sequence[Series]) -> tuple[float, float]:
    """Of the vertical axis: from 0 where values come near it, else a little beyond all of them."""
    values: list[float] = []
    for one in series:
        values += [y for y in (*one.y, *(y for _, y in one.runs)) if math.isfinite(y)]
        pairs = zip(one.y, one.errors or [None] * len(one.y), strict=True)
        values += [y + sign * error for y, error in pairs if error for sign in (-1, 1)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    if 0 <= low <= high / 2:
        low = 0.0
    margin = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return (low if low == 0 else low - margin), high + margin


def _means(values: Sequence[float], by: int) -> list[float]:
    """Of each ``by`` values one after another."""
    return [fmean(values[start : start + by]) for start in range(0, len(values), by)]


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from about ``low`` to ``high``, at most about so many."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [place * step for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _n(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
