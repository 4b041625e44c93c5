"""The transforms of a run, ready to draw and to render, and what was drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from singleimg.drawing.steps import Size, after, step_of
from singleimg.drawing.stream import Stream


@dataclass(frozen=True)
class Sample:
    """What was drawn for image ``index``: its source and one dict of parameters per transform."""

    seed: int
    index: int
    source: int
    names: tuple[str, ...]
    params: tuple[dict[str, Any], ...]

    def record(self) -> dict[str, Any]:
        """The draws as plain JSON values: ``index``, ``source``, ``transforms``."""
        steps = zip(self.names, self.params, strict=True)
        transforms = [{"name": name, **plain(params)} for name, params in steps]
        return {"index": self.index, "source": self.source, "transforms": transforms}


def plain(value: Any) -> Any:
    """``value`` with tensors, arrays, tuples and enums turned into JSON values."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, int | float | str | bool | None):
        return value.value if hasattr(value, "value") else value
    return plain(value.value) if hasattr(value, "value") else repr(value)


class Pipeline:
    """The transforms of a run, ready to draw; ``steps`` are what an engine renders, in order."""

    def __init__(self, transforms: Sequence[Callable]) -> None:
        self.steps = tuple(
            step_of(transform, place) for place, transform in enumerate(_absorb(transforms))
        )

    def draw(self, seed: int, index: int, sources: int, size_of: Callable[[int], Size]) -> Sample:
        """The draws of image ``index``; ``size_of(k)`` is the (height, width) of source ``k``."""
        source = Stream(seed, index, 0).below(sources)
        size: Callable[[], Size] = lambda: size_of(source)  # noqa: E731
        params = []
        for place, step in enumerate(self.steps):
            drawn = step.draw(Stream(seed, index, 2 * place + 1), size)
            params.append(drawn)
            size = after(step, size, drawn)
        return Sample(seed, index, source, tuple(s.name for s in self.steps), tuple(params))

    def render(self, image: Any, sample: Sample) -> Any:
        """``image`` through every step with the drawn parameters (Pillow in, Pillow out)."""
        for place, (step, params) in enumerate(zip(self.steps, sample.params, strict=True)):
            image = step.render(image, params, Stream(sample.seed, sample.index, 2 * place + 2))
        return image

    def global_draws(self) -> list[str]:
        """Names of transforms seen to draw from ``random`` or ``numpy.random`` so far."""
        return sorted({leaf.name for step in self.steps for leaf in step.leaves() if leaf.drew})


def _absorb(transforms: Sequence[Callable]) -> list[Callable]:
    """Lets a transform take in the one before it, where its class offers ``absorb``."""
    merged: list[Callable] = []
    for transform in transforms:
        absorb = getattr(transform, "absorb", None)
        joint = absorb(merged[-1]) if absorb and merged else None
        if joint is not None:
            merged.pop()
        merged.append(transform if joint is None else joint)
    return merged
