"""Index → random stream → drawn parameters: what is decided about image ``i`` before any pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from singleimg.drawing.steps import LawStep, Step
from singleimg.drawing.stream import Stream
from singleimg.transforms.base import Size


@dataclass(frozen=True, repr=False)
class Sample:
    """What was drawn for image ``index``: its source and one dict of parameters per transform."""

    seed: int
    index: int
    source: int
    names: tuple[str, ...]
    params: tuple[dict[str, Any], ...]

    def __repr__(self) -> str:
        return f"Sample(index={self.index}, source={self.source}, {' → '.join(self.names)})"

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
    if hasattr(value, "tolist"):  # of torch and NumPy
        return value.tolist()
    if isinstance(value, int | float | str | bool | None):
        return value.value if hasattr(value, "value") else value
    return plain(value.value) if hasattr(value, "value") else repr(value)


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
        source = Stream(seed, index, 0).below(sources)
        size: Callable[[], Size] = lambda: size_of(source)  # noqa: E731
        params = []
        for place, step in enumerate(self.steps):
            drawn = step.draw(Stream(seed, index, 2 * place + 1), size)
            params.append(drawn)
            size = step.after(size, drawn)
        return Sample(seed, index, source, tuple(s.name for s in self.steps), tuple(params))

    def render(self, image: Any, sample: Sample) -> Any:
        """``image`` through every step with the drawn parameters (Pillow in, Pillow out)."""
        for place, (step, params) in enumerate(zip(self.steps, sample.params, strict=True)):
            image = step.render(image, params, Stream(sample.seed, sample.index, 2 * place + 2))
        return image

    def global_draws(self) -> list[str]:
        """Names of transforms seen to draw from ``random`` or ``numpy.random`` so far."""
        leaves = [leaf for step in self.steps for leaf in step.leaves()]
        return sorted({leaf.name for leaf in leaves if leaf.drew_globally})
