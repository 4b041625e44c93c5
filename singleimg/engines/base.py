"""What every engine owes: its settings, and a renderer for each pipeline."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from singleimg.drawing.draws import Draws
from singleimg.drawing.pipeline import Pipeline
from singleimg.engines.picture import Picture

alone = RLock()


class Renderer(ABC):
    """A pipeline made ready to render; ``slow`` says who helps with what has no kernel, ``kernel``
    which of several instruction sets is in use."""

    slow: Mapping[str, str] = MappingProxyType({})
    kernel: str = ""

    def prepare(self, picture: Picture) -> None:  # noqa: B027, may stay empty
        """Makes of a picture what all processes of a run are to share; nothing, unless it says."""

    @abstractmethod
    def render(self, draws: Draws, pictures: Iterable[Picture]) -> Iterable[np.ndarray]:
        """What was drawn for each image (``draws.samples``) rendered from its picture.

        ``pictures``: one for each image, to be taken when that is made: together they may not fit
        into memory. Each result is ``uint8`` H×W×3, memory of its own.
        """


@dataclass(frozen=True)
class Engine(ABC):
    """The settings in ``conf/engine``, which the encoder and the recipe read. Small to pickle.

    What its code decides no setting changes: ``name`` stands in the recipe for what a pixel is, and
    code that gives other pixels has another one; ``libraries`` are those whose versions decide
    pixels, by the names that pip knows. jpeg: the library that writes JPEG beside this engine.
    """

    name: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "Pillow", "numpy")

    jpeg: str = "pillow"

    def decides(self, pipeline: Pipeline) -> Sequence[str]:
        """What decides the pixels of a pipeline: ``libraries``, and "processor", whose kind rounds
        in its own way."""
        return (*self.libraries, "processor")

    @abstractmethod
    def renderer(self, pipeline: Pipeline) -> Renderer:
        """Made once in each process; imports what it renders with."""

    def set_up_process(self) -> None:
        """One thread for torch, where it is at hand: workers share the cores, and one thread sums
        in one order. It is not imported for that."""
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """The same for a while, in a process whose threads are somebody else's."""
        torch = sys.modules.get("torch")
        if torch is None:
            yield
            return
        with alone:  # the number of threads is one for the whole process
            before = torch.get_num_threads()
            self.set_up_process()
            try:
                yield
            finally:
                torch.set_num_threads(before)
