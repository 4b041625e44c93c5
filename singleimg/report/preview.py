"""The picture of a preview: a contact sheet, and where in its source each image was cut from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from singleimg.engines.raster.footprint import areas
from singleimg.report.grid import grid

_GAP, _LINE, _TEXT = 16, 20, 13  # pixels: between the two, of a line of text, of its letters
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
    shown = (max(1, round(width * scale)), max(1, round(height * scale)))
    marked = _marked(Image.fromarray(source).resize(shown, Image.Resampling.BOX), corners * scale)
    whole = Image.new(
        "RGB", (sheet.width + _GAP + marked.width, max(sheet.height, shown[1]) + _LINE), "white"
    )
    whole.paste(sheet, (0, 0))
    whole.paste(marked, (sheet.width + _GAP, 0))
    return whole


def contact_sheet(images: Sequence[np.ndarray], columns: int, size: int) -> Image.Image:
    """Images in rows of ``columns``, each ``size`` pixels wide."""
    patches = []
    for pixels in images:
        kind = Image.Resampling.BOX if len(pixels) > size else Image.Resampling.NEAREST
        patches.append(np.asarray(Image.fromarray(pixels).resize((size, size), kind)))
    return grid(patches, columns)


def _marked(source: Image.Image, corners: np.ndarray) -> Image.Image:
    """A picture with outlines over it, large ones first, and a line below that says their colours.

    corners: n×4×2 in its pixels.
    """
    known = corners[np.isfinite(corners).all((1, 2))]
    shares = areas(known) / (source.width * source.height)
    low, high = (shares.min(), shares.max()) if len(shares) else (1.0, 1.0)
    large = (source.width * _SMOOTH, source.height * _SMOOTH)
    lines = source.resize(large, Image.Resampling.BILINEAR).point(lambda level: level // 2)
    drawing = ImageDraw.Draw(lines)
    for place in np.argsort(-shares):
        outline = [tuple(point) for point in known[place] * _SMOOTH]
        drawing.line([*outline, *outline[:2]], _colour(shares[place], low, high), 2 * _SMOOTH)
    whole = Image.new("RGB", (source.width, source.height + _LINE), "white")
    whole.paste(lines.resize(source.size, Image.Resampling.BOX), (0, 0))
    _legend(whole, low, high, bool(len(shares)))
    return whole


def _legend(whole: Image.Image, low: float, high: float, known: bool) -> None:
    drawing, font = ImageDraw.Draw(whole), ImageFont.load_default(_TEXT)
    top = whole.height - _LINE + 3
    if not known:
        drawing.text((0, top), "where images lie is not known of these transforms", "black", font)
        return
    x = 0
    for text, bar in ((f"{low:.2g} ", True), (f" {high:.2g} of the picture", False)):
        share = text.replace(f"{low:.2g}", _percent(low)).replace(f"{high:.2g}", _percent(high))
        drawing.text((x, top), share, "black", font)
        x += round(drawing.textlength(share, font))
        for step in range(80 * bar):
            shade = _colour(low * (high / low) ** (step / 79), low, high)
            drawing.line([(x, top + 2), (x, top + _TEXT)], shade)
            x += 1


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def _colour(share: float, low: float, high: float) -> tuple[int, ...]:
    place = np.log(share / low) / np.log(high / low) if high > low else 0.5
    at = np.linspace(0, 1, len(_COLOURS))
    return tuple(int(np.interp(place, at, channel)) for channel in _COLOURS.T)
