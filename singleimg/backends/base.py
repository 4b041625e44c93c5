"""What every backend owes, and what it says when a worker is gone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Backend(ABC):
    """The settings in ``conf/backend``.

    name: for people. in_threads: whether tasks share a process, and with it Python's and NumPy's
    global generators.
    """

    name: str
    in_threads: bool = False

    @abstractmethod
    def workers(self, threads: int | None) -> int:
        """How many tasks run at once, when ``threads`` are asked for (None: as is best)."""

    def worth_starting(self, workers: int, seconds: float, start: float) -> int:
        """How many of ``workers`` are, for so many ``seconds`` of work for one core.

        ``start``: seconds of a core that each takes until it is at work.
        """
        return workers

    @abstractmethod
    def run(self, function: Callable[[T], R], tasks: Iterable[T], workers: int) -> Iterator[R]:
        """Starts ``function`` on every task at once; yields results as they come, in any order.

        Raises WorkerLost when the system ended a worker process.
        """

    @abstractmethod
    def stop(self) -> None:
        """Ends worker processes that may still be at work, at once."""


class WorkerLost(Exception):
    """A worker process ended in the middle of its work, killed from outside."""
