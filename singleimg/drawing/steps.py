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

from singleimg.drawing.stream import Stream
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
    def draw(self, stream: Stream, size: Measure) -> dict[str, Any]:
        """Parameters for an image of ``size()`` (height, width); no pixel is needed."""

    @abstractmethod
    def render(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        """A Pillow image (or a tensor) transformed by torchvision.

        ``stream`` serves what is drawn only now, such as noise.
        """

    @abstractmethod
    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        """(height, width) of what ``render`` returns."""

    @abstractmethod
    def leaves(self) -> Iterator[Leaf]:
        """This step, or the steps that it contains."""

    def after(self, size: Measure, params: dict[str, Any]) -> Measure:
        """The size of what comes out, measured once and only when it is asked for."""
        found: list[Size] = []

        def measure() -> Size:
            if not found:
                found.append(self.output_size(size(), params))
            return found[0]

        return measure

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Names the step in whatever goes wrong with it."""
        try:
            yield
        except (UserError, KeyboardInterrupt):
            raise
        except Exception as error:
            own = own_failure(error, self.modules())
            said = f"{own}. {ALL_OF_IT}" if own else f"{type(error).__name__}: {error}"
            raise UserError(
                f"augment.transforms[{self.place}] ({self.name}) cannot be applied: {said}"
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
    def draw_params(self, stream: Stream, size: Measure) -> dict[str, Any]:
        """The parameters, given that it happens."""

    @abstractmethod
    def apply(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        """The transformed image, given that it happens."""

    def draw(self, stream: Stream, size: Measure) -> dict[str, Any]:
        if self.p is None:
            return self.draw_params(stream, size)
        if stream.uniform() >= self.p:
            return {"apply": False}
        return {"apply": True, **self.draw_params(stream, size)}

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

    def draw_params(self, stream: Stream, size: Measure) -> dict[str, Any]:
        with self.errors():
            return self.law.draw(stream, size)

    def apply(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        with self.errors():
            return self.transform.transform(image, params)

    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        return self.law.output_size(size, params)


@dataclass
class ContainerStep(Step):
    """Several transforms, of which some happen, in some order; ``Compose``: all, one by one."""

    name: str
    place: int
    children: Sequence[Step] = field(default_factory=list)

    def which(self, stream: Stream) -> list[int]:
        """Positions of the transforms that happen, in their order."""
        return list(range(len(self.children)))

    def leaves(self) -> Iterator[Leaf]:
        for child in self.children:
            yield from child.leaves()

    def draw(self, stream: Stream, size: Measure) -> dict[str, Any]:
        order, drawn = self.which(stream), []
        for position in order:
            child = self.children[position]
            params = child.draw(stream, size)
            drawn.append({"name": child.name, "params": params})
            size = child.after(size, params)
        return {"order": order, "transforms": drawn}

    def render(self, image: Any, params: dict[str, Any], stream: Stream) -> Any:
        for position, drawn in zip(params["order"], params["transforms"], strict=True):
            image = self.children[position].render(image, drawn["params"], stream)
        return image

    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        for position, drawn in zip(params["order"], params["transforms"], strict=True):
            size = self.children[position].output_size(size, drawn["params"])
        return size


@dataclass
class ApplyStep(ContainerStep):
    """``RandomApply``: all of them with probability ``p``, or none."""

    p: float = 0.5

    def which(self, stream: Stream) -> list[int]:
        return super().which(stream) if stream.uniform() < self.p else []


@dataclass
class ChoiceStep(ContainerStep):
    """``RandomChoice``: one of them, by weight."""

    weights: Sequence[float] = ()

    def which(self, stream: Stream) -> list[int]:
        point = stream.uniform() * sum(self.weights)
        for position, weight in enumerate(self.weights):
            point -= weight
            if point < 0:
                return [position]
        return [len(self.weights) - 1]


@dataclass
class OrderStep(ContainerStep):
    """``RandomOrder``: all of them, in random order."""

    def which(self, stream: Stream) -> list[int]:
        return stream.permutation(len(self.children))
