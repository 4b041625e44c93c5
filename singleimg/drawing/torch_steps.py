"""Steps of torchvision objects: of those that have no law here, and of a user's own. Imports torch.

A transform that cannot be split into drawing and rendering (one with a ``forward`` of its own)
draws while it renders, from a stream that is just as fixed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from threading import current_thread, main_thread
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2._transform import _RandomApplyTransform

from singleimg.drawing.describe import LAWS
from singleimg.drawing.drawn import Drawn
from singleimg.drawing.steps import (
    ApplyStep,
    ChoiceStep,
    ContainerStep,
    LawStep,
    Leaf,
    OrderStep,
    Step,
)
from singleimg.drawing.stream import Stream, Streams
from singleimg.drawing.torch_random import StreamMode
from singleimg.errors import UserError, misfit
from singleimg.transforms.base import Law, Measure, Size
from singleimg.transforms.pillow import LawfulTransform

_LIBRARIES = ("torchvision", "singleimg")  # whose transforms draw from torch alone


class Blank(Image.Image):
    """A picture with a size but no pixels, for ``make_params``; the size is found when asked."""

    def __init__(self, size: Callable[[], Size]) -> None:
        super().__init__()
        self._mode = "RGB"
        self._measure = size

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as Pillow has it."""
        height, width = self._measure()
        return width, height

    @property
    def width(self) -> int:
        return self.size[0]

    @property
    def height(self) -> int:
        return self.size[1]


@dataclass
class TorchStep(Leaf):
    """A transform whose ``make_params`` draws and whose ``transform`` renders (torchvision v2)."""

    transform: v2.Transform
    place: int
    p: float | None = None
    drew_globally: bool = False

    @property
    def name(self) -> str:
        return type(self.transform).__name__

    def settings(self) -> v2.Transform:
        return self.transform

    def modules(self) -> list[str]:
        module = type(self.transform).__module__
        return [] if module.partition(".")[0] in _LIBRARIES else [module.partition(".")[0]]

    def draw_params(self, numbers: Streams, size: Measure) -> Drawn:
        params = []
        for k in range(len(numbers)):
            with numbers.one(k) as stream:
                params.append(self.params_of(stream, lambda k=k: tuple(size()[k].tolist())))
        return Drawn(self.name, params=params)

    def params_of(self, stream: Stream, size: Callable[[], Size]) -> dict[str, Any]:
        """What is drawn for one image."""
        with self.errors(), self._seeded(stream), StreamMode(stream, torch.float64):
            return self.transform.make_params([Blank(size)])

    def apply(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        with self.errors(), self._seeded(stream), StreamMode(stream):
            return self._image(self.transform.transform(image, params))

    def _image(self, image: Any) -> Any:
        if isinstance(image, Image.Image | torch.Tensor):
            return image
        name = f"augment.transforms[{self.place}] ({self.name})"
        raise misfit(name, image, "a Pillow image or a tensor 3×H×W")

    def output_sizes(self, sizes: np.ndarray, drawn: Drawn) -> np.ndarray:
        found = [
            self.output_size(tuple(size), params)
            for size, params in zip(sizes.tolist(), drawn.dicts(len(sizes)), strict=True)
        ]
        return np.array(found, np.int64).reshape(-1, 2)

    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        """The transform's own word, or a trial."""
        if hasattr(self.transform, "output_size"):
            return self.transform.output_size(size, params)
        height, width = size
        trial = self.render(Image.new("RGB", (width, height)), params, Stream(0, 0))
        return tuple(v2.functional.get_size(trial))

    @contextmanager
    def _seeded(self, stream: Stream) -> Iterator[None]:
        """Seeds ``random`` and ``numpy.random`` for a user's transform, and puts them back."""
        if not self.modules():
            yield
            return
        before = random.getstate(), np.random.get_state()
        word = stream.word()
        random.seed(word)
        np.random.seed(word >> 32)
        seeded = _global_states()
        try:
            yield
        finally:
            drew = _global_states() != seeded
            random.setstate(before[0])
            np.random.set_state(before[1])
        self.drew_globally = self.drew_globally or drew
        if drew and current_thread() is not main_thread():
            raise UserError(
                f"{self.name} draws from Python's or NumPy's global generator, which threads "
                "share: type backend=loky (or backend=sequential), or draw from torch there."
            )


def _global_states() -> tuple:
    numpy = np.random.get_state()
    return random.getstate(), numpy[1].tobytes(), numpy[2:]


@dataclass
class OpaqueStep(TorchStep):
    """A callable with a ``forward`` of its own: it draws while it renders."""

    transform: Callable

    def params_of(self, stream: Stream, size: Callable[[], Size]) -> dict[str, Any]:
        return {}

    def apply(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        with self.errors(), self._seeded(stream), StreamMode(stream):
            return self._image(self.transform(image))


# Which step serves a transform is told by whose ``forward`` it has: a subclass with a forward of
# its own draws in ways that nobody else can know.
_CONTAINERS: dict[Callable, type[ContainerStep]] = {
    v2.Compose.forward: ContainerStep,
    v2.RandomApply.forward: ApplyStep,
    v2.RandomChoice.forward: ChoiceStep,
    v2.RandomOrder.forward: OrderStep,
}


def step_of(transform: Callable, place: int) -> Step:
    """The step that draws and renders ``transform``, the ``place``-th of the list."""
    forward = getattr(type(transform), "forward", None)
    if forward in _CONTAINERS:
        children = [step_of(child, place) for child in transform.transforms]
        kind, more = _CONTAINERS[forward], {}
        if kind is ApplyStep:
            more = {"p": transform.p}
        elif kind is ChoiceStep:
            more = {"weights": list(transform.p)}
        return kind(type(transform).__name__, place, children, **more)
    law = _law_of(transform)
    if law is not None:
        return LawStep(law, place)
    if forward is _RandomApplyTransform.forward:
        return TorchStep(transform, place, transform.p)
    kind = TorchStep if forward is v2.Transform.forward else OpaqueStep
    return kind(transform, place)


def _law_of(transform: Callable) -> Law | None:
    """The law that a transform was made by, or that its settings fit; of exact types only."""
    kind = type(transform)
    if isinstance(transform, LawfulTransform) and kind.__module__.startswith("singleimg."):
        return transform.law
    law = LAWS.get(f"{Law.home}.{kind.__name__}")
    if law is None or getattr(v2, kind.__name__, None) is not kind:
        return None
    try:
        return law(**{field.name: getattr(transform, field.name) for field in fields(law)})
    except ValueError:  # settings that only torchvision understands
        return None
