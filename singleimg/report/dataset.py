"""The page of a dataset: what it is, what was drawn for it, what came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from singleimg.report.page import render
from singleimg.report.plots import Plot
from singleimg.report.preview import colours

_LEAST = 256  # pixels that a map is wide, about


@dataclass
class DatasetPage:
    """What stands on it, ready to be shown; a picture that is None is left out.

    facts: names and values. recipe: sentences. replay, load: a command, and a line of Python.
    histograms: of each transform its plots, of the first ``drawn`` images. versions: names and
    values. notes: what was not to be had.
    """

    title: str
    lead: str
    recipe: Sequence[str]
    replay: str
    load: str
    sheet: Image.Image
    sheet_text: str
    bytes: Plot
    alike: Plot
    facts: list[tuple[str, str]] = field(default_factory=list)
    source: Image.Image | None = None
    source_text: str = ""
    heat: Image.Image | None = None
    heat_text: str = ""
    drawn: str = ""
    histograms: list[tuple[str, list[Plot]]] = field(default_factory=list)
    speed: Plot | None = None
    closest: Image.Image | None = None
    closest_text: str = ""
    versions: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def html(self) -> str:
        """The whole page, one file."""
        return render("dataset.html", title=self.title, page=self)


def heat_picture(counts: np.ndarray) -> Image.Image:
    """A map of counts (int64 h×w) in colours: the more, the brighter."""
    shares = counts / max(1, counts.max())
    scale = max(1, _LEAST // counts.shape[1])
    return Image.fromarray(colours(shares.repeat(scale, 0).repeat(scale, 1)))


def pairs_picture(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Image.Image:
    """Pairs of images (``uint8`` H×W×3, all of one size), one above the other."""
    height, width = pairs[0][0].shape[:2]
    whole = Image.new("RGB", (len(pairs) * (width + 8) - 8, 2 * height + 2), "white")
    for place, pair in enumerate(pairs):
        for row, pixels in enumerate(pair):
            whole.paste(Image.fromarray(pixels), (place * (width + 8), row * (height + 2)))
    return whole
