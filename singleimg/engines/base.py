"""What every engine has: its settings, and a plan for each pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Protocol

import numpy as np
import torch

from singleimg.drawing.pipeline import Sample
from singleimg.engines.picture import Picture

alone = RLock()


class Plan(Protocol):
    """A pipeline made ready to render; ``slow`` says who helps with what has no kernel."""

    slow: dict[str, str]

    def render(self, picture: Picture, sample: Sample) -> np.ndarray:
        """``sample`` rendered from ``picture``: ``uint8`` H×W×3, memory of its own."""


@dataclass(frozen=True)
class Engine:
    """The settings in ``conf/engine``, which the output and the recipe read.

    A subclass has ``plan(pipeline: Pipeline) -> Plan``, called once in each process.

    name: stands in the recipe. jpeg: the library that writes JPEG beside this engine. libraries:
    those whose versions decide bytes, by the names that pip knows.
    """

    name: str = ""
    jpeg: str = "pillow"
    libraries: tuple[str, ...] = ()

    def set_up_process(self) -> None:
        """One thread for torch: workers share the cores, and one thread sums in one order."""
        torch.set_num_threads(1)

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """The same for a while, in a process whose threads are somebody else's."""
        with alone:  # the number of threads is one for the whole process
            before = torch.get_num_threads()
            self.set_up_process()
            try:
                yield
            finally:
                torch.set_num_threads(before)
