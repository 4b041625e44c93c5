"""What every backend owes, and what it says when a worker is gone."""

from __future__ import annotations

import io
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, redirect_stderr, redirect_stdout
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Backend(ABC):
    """The settings in ``conf/backend``.

    name: for people. in_threads: whether tasks share a process, and with it Python's and NumPy's
    global generators. Workers that may be on other machines are those of a ``Cluster``.
    """

    name: str
    in_threads: bool = False

    @property
    def borrowed(self) -> bool:
        """Whether the cores of workers are not those of this machine."""
        return False

    @abstractmethod
    def workers(self, threads: int | None) -> int:
        """How many tasks run at once, when ``threads`` are asked for (None: as is best)."""

    def worth_starting(self, workers: int, seconds: float, start: float) -> int:
        """How many of ``workers`` are, for so many ``seconds`` of work for one core.

        ``start``: seconds of a core that each takes until it is at work.
        """
        return workers

    def started(self, workers: int) -> AbstractContextManager[object]:
        """Has workers at hand for what is done within, where they are to be looked for first."""
        return nullcontext()

    @abstractmethod
    def run(self, function: Callable[[T], R], tasks: Iterable[T], workers: int) -> Iterator[R]:
        """Starts ``function`` on every task at once; yields results as they come, in any order.

        Raises WorkerLost when the system ended a worker process.
        """

    @abstractmethod
    def stop(self) -> None:
        """Ends worker processes that may still be at work, at once."""


class WorkerLost(Exception):
    """A worker process ended in the middle of its work, killed from outside.

    task: what killed one worker after the other; None: it may well be tried once more.
    """

    def __init__(self, task: object = None) -> None:
        super().__init__()
        self.task = task


def with_words(function: Callable[[T], R], task: T) -> tuple[R, str]:
    """The result in a worker process, and what was printed there meanwhile: warnings, say.

    Printed by the worker itself, it would stand in the middle of the driver's bar.
    """
    words = io.StringIO()
    with redirect_stdout(words), redirect_stderr(words):
        return function(task), words.getvalue()


def said(results: Iterable[tuple[R, str]]) -> Iterator[R]:
    """The results; what was printed for them is printed here."""
    for result, words in results:
        sys.stderr.write(words)
        yield result
