"""Images of every kernel that this processor has beside those of the oracle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest

from singleimg.drawing.draws import Draws
from singleimg.drawing.pipeline import Pipeline
from singleimg.engines import picture
from singleimg.engines.native import NativeEngine, NativeRenderer
from singleimg.engines.raster.library import KERNELS, VARIABLE, load
from singleimg.errors import UserError
from singleimg.transforms import geometry
from tests.engines.raster.oracle.image import render
from tests.engines.raster.oracle.resampling import Picture

TRIES = 40  # of a box that fits; many more take long, and end in no box where it is a strip


@contextmanager
def forced(kernel: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, kernel)
        yield


@cache
def usable() -> tuple[str, ...]:
    """Names of the kernels."""
    return tuple(name for name in KERNELS if load().functions.raster_kernels(name.encode()))


def renderers(pipeline: Pipeline) -> dict[str, NativeRenderer]:
    """By kernel. No step may be left to torchvision or Pillow."""
    made = {}
    for kernel in usable():
        with forced(kernel):
            made[kernel] = NativeEngine().renderer(pipeline)
        assert made[kernel].slow == {} and made[kernel]._raster.kernel == kernel
    return made


def spoil(renderer: NativeRenderer, byte: int) -> None:
    """Fills the workspace, so that an image that reads what it did not write is another."""
    renderer._raster._own.work[:] = byte


class Source:
    """A picture for the engine and for the oracle."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.native, self.oracle = picture.Picture(pixels), Picture.of_source(pixels)

    def draws(self, pipeline: Pipeline, indices: Sequence[int], seed: int = 0) -> Draws | None:
        """None where the source is too small for the settings, or nearly."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(geometry, "_TRIES", TRIES)
            try:
                return pipeline.draw_many(seed, indices, 1, lambda _: self.native.size)
            except UserError:
                return None


def assert_equal(pipeline: Pipeline, source: Source, draws: Draws) -> None:
    """Each image of each kernel is the oracle's; what workspaces held before does not show."""
    wanted = [render(source.oracle, pipeline, sample) for sample in draws.samples]
    for kernel, renderer in renderers(pipeline).items():
        for k in [*range(len(draws)), 0]:
            (got,) = renderer.render(draws[k : k + 1], [source.native])
            spoil(renderer, 255 * (k % 2))
            if not np.array_equal(got, wanted[k]):
                pytest.fail(
                    f"{kernel}: {difference(got, wanted[k])} in {draws.samples[k].record()}"
                )


def difference(got: np.ndarray, wanted: np.ndarray) -> str:
    if got.shape != wanted.shape:
        return f"{got.shape} instead of {wanted.shape}"
    apart = np.abs(got.astype(int) - wanted)
    row, column, _ = np.argwhere(apart)[0]
    return f"{(apart > 0).any(-1).sum()} pixels, by up to {apart.max()}, first at {row}, {column},"


def photograph(height: int, width: int) -> np.ndarray:
    """What no flip or turn leaves as it is: gradients, edges and noise; black and white too."""
    rng, (y, x) = np.random.default_rng(height * 1009 + width), np.mgrid[:height, :width]
    tiles = (x // 5 + y // 7) % 2 * 200
    smooth = [y * 255 // height, x * 255 // width, tiles]
    pixels = np.stack(smooth, -1) + rng.integers(-40, 41, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)
