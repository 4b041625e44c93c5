"""Source images that are made, not loaded: free of rights, the same on every machine.

``dead_leaves`` uses integer arithmetic and Pillow's drawing only, so that its pixels, and with them
every fingerprint that rests on it, are constants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import shake_256
from math import isqrt

import numpy as np
from PIL import Image, ImageDraw

# Of the 2560×1920 image of seed 0: SHA-256 of b"2560x1920\n" and its RGB bytes.
DEAD_LEAVES_SHA256 = "17ddb75d23d2ea74e8a509550ece75c8dee531bcf493718956387189c4bb09b3"

_SMALLEST, _LARGEST = 13, 1000  # radii of shapes, pixels at twice the size
_TEXTURED = 36  # from this radius on, a shape carries a texture that can be seen
_SHAPES = 20000
# Hues of leaves, soil, sky, berries, stone and paper; each shape varies one of them.
_PALETTE = (
    (36, 58, 38), (74, 104, 52), (128, 148, 70), (196, 178, 84), (178, 112, 44), (150, 62, 38),
    (96, 40, 36), (62, 44, 40), (120, 92, 70), (186, 160, 128), (226, 214, 190), (92, 130, 160),
    (46, 78, 116), (26, 34, 52), (148, 158, 164), (204, 92, 88), (112, 78, 128), (238, 232, 220),
)  # fmt: skip


def _integers(seed: int) -> Iterator[int]:
    """Endless random 32-bit integers from SHAKE-256."""
    block = 0
    while True:
        data = shake_256(f"dead leaves {seed} {block}".encode()).digest(4096)
        for at in range(0, len(data), 4):
            yield int.from_bytes(data[at : at + 4], "little")
        block += 1


def dead_leaves(size: tuple[int, int] = (2560, 1920), seed: int = 0) -> Image.Image:
    """Occluding discs and polygons of every size, 8-bit RGB of ``size`` (width, height).

    The dead-leaves model of natural images: radii follow 1/r³, each shape hides what lies below.
    Drawn at twice the size and halved, so that edges are as soft as a lens makes them.
    """
    draws = _integers(seed)
    pick: Callable[[int], int] = lambda n: next(draws) * n >> 32  # noqa: E731
    width, height = 2 * size[0], 2 * size[1]
    canvas = Image.new("RGB", (width, height), _PALETTE[0])
    pen = ImageDraw.Draw(canvas)
    tiles = [_tile(kind, pick) for kind in range(12)]
    for _ in range(_SHAPES):
        radius, centre = _radius(pick), (pick(width), pick(height))
        outline = _outline(radius, pick)
        colour = _colour(pick)
        if radius < _TEXTURED:
            _draw(pen, outline, centre, radius, colour)
        else:
            leaf = _leaf(tiles[pick(len(tiles))], colour, _colour(pick), radius, pick)
            mask = Image.new("1", leaf.size)
            _draw(ImageDraw.Draw(mask), outline, (radius, radius), radius, 1)
            canvas.paste(leaf, (centre[0] - radius, centre[1] - radius), mask)
    return canvas.reduce(2)


def _radius(pick: Callable[[int], int]) -> int:
    """Density 1/r³ between the smallest and the largest: r² = smallest² / uniform."""
    units = 1 << 24
    least = units * _SMALLEST**2 // _LARGEST**2
    return isqrt(_SMALLEST**2 * units // (least + pick(units - least)))


def _colour(pick: Callable[[int], int]) -> tuple[int, ...]:
    base, light = _PALETTE[pick(len(_PALETTE))], 70 + pick(61)
    return tuple(min(255, max(0, c * light // 100 + pick(25) - 12)) for c in base)


# Sixteen directions in units of 1/1024, so that no sine is computed.
_QUARTER = ((1024, 0), (946, 392), (724, 724), (392, 946))
_DIRECTIONS = [
    turned
    for x, y in _QUARTER
    for turned in ((x, y),)
] + [(-y, x) for x, y in _QUARTER] + [(-x, -y) for x, y in _QUARTER] + [
    (y, -x) for x, y in _QUARTER
]  # fmt: skip


def _outline(radius: int, pick: Callable[[int], int]) -> list[tuple[int, int]] | None:
    """Corners of a polygon about (0, 0), or None for a disc."""
    if pick(5) < 2:
        return None
    corners = 3 + pick(6)
    start = pick(16)
    places = sorted({start + 16 * k // corners for k in range(corners)})
    reach = [radius * (60 + pick(41)) // 100 for _ in places]
    return [
        (_DIRECTIONS[place % 16][0] * r // 1024, _DIRECTIONS[place % 16][1] * r // 1024)
        for place, r in zip(places, reach, strict=True)
    ]


def _draw(
    pen: ImageDraw.ImageDraw,
    outline: list[tuple[int, int]] | None,
    centre: tuple[int, int],
    radius: int,
    fill: int | tuple[int, ...],
) -> None:
    x, y = centre
    if outline is None:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill)
    else:
        pen.polygon([(x + dx, y + dy) for dx, dy in outline], fill)


def _tile(kind: int, pick: Callable[[int], int]) -> Image.Image:
    """512×512 levels that mix two colours: stripes, dots, checks, gradients, veins or grain."""
    tile = Image.new("L", (512, 512), 30 + pick(40))
    pen = ImageDraw.Draw(tile)
    step, level = 8 << pick(3), 150 + pick(80)
    if kind % 6 == 0:  # stripes
        slope = pick(1024) - 512
        for x in range(-1024, 1536, step):
            pen.line((x, 0, x + slope, 512), level, step // 3)
    elif kind % 6 == 1:  # dots
        for x in range(0, 512, step):
            for y in range(x // step % 2 * step // 2, 512, step):
                pen.ellipse((x, y, x + step // 2, y + step // 2), level)
    elif kind % 6 == 2:  # checks
        for x in range(0, 512, step):
            for y in range(x // step % 2 * step, 512, 2 * step):
                pen.rectangle((x, y, x + step - 1, y + step - 1), level)
    elif kind % 6 == 3:  # a gradient
        for x in range(512):
            pen.line((x, 0, x, 511), x // 2)
        tile = tile.transpose(Image.Transpose(pick(7)))
    elif kind % 6 == 4:  # veins
        for _ in range(90):
            x, y = pick(512), pick(512)
            for _ in range(6):
                to = (x + pick(81) - 40, y + pick(81) - 40)
                pen.line((x, y, *to), 60 + pick(180), 1 + pick(4))
                x, y = to
    else:  # grain
        for _ in range(6000):
            x, y, r = pick(512), pick(512), 1 + pick(4)
            pen.ellipse((x, y, x + r, y + r), pick(256))
    return tile


def _leaf(
    tile: Image.Image,
    first: tuple[int, ...],
    second: tuple[int, ...],
    radius: int,
    pick: Callable[[int], int],
) -> Image.Image:
    """A square of side 2·radius + 1 in two colours, mixed by the texture."""
    side = 2 * radius + 1
    x, y = pick(256), pick(256)
    while tile.width < side + 256:  # large shapes repeat the tile, mirrored
        wide = Image.new("L", (2 * tile.width, 2 * tile.height))
        across = tile.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for place, part in (((0, 0), tile), ((tile.width, 0), across)):
            wide.paste(part, place)
            wide.paste(part.transpose(Image.Transpose.FLIP_TOP_BOTTOM), (place[0], tile.height))
        tile = wide
    levels = tile.crop((x, y, x + side, y + side))
    leaf = Image.new("RGB", (side, side), first)
    leaf.paste(second, (0, 0), levels)
    return leaf


def noise(size: tuple[int, int] = (2560, 1920), exponent: float = 1.0, seed: int = 0) -> np.ndarray:
    """Colour noise whose amplitude falls as 1/f^exponent: 0 is white, 1 is like natural images.

    ``uint8`` H×W×3 of ``size`` (width, height); each channel has mean 128 and deviation 50.
    """
    width, height = size
    generator = np.random.Generator(np.random.PCG64(seed))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1.0
    channels = []
    for _ in range(3):
        spectrum = np.fft.rfft2(generator.standard_normal((height, width)))
        spectrum *= frequency**-exponent
        spectrum[0, 0] = 0.0
        values = np.fft.irfft2(spectrum, s=(height, width))
        channels.append(128 + 50 * values / max(values.std(), 1e-12))
    return np.clip(np.rint(np.stack(channels, -1)), 0, 255).astype(np.uint8)
