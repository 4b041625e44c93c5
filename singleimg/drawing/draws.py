"""What was drawn: for many images as columns, for one as plain values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from singleimg.drawing.drawn import Drawn
from singleimg.drawing.steps import of_some
from singleimg.drawing.texts import plain, transforms_texts
from singleimg.transforms.base import Measure


@dataclass(frozen=True, repr=False)
class Sample:
    """What was drawn for image ``index``: its source and one dict of parameters per transform.

    drawn: the draws that it is of, if it was drawn with others, and its place among them.
    """

    seed: int
    index: int
    source: int
    names: tuple[str, ...]
    params: tuple[dict[str, Any], ...]
    drawn: tuple[Draws, int] | None = field(default=None, compare=False)

    def __reduce__(self) -> tuple[type[Sample], tuple]:
        return Sample, (self.seed, self.index, self.source, self.names, self.params)

    def __repr__(self) -> str:
        return f"Sample(index={self.index}, source={self.source}, {' → '.join(self.names)})"

    def record(self) -> dict[str, Any]:
        """The draws as plain JSON values: ``index``, ``source``, ``transforms``."""
        steps = zip(self.names, self.params, strict=True)
        transforms = [{"name": name, **plain(params)} for name, params in steps]
        return {"index": self.index, "source": self.source, "transforms": transforms}

    def text(self) -> str:
        """``record()`` as JSON."""
        transforms = self.transforms_text()
        return f'{{"index": {self.index}, "source": {self.source}, "transforms": {transforms}}}'

    def transforms_text(self) -> str:
        """The ``transforms`` of it as JSON."""
        if self.drawn is None:
            return json.dumps(self.record()["transforms"])
        draws, place = self.drawn
        return draws.texts[place]


@dataclass(frozen=True)
class Draws:
    """What was drawn for n images: ``indices`` and ``sources`` (int64, n), and of each step.

    size: of the sources; see ``Measure``.
    """

    seed: int
    indices: np.ndarray
    sources: np.ndarray
    size: Measure
    steps: tuple[Drawn, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: slice) -> Draws:
        """The same of some of the images."""
        places = np.arange(len(self))[rows]
        steps = tuple(step.of(places) for step in self.steps)
        size = of_some(self.size, places)
        return Draws(self.seed, self.indices[rows], self.sources[rows], size, steps)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the steps."""
        return tuple(step.name for step in self.steps)

    @cached_property
    def samples(self) -> list[Sample]:
        """Image by image."""
        names, count = self.names, len(self)
        params = [step.dicts(count) for step in self.steps]
        rows = zip(*params, strict=True) if params else [()] * count
        return [
            Sample(self.seed, index, source, names, row, (self, place))
            for place, (index, source, row) in enumerate(
                zip(self.indices.tolist(), self.sources.tolist(), rows, strict=True)
            )
        ]

    @cached_property
    def texts(self) -> list[str]:
        """What was drawn for each by its transforms, as JSON."""
        return transforms_texts(self.steps, len(self))

    def sample(self, k: int) -> Sample:
        """The ``k``-th of them."""
        return self[k : k + 1].samples[0]
