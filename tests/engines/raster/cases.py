"""Cases for cases.c, recorded from pipelines or made at random, and their hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from singleimg.drawing.draws import Draws
from singleimg.drawing.pipeline import Pipeline
from singleimg.engines.raster.call import STEP, Do
from singleimg.engines.raster.program import Programmer

PRIME = 1099511628211
NO_TAPS = np.empty(0, np.int16)


@dataclass
class Levels:
    """The levels of a picture; ``sizes``: other heights and widths than theirs are told."""

    pixels: Sequence[np.ndarray]
    sizes: Sequence[tuple[int, int]] = ()

    def written(self) -> Iterator[bytes]:
        yield np.int32(len(self.pixels)).tobytes()
        sizes = self.sizes or [level.shape[:2] for level in self.pixels]
        for size, level in zip(sizes, self.pixels, strict=True):
            yield np.array(size, np.int32).tobytes() + np.int64(level.size).tobytes()
            yield level.tobytes()


@dataclass
class Case:
    """``picture``: its place in the file."""

    picture: int
    steps: np.ndarray
    taps: np.ndarray = field(default_factory=lambda: NO_TAPS)

    def written(self) -> bytes:
        head = np.array([self.picture, len(self.steps)], np.int32).tobytes()
        taps = np.int64(len(self.taps)).tobytes()
        return head + taps + self.steps.tobytes() + self.taps.tobytes()


def write(file: Path, pictures: Sequence[Levels], cases: Sequence[Case]) -> Path:
    with open(file, "wb") as stream:
        stream.write(np.int32(len(pictures)).tobytes())
        for picture in pictures:
            stream.writelines(picture.written())
        stream.write(np.int32(len(cases)).tobytes())
        stream.writelines(case.written() for case in cases)
    return file


def line_of(pixels: np.ndarray) -> str:
    """What cases.c prints for an image."""
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(pixels.size, PRIME, np.uint64))[::-1]
        digest = ((pixels.ravel().astype(np.uint64) + np.uint64(1)) * powers).sum()
    return f"{pixels.shape[0]} {pixels.shape[1]} {int(digest):016x}"


def recorded(pipeline: Pipeline, draws: Draws, picture: int) -> list[Case]:
    """The images of some draws from a picture, by its place."""
    program = Programmer(pipeline.steps).program(draws)
    rows = zip(program.steps, program.taps, strict=True)
    return [Case(picture, steps, taps) for steps, taps in rows]


# --- at random ---

SHAPES = ((300, 200), (1, 1), (1, 4000), (4000, 1), (8, 8), (2, 3), (97, 61), (23, 90), (40, 1000))
WRONG = 0.25  # so many cases have a number that may make no sense
NUMBERS = (
    -1.0,
    0.0,
    0.009,
    0.5,
    1.0,
    3.0,
    1e5,
    2.0**24,
    1e9,
    -1e30,
    1e308,
    np.inf,
    -np.inf,
    np.nan,
)
WHOLE = (-(2**31), -(2**30), -16385, -2, -1, 0, 1, 2, 3, 64, 257, 2**24 + 1, 2**30, 2**31 - 1)
MOST_TAPS = 64


def senseless_pictures(pixels: np.ndarray) -> list[Levels]:
    """Sizes that are none, or that need more than there is; levels of other pictures."""
    height, width = pixels.shape[:2]
    sizes = [(0, width), (height, -1), (height + 1, width), (2**31 - 1, 2**31 - 1), (-1, -1)]
    pictures = [Levels([pixels], [size]) for size in sizes]
    return [*pictures, Levels([]), Levels([pixels, pixels[:1, :1], pixels[:30, :50], pixels])]


def random_cases(rng: np.random.Generator, shapes: Sequence[tuple[int, int]], n: int) -> list[Case]:
    """``shapes``: heights and widths of the pictures in the file, as far as they make sense."""
    cases = []
    for _ in range(n):
        place, count = int(rng.integers(len(shapes))), int(rng.choice([1, 1, 1, 2, 3, 5]))
        size = shapes[place]
        steps = np.zeros(count, STEP)
        for step in steps:
            size = _random_step(rng, step, size)
        if rng.random() < WRONG:
            kind = rng.choice(["operation", "whole", "real"], p=[0.1, 0.5, 0.4])
            values = NUMBERS if kind == "real" else WHOLE
            broken = steps[rng.integers(count)]
            if kind == "operation":
                broken[kind] = rng.choice(values)
            else:
                broken[kind][rng.integers(4 if kind == "whole" else 10)] = rng.choice(values)
        taps = rng.integers(-300, 300, MOST_TAPS).astype(np.int16)
        cases.append(Case(place, steps, taps))
    return cases


def large_cases(place: int, side: int = 4096) -> list[Case]:
    """Of a picture of 300×200 pixels, by each step that makes pictures larger."""
    made = []
    for do in (Do.CANVAS, Do.ROTATED, Do.RESIZE, Do.CROP):
        steps = np.zeros(1, STEP)
        steps["operation"] = do
        if do == Do.CANVAS:
            steps["whole"][0, :4] = side, int(side * 2**0.5), 1, 2
            steps["real"][0] = 7, 9, 150, 200, 0.8, 0.6, 30.5, -0.6, 0.8, 2000.25
        elif do == Do.ROTATED:
            steps["whole"][0, 0] = side
            steps["real"][0, :6] = 150, 180, 3.5, -20.25, 0.8, 0.6
        elif do == Do.RESIZE:
            steps["whole"][0, :3] = side, side, 2
            steps["real"][0, :4] = 0, 0, 200, 300
        else:
            steps["whole"][0, :4] = -1000, -7, side, side
        made.append(Case(place, steps))
    return made


def _random_step(
    rng: np.random.Generator, step: np.ndarray, size: tuple[int, int]
) -> tuple[int, int]:
    """Fills in a step that a picture of ``size`` allows, and says what comes out."""
    height, width = size
    step["operation"] = do = Do(rng.integers(len(Do) - 1))
    side = int(rng.integers(1, 41))
    w, h = rng.integers(1, (width + 1, height + 1))
    left, top = rng.integers(0, (width - w + 1, height - h + 1))
    box, turn, kind = (left, top, w, h), rng.uniform(-np.pi, np.pi), rng.integers(3)
    c, s = np.cos(turn), np.sin(turn)
    if do == Do.CANVAS:
        canvas, slope = int(side * 2**0.5), np.tan(rng.uniform(-1.4, 1.4)) * rng.integers(2)
        step["whole"][:4] = side, canvas, kind, rng.integers(3)
        shift, xx, xy = (side - canvas) / 2, c - s * slope, c * slope + s
        x, y = (xx + xy) * -shift + canvas / 2, (c - s) * -shift + canvas / 2
        step["real"] = *box, xx, xy, x, -s, c, y
        return side, side
    if do == Do.ROTATED:
        step["whole"][0] = side
        step["real"][:6] = *(np.array([w, h]) * rng.uniform(0.1, 1.2)), left / 2, -top / 2, c, s
        return side, side
    if do == Do.RESIZE:
        rows, columns = side, int(rng.integers(1, 90))
        step["whole"][:3] = rows, columns, kind
        step["real"][:4] = box
        return rows, columns
    if do == Do.CROP:
        wider = rng.integers(0, 9, 4) * (rng.random() < 0.2)
        part = top - wider[0], left - wider[1], h + wider[2], w + wider[3]
        step["whole"][:4] = part
        return int(part[2]), int(part[3])
    if do == Do.BLUR:
        across, down = 2 * rng.integers(0, 15, 2) + 1
        step["whole"][:4] = rng.integers(0, MOST_TAPS - across), across, 5, down
    if do == Do.COLOUR:
        step["whole"][0] = operation = rng.integers(9)
        factor = int(rng.integers(-32768, 32768)) << int(rng.integers(10))
        step["whole"][1] = factor if operation < 4 else rng.integers(256)
    return size
