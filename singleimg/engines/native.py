"""The raster, compiled: the same bytes on every processor (docs/raster.md), in a tenth of the
reference engine's time.

A pipeline is planned once: each transform that has a rule (``raster.rules``) becomes steps of the
raster. A transform without one is rendered by torchvision's tensor path, or by Pillow where a
trial shows that it gives other pictures on tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from singleimg.drawing.draws import Draws
from singleimg.drawing.pipeline import Pipeline
from singleimg.drawing.stream import Stream
from singleimg.engines.base import Engine, Renderer
from singleimg.engines.picture import Picture
from singleimg.engines.raster.call import Do, Levels, Raster
from singleimg.engines.raster.program import Program, Programmer
from singleimg.engines.raster.python_leaf import PythonLeaf


@dataclass(frozen=True)
class NativeEngine(Engine):
    """Renders with the compiled raster."""

    name = "raster-1"  # the version of docs/raster.md

    def decides(self, pipeline: Pipeline) -> Sequence[str]:
        """Nothing where all is the raster's: its pixels are the same everywhere."""
        return super().decides(pipeline) if Programmer(pipeline.steps).python else ()

    def renderer(self, pipeline: Pipeline) -> Renderer:
        return NativeRenderer(pipeline)


class NativeRenderer(Renderer):
    """The rules of a pipeline; ``slow`` names the transforms that have none, and who helps."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._raster = Raster()
        self.kernel = self._raster.kernel
        self._programmer = Programmer(pipeline.steps)
        self._python = [PythonLeaf(leaf) for leaf in self._programmer.python]
        self.slow = {one.leaf.name: one.helper for one in self._python if one.helper}

    def prepare(self, picture: Picture) -> None:
        picture.levels(self._raster)

    def render(self, draws: Draws, pictures: Iterable[Picture]) -> Iterator[np.ndarray]:
        program = self._programmer.program(draws)
        for k, picture in enumerate(pictures):
            if self._python:
                yield self._mixed(program, k, draws, picture)
            else:
                levels = picture.levels(self._raster)
                yield self._raster.render(levels, program.steps[k], program.taps[k])

    def _mixed(self, program: Program, k: int, draws: Draws, picture: Picture) -> np.ndarray:
        """Image ``k``: runs of raster steps, and Python's between them."""
        steps, taps = program.steps[k], program.taps[k]
        seed, index = draws.seed, int(draws.indices[k])
        streams: dict[int, Stream] = {}  # of each transform of the list, for what it draws now
        levels, start = picture.levels(self._raster), 0
        pixels: np.ndarray | None = None
        for stop in [*np.flatnonzero(steps["operation"] == Do.PYTHON).tolist(), len(steps)]:
            run = steps[start:stop]
            if run["operation"].any() or pixels is None:
                read = levels if pixels is None else Levels([pixels])
                pixels = self._raster.render(read, run, taps)
            if stop < len(steps):
                place, image = steps["whole"][stop, :2].tolist()
                python = self._python[place]
                lane = 2 * python.leaf.place + 2
                stream = streams.setdefault(lane, Stream(seed, index, lane))
                pixels = python.render(pixels, program.params[place][image], stream)
            start = stop + 1
        return pixels
