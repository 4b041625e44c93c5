"""Numbers as plots: places in a drawing of 240 × 130, which pages/plots.html makes SVG of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from singleimg.report.histograms import Histogram

_WIDTH, _TOP, _FLOOR = 240, 10, 110
_UNITS = {"angle": "°", "shear": "°"}
_FEW = 8  # labels that stand below their bars


@dataclass
class Mark:
    """A text: place, and which end of it is there (SVG's ``text-anchor``)."""

    x: float
    text: str
    anchor: str = "middle"
    y: float = 124


@dataclass
class Bar:
    """One bar of a histogram, from its upper left corner; ``title``: told of it."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass
class Plot:
    """A histogram (``bars``, and ``expected`` as an SVG path) or a line (``path``).

    label: what it shows, for who cannot see it. caption: below it.
    """

    caption: str
    label: str
    bars: list[Bar] = field(default_factory=list)
    expected: str = ""
    path: str = ""
    marks: list[Mark] = field(default_factory=list)


def histogram_plot(one: Histogram) -> Plot:
    """Bars of shares, with the intended shares as a line where they are known."""
    shares = one.counts / max(1, one.counts.sum())
    most = max(shares.max(), 0 if one.expected is None else one.expected.max(), 1e-9)
    width, unit = _WIDTH / len(shares), _UNITS.get(one.parameter, "")
    heights = shares / most * (_FLOOR - _TOP)
    edges = _edges(one)
    gap = 0.15 * width if one.labels else 0.4
    spans = [f"{_n(low)} … {_n(high)}{unit}" for low, high in pairwise(edges)]
    bars = [
        Bar(
            round(place * width + gap, 2), round(_FLOOR - height, 2),
            round(width - 2 * gap, 2), round(height, 2), f"{span}: {share:.1%}",
        )
        for place, (span, share, height) in enumerate(
            zip(one.labels or spans, shares, heights, strict=True)
        )
    ]  # fmt: skip
    expected = ""
    if one.expected is not None:
        levels = _FLOOR - one.expected / most * (_FLOOR - _TOP)
        expected = " ".join(
            f"M{place * width:.1f} {level:.1f}H{(place + 1) * width:.1f}"
            for place, level in enumerate(levels)
        )
    if one.labels:
        marks = [Mark((place + 0.5) * width, text) for place, text in enumerate(one.labels[:_FEW])]
        said = ", ".join(
            f"{text} {share:.0%}" for text, share in zip(one.labels, shares, strict=True)
        )
    else:
        middle = edges[len(edges) // 2]
        marks = [Mark(0, f"{_n(one.low)}{unit}", "start"), Mark(_WIDTH / 2, f"{_n(middle)}{unit}"),
                 Mark(_WIDTH, f"{_n(one.high)}{unit}", "end")]  # fmt: skip
        said = f"from {_n(one.low)} to {_n(one.high)}{unit}" + (
            ", on a logarithmic scale" * one.log
        )
    caption = one.parameter + " (logarithmic)" * one.log
    return Plot(
        caption,
        f"Histogram of {one.transform} {one.parameter}: {said}",
        bars,
        expected,
        marks=marks,
    )


def line_plot(caption: str, x: Sequence[float], y: Sequence[float], ends: Sequence[str]) -> Plot:
    """A line through points whose x rises; ``ends``: texts below the first and the last of them."""
    across = (np.array(x) - x[0]) / max(x[-1] - x[0], 1e-9) * _WIDTH
    up = _FLOOR - np.array(y) / max(max(y), 1e-9) * (_FLOOR - _TOP)
    path = "M" + " L".join(f"{a:.1f} {b:.1f}" for a, b in zip(across, up, strict=True))
    marks = [Mark(0, ends[0], "start"), Mark(_WIDTH, ends[1], "end")]
    return Plot(caption, f"Line: {caption}, from {ends[0]} to {ends[1]}", path=path, marks=marks)


def _edges(one: Histogram) -> np.ndarray:
    bins = len(one.counts) + 1
    if one.log:
        return np.geomspace(one.low, one.high, bins)
    return np.linspace(one.low, one.high, bins)


def _n(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
