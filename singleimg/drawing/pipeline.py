"""Indices → random streams → drawn parameters: what is decided of images before any pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from singleimg.drawing.draws import Draws, Sample
from singleimg.drawing.steps import LawStep, Measured, Step
from singleimg.drawing.stream import Stream, Streams
from singleimg.transforms.base import Size


class Pipeline:
    """The transforms of a run, ready to draw; ``steps`` are what an engine renders, in order.

    ``transforms``: steps, or transforms in torchvision's protocol. Small to pickle, and without
    torch where every step is known by its law.
    """

    def __init__(self, transforms: Sequence[Step | Callable]) -> None:
        steps: list[Step] = []
        for place, transform in enumerate(transforms):
            if isinstance(transform, Step):
                step = transform
            else:
                from singleimg.drawing.torch_steps import step_of  # imports torch

                step = step_of(transform, place)
            if steps and isinstance(step, LawStep) and isinstance(steps[-1], LawStep):
                joint = step.law.absorb(steps[-1].law)
                if joint is not None:
                    steps.pop()
                    step = LawStep(joint, place)
            steps.append(step)
        self.steps = tuple(steps)

    def draw(self, seed: int, index: int, sources: int, size_of: Callable[[int], Size]) -> Sample:
        """The draws of image ``index``; ``size_of(k)`` is the (height, width) of source ``k``."""
        return self.draw_many(seed, [index], sources, size_of).samples[0]

    def draw_many(
        self, seed: int, indices: Sequence[int], sources: int, size_of: Callable[[int], Size]
    ) -> Draws:
        """The same of many images at once."""
        indices = np.array(indices, np.int64)
        # Of one source nothing is to be drawn: its lane is its own.
        chosen = Streams(seed, indices).below(sources) if sources > 1 else np.zeros_like(indices)

        def sizes() -> np.ndarray:
            known = np.zeros((sources, 2), np.int64)
            for source in set(chosen.tolist()):
                known[source] = size_of(source)
            return known[chosen]

        size = measured = Measured(sizes)
        steps = []
        for place, step in enumerate(self.steps):
            drawn = step.draw(Streams(seed, indices, 2 * place + 1), size)
            steps.append(drawn)
            size = step.after(size, drawn)
        return Draws(seed, indices, chosen, measured, tuple(steps))

    def render(self, image: Any, sample: Sample) -> Any:
        """``image`` through every step with the drawn parameters (Pillow in, Pillow out)."""
        for place, (step, params) in enumerate(zip(self.steps, sample.params, strict=True)):
            image = step.render(image, params, Stream(sample.seed, sample.index, 2 * place + 2))
        return image

    def global_draws(self) -> list[str]:
        """Names of transforms seen to draw from ``random`` or ``numpy.random`` so far."""
        leaves = [leaf for step in self.steps for leaf in step.leaves()]
        return sorted({leaf.name for leaf in leaves if leaf.drew_globally})
