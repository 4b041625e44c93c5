"""The steps of a pipeline: each draws its parameters from a size alone, and renders them later.

What is known by its law (``singleimg.transforms``) is plain values and travels to workers without
torch. Containers (``RandomApply`` …) are walked, because torchvision draws those in ``forward``.
What has no law here is a torchvision object, see ``torch_steps``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from singleimg.drawing.drawn import Drawn, joined
from singleimg.drawing.stream import Stream, Streams
from singleimg.errors import ALL_OF_IT, UserError, own_failure
from singleimg.transforms.base import Law, Measure, Size


class Step(ABC):
    """One transform of a list.

    name: as in records of draws. place: in the list, counted from 0; a container's children have
    its place.
    """

    name: str
    place: int

    @abstractmethod
    def draw(self, numbers: Streams, size: Measure) -> Drawn:
        """Parameters for images whose sizes are ``size()``; no pixel is needed."""

    @abstractmethod
    def output_sizes(self, sizes: np.ndarray, drawn: Drawn) -> np.ndarray:
        """Heights and widths of what ``render`` returns: int64 n×2, as ``sizes``."""

    @abstractmethod
    def render(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        """A Pillow image (or a tensor) transformed by torchvision.

        ``stream`` serves what is drawn only now, such as noise.
        """

    @abstractmethod
    def leaves(self) -> Iterator[Leaf]:
        """This step, or the steps that it contains."""

    def draw_one(self, stream: Stream, size: Size) -> dict[str, Any]:
        """The parameters for one image of that size, from the beginning of its stream."""
        return self.draw(stream.alone(), lambda: np.array([size])).dicts(1)[0]

    def after(self, size: Measure, drawn: Drawn) -> Measure:
        """The sizes of what comes out, measured once and only when they are asked for."""
        return Measured(lambda: self.output_sizes(size(), drawn))

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Names the step in whatever goes wrong with it."""
        try:
            yield
        except (UserError, KeyboardInterrupt):
            raise
        except Exception as error:
            own = own_failure(error, self.modules())
            said = f"{type(error).__name__}: {' '.join(str(error).split()).removesuffix('.')}"
            raise UserError(
                f"augment.transforms[{self.place}] ({self.name}) cannot be applied: "
                + (f"{own}: {ALL_OF_IT}" if own else f"{said}: change its settings.")
            ) from error

    def modules(self) -> list[str]:
        """Those of a person's own code that it runs."""
        return []


