"""The picture of a preview: a contact sheet, and where in its source each image was cut from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from singleimg.engines.raster.footprint import areas
from singleimg.report.grid import grid

_GAP, _LINE, _TEXT = 16, 20, 13  # pixels: between the two, of a line of text, of its letters
_BAR, _LEGEND = 80, 320  # pixels: of the bar of colours, and of all that stands in that line
_SMOOTH = 2  # times as large lines are drawn, then made smaller
_WIDEST = 1.6  # of the source, in sides of the sheet
# From small to large, after matplotlib's viridis without its darkest part: eyes of every kind tell
# these apart, and all of them stand out from what is dark.
_COLOURS = np.array([(96, 134, 232), (38, 170, 165), (94, 201, 98), (253, 231, 37)])


def preview_picture(
    images: Sequence[np.ndarray],
    source: np.ndarray,
    corners: np.ndarray,
    *,
    columns: int,
    size: int,
) -> Image.Image:
    """A contact sheet of ``images`` (``uint8`` H×W×3), and beside it ``source`` with their places.

    corners: n×4×2 in pixels of the source (``footprints``), NaN where not known; each is outlined
    in a colour that says how large a share of the source it is, on a logarithmic scale. size: side
    of an image in the sheet, pixels.
    """
    sheet = contact_sheet(images, columns, size)
    height, width = source.shape[:2]
    scale = min(sheet.height / height, _WIDEST * sheet.width / width)
    marked = marked_source(source, corners, scale)
    whole = Image.new(
        "RGB",
        (sheet.width + _GAP + marked.width, max(sheet.height + _LINE, marked.height)),
        "white",
    )
    whole.paste(sheet, (0, 0))
    whole.paste(marked, (sheet.width + _GAP, 0))
    return whole


def contact_sheet(images: Sequence[np.ndarray], columns: int, size: int) -> Image.Image:
    """Images in rows of ``columns``, each ``size`` pixels wide."""
    return grid([resized(pixels, size) for pixels in images], columns)


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """An image (``uint8`` H×W×3) as a square of so many pixels a side."""
    kind = Image.Resampling.BOX if len(pixels) > size else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(pixels).resize((size, size), kind))


def marked_source(pixels: np.ndarray, corners: np.ndarray, scale: float) -> Image.Image:
    """A picture (``uint8`` H×W×3), ``scale`` times as large, with outlines over it, large ones
    first, and a line below that says their colours.

    corners: n×4×2 in its pixels.
    """
    height, width = pixels.shape[:2]
    shown = (max(1, round(width * scale)), max(1, round(height * scale)))
    source, corners = Image.fromarray(pixels).resize(shown, Image.Resampling.BOX), corners * scale
    known = corners[np.isfinite(corners).all((1, 2))]
    shares = areas(known) / (source.width * source.height)
    low, high = (shares.min(), shares.max()) if len(shares) else (1.0, 1.0)
    large = (source.width * _SMOOTH, source.height * _SMOOTH)
    lines = source.resize(large, Image.Resampling.BILINEAR).point(lambda level: level // 2)
    drawing = ImageDraw.Draw(lines)
    for place in np.argsort(-shares):
        outline = [tuple(point) for point in known[place] * _SMOOTH]
        drawing.line([*outline, *outline[:2]], _colour(shares[place], low, high), 2 * _SMOOTH)
    width = max(source.width, _LEGEND)
    whole = Image.new("RGB", (width, source.height + _LINE), "white")
    whole.paste(lines.resize(source.size, Image.Resampling.BOX), (0, 0))
    _legend(whole, low, high, bool(len(shares)))
    return whole


def _legend(whole: Image.Image, low: float, high: float, known: bool) -> None:
    drawing, font = ImageDraw.Draw(whole), ImageFont.load_default(_TEXT)
    top = whole.height - _LINE + 3
    if not known:
        text = "these transforms do not tell where an image lies"
        drawing.text((0, top), text, "black", font)
        return
    text = f"{_percent(low)} "
    drawing.text((0, top), text, "black", font)
    x = round(drawing.textlength(text, font))
    for step in range(_BAR):
        shade = _colour(low * (high / low) ** (step / (_BAR - 1)), low, high)
        drawing.line([(x + step, top + 2), (x + step, top + _TEXT)], shade)
    drawing.text((x + _BAR, top), f" {_percent(high)} of the picture", "black", font)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def colours(values: np.ndarray) -> np.ndarray:
    """``values`` of 0 … 1 as colours, ``uint8`` of one axis more."""
    at = np.linspace(0, 1, len(_COLOURS))
    return np.stack([np.interp(values, at, channel) for channel in _COLOURS.T], -1).astype(np.uint8)


def _colour(share: float, low: float, high: float) -> tuple[int, ...]:
    place = np.log(share / low) / np.log(high / low) if high > 1.001 * low else 0.5
    return tuple(colours(np.array(place)).tolist())
