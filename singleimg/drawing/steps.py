"""Index → random stream → drawn parameters: what is decided about image ``i`` before any pixel.

A :class:`Pipeline` is built once from the list of transforms. Each becomes a :class:`Step` that can
draw its parameters from a size alone and render them later; containers (``RandomApply`` …) are
walked, because torchvision draws those in ``forward``. A transform that cannot be split so (one
with a ``forward`` of its own) draws while it renders, from a stream that is just as fixed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import current_thread, main_thread
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2._transform import _RandomApplyTransform

from singleimg.drawing.stream import Stream
from singleimg.drawing.torch_random import StreamMode
from singleimg.errors import UserError
from singleimg.transforms.base import Drawn

Size = tuple[int, int]  # height, width


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


def after(step: Step, size: Callable[[], Size], params: dict) -> Callable[[], Size]:
    found: list[Size] = []

    def measure() -> Size:
        if not found:
            found.append(step.output_size(size(), params))
        return found[0]

    return measure


# --- steps ---------------------------------------------------------------------------------------


@dataclass
class Step:
    """A transform whose ``make_params`` draws and whose ``transform`` renders (torchvision v2)."""

    transform: Any
    place: int
    drew: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        return type(self.transform).__name__

    def leaves(self) -> Iterator[Step]:
        """This step, or the steps that it contains."""
        yield self

    def __post_init__(self) -> None:
        self._draw = self.transform.draw if isinstance(self.transform, Drawn) else None
        if type(self.transform) in _DRAWS:
            self._draw = partial(_DRAWS[type(self.transform)], self.transform)

    def draw(self, stream: Stream, size: Callable[[], Size]) -> dict[str, Any]:
        """Parameters for an image of ``size()`` (height, width); no pixel is needed."""
        if self._draw is not None:
            with self._errors():
                return self._draw(stream, size())
        with self._errors(), self._globals(stream), StreamMode(stream, torch.float64):
            return self.transform.make_params([Blank(size)])

    def render(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        """The transformed image; ``stream`` serves what is drawn only now, such as noise."""
        with self._errors(), self._globals(stream), StreamMode(stream):
            return self.transform.transform(image, params)

    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        """(height, width) of what ``render`` returns: the transform's own word, or a trial."""
        if hasattr(self.transform, "output_size"):
            return self.transform.output_size(size, params)
        if type(self.transform) in _SAME_SIZE:
            return size
        height, width = size
        trial = self.render(Image.new("RGB", (width, height)), params, Stream(0, 0))
        return tuple(v2.functional.get_size(trial))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (UserError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise UserError(
                f"augment.transforms[{self.place}] ({self.name}) cannot be applied: "
                f"{type(error).__name__}: {error}"
            ) from error

    @contextmanager
    def _globals(self, stream: Stream) -> Iterator[None]:
        """Seeds ``random`` and ``numpy.random`` for a user's transform, and puts them back."""
        if type(self.transform).__module__.partition(".")[0] in ("torchvision", "singleimg"):
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
        self.drew = self.drew or drew
        if drew and current_thread() is not main_thread():
            raise UserError(
                f"{self.name} draws from Python's or NumPy's global generator, which threads "
                "share: type backend=loky (or backend=sequential), or let it draw from torch."
            )


def _global_states() -> tuple:
    numpy = np.random.get_state()
    return random.getstate(), numpy[1].tobytes(), numpy[2:]


class GatedStep(Step):
    """A transform that happens with probability ``p`` (flips, greyscale …)."""

    def draw(self, stream: Stream, size: Callable[[], Size]) -> dict[str, Any]:
        if stream.uniform() >= self.transform.p:
            return {"apply": False}
        return {"apply": True, **super().draw(stream, size)}

    def render(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        if not params["apply"]:
            return image
        # torchvision passes some parameters on as keywords, so ours must not be among them.
        own = {key: value for key, value in params.items() if key != "apply"}
        return super().render(image, own, stream)


class OpaqueStep(Step):
    """A callable with a ``forward`` of its own: it draws while it renders."""

    def draw(self, stream: Stream, size: Callable[[], Size]) -> dict[str, Any]:
        return {}

    def render(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        with self._errors(), self._globals(stream), StreamMode(stream):
            return self.transform(image)


class ContainerStep(Step):
    """Several transforms, of which some happen, in some order: ``which`` names them."""

    def __init__(self, transform: Any, place: int) -> None:
        super().__init__(transform, place)
        self.children = [step_of(child, place) for child in transform.transforms]

    def leaves(self) -> Iterator[Step]:
        for child in self.children:
            yield from child.leaves()

    def which(self, stream: Stream) -> list[int]:
        """Positions of the transforms that happen, in their order: for ``Compose``, all."""
        return list(range(len(self.children)))

    def draw(self, stream: Stream, size: Callable[[], Size]) -> dict[str, Any]:
        order, drawn = self.which(stream), []
        for position in order:
            child = self.children[position]
            params = child.draw(stream, size)
            drawn.append({"name": child.name, "params": params})
            size = after(child, size, params)
        return {"order": order, "transforms": drawn}

    def render(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        for position, drawn in zip(params["order"], params["transforms"], strict=True):
            image = self.children[position].render(image, drawn["params"], stream)
        return image

    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        for position, drawn in zip(params["order"], params["transforms"], strict=True):
            size = self.children[position].output_size(size, drawn["params"])
        return size


class ApplyStep(ContainerStep):
    """``RandomApply``: all of them with probability ``p``, or none."""

    def which(self, stream: Stream) -> list[int]:
        return super().which(stream) if stream.uniform() < self.transform.p else []


class ChoiceStep(ContainerStep):
    """``RandomChoice``: one of them, by weight."""

    def which(self, stream: Stream) -> list[int]:
        weights = self.transform.p
        point = stream.uniform() * sum(weights)
        for position, weight in enumerate(weights):
            point -= weight
            if point < 0:
                return [position]
        return [len(weights) - 1]


class OrderStep(ContainerStep):
    """``RandomOrder``: all of them, in random order."""

    def which(self, stream: Stream) -> list[int]:
        return stream.permutation(len(self.children))


# --- draws without torch -------------------------------------------------------------------------


def _between(stream: Stream, low: float, high: float) -> float:
    return stream.uniform() * (high - low) + low


def _draw_colour_jitter(jitter: v2.ColorJitter, stream: Stream, size: Size) -> dict[str, Any]:
    params: dict[str, Any] = {"fn_idx": stream.permutation(4)}
    for name in ("brightness", "contrast", "saturation", "hue"):
        bounds = getattr(jitter, name)
        params[f"{name}_factor"] = None if bounds is None else _between(stream, *bounds)
    return params


def _draw_gaussian_blur(blur: v2.GaussianBlur, stream: Stream, size: Size) -> dict[str, Any]:
    return {"sigma": [_between(stream, *blur.sigma)] * 2}


# What make_params of these draws, number for number, without the 0.1 ms of torch's way there.
_DRAWS: dict[type, Callable[[Any, Stream, Size], dict[str, Any]]] = {
    v2.ColorJitter: _draw_colour_jitter,
    v2.GaussianBlur: _draw_gaussian_blur,
}

# --- which step serves which transform -----------------------------------------------------------

# Those that torchvision's own presets put before a transform that asks for a size; any other
# transform's output is measured on a black picture, which is right too, and slower.
_SAME_SIZE = frozenset(
    {
        v2.ColorJitter,
        v2.GaussianBlur,
        v2.RandomGrayscale,
        v2.RandomHorizontalFlip,
        v2.RandomVerticalFlip,
    }
)

# Which step serves a transform is told by whose ``forward`` it has: a subclass with a forward of
# its own draws in ways that nobody else can know.
_STEPS: dict[Callable, type[Step]] = {
    v2.Transform.forward: Step,
    _RandomApplyTransform.forward: GatedStep,
    v2.Compose.forward: ContainerStep,
    v2.RandomApply.forward: ApplyStep,
    v2.RandomChoice.forward: ChoiceStep,
    v2.RandomOrder.forward: OrderStep,
}


def step_of(transform: Callable, place: int) -> Step:
    """The step that draws and renders ``transform``, the ``place``-th of the list."""
    return _STEPS.get(getattr(type(transform), "forward", None), OpaqueStep)(transform, place)