class Leaf(Step):
    """A step that contains no others; ``p``: how probably it happens, None: always."""

    p: float | None = None
    drew_globally: bool = False  # from ``random`` or ``numpy.random``, as far as was seen

    @abstractmethod
    def settings(self) -> Any:
        """What the transform was made with, as attributes under torchvision's names."""

    @abstractmethod
    def draw_params(self, numbers: Streams, size: Measure) -> Drawn:
        """The parameters, given that it happens."""

    @abstractmethod
    def apply(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        """The transformed image, given that it happens."""

    def draw(self, numbers: Streams, size: Measure) -> Drawn:
        if self.p is None:
            return self.draw_params(numbers, size)
        on = numbers.uniform() < self.p
        rows = np.flatnonzero(on)
        drawn = self.draw_params(numbers.of(rows), of_some(size, rows))
        return joined(self.name, len(on), [(rows, drawn)]).gated_by(on)

    def render(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        if self.p is None:
            return self.apply(image, params, stream)
        if not params["apply"]:
            return image
        # torchvision passes some parameters on as keywords, so ours must not be among them.
        own = {key: value for key, value in params.items() if key != "apply"}
        return self.apply(image, own, stream)

    def leaves(self) -> Iterator[Leaf]:
        yield self


@dataclass
class LawStep(Leaf):
    """A transform that is known by its law."""

    law: Law
    place: int

    @property
    def name(self) -> str:
        return self.law.name

    @property
    def p(self) -> float | None:
        return self.law.p if self.law.gated else None

    @cached_property
    def transform(self) -> Any:
        """torchvision's object, for engines that render by it."""
        return self.law.make()

    def __getstate__(self) -> dict[str, Any]:
        return {"law": self.law, "place": self.place}

    def settings(self) -> Law:
        return self.law

    def draw_params(self, numbers: Streams, size: Measure) -> Drawn:
        with self.errors():
            return Drawn(self.name, columns=self.law.draw(numbers, size))

    def apply(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        with self.errors():
            return self.transform.transform(image, params)

    def output_sizes(self, sizes: np.ndarray, drawn: Drawn) -> np.ndarray:
        return self.law.output_sizes(sizes, drawn.columns)


@dataclass
class ContainerStep(Step):
    """Several transforms, of which some happen, in some order; ``Compose``: all, one by one."""

    name: str
    place: int
    children: Sequence[Step] = field(default_factory=list)

    def which(self, numbers: Streams) -> np.ndarray:
        """Positions of the transforms that happen, in their order, then −1: int64 n×children."""
        return np.tile(np.arange(len(self.children)), (len(numbers), 1))

    def leaves(self) -> Iterator[Leaf]:
        for child in self.children:
            yield from child.leaves()

    def draw(self, numbers: Streams, size: Measure) -> Drawn:
        order = self.which(numbers)
        parts: list[list[tuple[np.ndarray, Drawn]]] = [[] for _ in self.children]
        for position, rows in in_order(order):
            child, some = self.children[position], of_some(size, rows)
            drawn = child.draw(numbers.of(rows), some)
            parts[position].append((rows, drawn))
            size = changed(size, rows, child.after(some, drawn))
        nobody = np.empty(0, np.int64)
        for child, found in zip(self.children, parts, strict=True):
            if not found:  # its columns are there all the same
                found.append((nobody, child.draw(numbers.of(nobody), of_some(size, nobody))))
        each = zip(self.children, parts, strict=True)
        children = tuple(joined(child.name, len(order), found) for child, found in each)
        return Drawn(self.name, order=order, children=children)

    def render(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        for position, drawn in zip(params["order"], params["transforms"], strict=True):
            image = self.children[position].render(image, drawn["params"], stream)
        return image

    def output_sizes(self, sizes: np.ndarray, drawn: Drawn) -> np.ndarray:
        sizes = sizes.copy()
        for position, rows in in_order(drawn.order):
            child = drawn.children[position].of(rows)
            sizes[rows] = self.children[position].output_sizes(sizes[rows], child)
        return sizes


@dataclass
class ApplyStep(ContainerStep):
    """``RandomApply``: all of them with probability ``p``, or none."""

    p: float = 0.5

    def which(self, numbers: Streams) -> np.ndarray:
        on = numbers.uniform() < self.p
        return np.where(on[:, None], np.arange(len(self.children)), -1)


@dataclass
class ChoiceStep(ContainerStep):
    """``RandomChoice``: one of them, by weight."""

    weights: Sequence[float] = ()

    def which(self, numbers: Streams) -> np.ndarray:
        point = numbers.uniform() * sum(self.weights)
        order = np.full((len(numbers), len(self.children)), -1)
        for position, weight in enumerate(self.weights):
            point -= weight
            order[(point < 0) & (order[:, 0] < 0), 0] = position
        order[order[:, 0] < 0, 0] = len(self.weights) - 1
        return order


@dataclass
class OrderStep(ContainerStep):
    """``RandomOrder``: all of them, in random order."""

    def which(self, numbers: Streams) -> np.ndarray:
        return numbers.permutation(len(self.children))


class Measured:
    """A measure that is taken once, when it is asked for."""

    def __init__(self, measure: Measure) -> None:
        self._measure, self._sizes = measure, None

    def __call__(self) -> np.ndarray:
        if self._sizes is None:
            self._sizes = self._measure()
        return self._sizes


def in_order(order: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Which transform of a container comes next for which images, until all is done."""
    for place in order.T:
        for position in range(order.shape[1]):
            rows = np.flatnonzero(place == position)
            if len(rows):
                yield position, rows


def of_some(size: Measure, rows: np.ndarray) -> Measure:
    """The sizes of some images; of none nothing is measured."""
    return lambda: size()[rows] if len(rows) else np.empty((0, 2), np.int64)


def repeated(size: Measure, count: int) -> Measure:
    """The size of one image for several."""
    return lambda: np.repeat(size(), count, axis=0)


def changed(size: Measure, rows: np.ndarray, after: Measure) -> Measure:
    """``size`` with that of some images replaced."""

    def measure() -> np.ndarray:
        sizes = size().copy()
        sizes[rows] = after()
        return sizes

    return Measured(measure)
