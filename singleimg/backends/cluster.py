"""What backends have in common whose workers may be on other machines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import numpy as np

from singleimg.backends.base import Backend, R, T, said, with_words
from singleimg.errors import UserError, WriteError
from singleimg.system.cores import available_cores
from singleimg.system.extras import install
from singleimg.system.signals import deferred
from singleimg.system.tempdir import scratch

DEATHS = 3  # of workers at one task, after which it is taken for their cause
_AHEAD = 2  # tasks that wait for each worker, at most: a scheduler needs no more
_LOOK = 0.2  # seconds between two looks at whether a signal came


class Channel(ABC):
    """What a worker on another machine tells the driver while it is at work; travels to it."""

    @abstractmethod
    def send(self, *numbers: int) -> None:
        """Sends some numbers, soon and in their order; waits for nobody."""

    @abstractmethod
    def stopped(self) -> bool:
        """Whether the driver wants no more."""


class Cluster(Backend):
    """A cluster that is there (``address``), or one of worker processes of this machine, which
    listens on its loopback address alone and ends with the run.

    The engine decides which worker makes what, and has another one make again what is lost with
    one; tasks are handed to it as it gets through with them. Workers have nothing of this machine
    but what is sent to them, and a folder only where all machines share it.

    package: the engine, for people.
    """

    package: ClassVar[str]

    def __init__(self, address: str | None = None) -> None:
        self.address = address

    # --- what each owes ---

    @abstractmethod
    def connect(self, address: str) -> None:
        """Finds the cluster at ``address``; any exception says that there is none."""

    @abstractmethod
    def begin(self, workers: int, folder: str) -> None:
        """Starts so many worker processes here; ``folder`` is for all that the engine writes."""

    @abstractmethod
    def cores(self) -> int:
        """How many tasks the cluster runs at once."""

    @abstractmethod
    def submit(self, function: Callable[[T], R], task: T) -> Any:
        """Hands a task to the engine; what stands for its result."""

    @abstractmethod
    def wait(self, pending: list[Any], seconds: float) -> list[Any]:
        """Those that are done, as soon as there is one, or none after so many seconds."""

    @abstractmethod
    def result(self, done: Any, task: Any) -> Any:
        """The result of one, or what was raised; WorkerLost after DEATHS of its workers (at an
        address after as many as its scheduler allows)."""

    @abstractmethod
    def failures(self) -> tuple[type[BaseException], ...]:
        """What the engine raises when it fails itself."""

    @abstractmethod
    def channel(self, hear: Callable[..., None]) -> Channel:
        """For tasks: what they send, ``hear`` is called with, in any thread."""

    @abstractmethod
    def publish(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        """For tasks: what gives a worker these pixels, which lie where all workers reach them."""

    @abstractmethod
    def end(self) -> None:
        """Lets go of the cluster, or ends that of this machine, if there is one."""

    # --- what all have ---

    @property
    def borrowed(self) -> bool:
        return self.address is not None

    def workers(self, threads: int | None) -> int:
        if self.address is None:
            return threads or available_cores()
        with self._errors(), deferred():
            try:
                self.connect(self.address)
                return min(threads or self.cores(), self.cores())
            finally:
                self.end()

    @contextmanager
    def started(self, workers: int) -> Iterator[None]:
        with scratch() as folder:
            try:
                # Ctrl-C reaches every process of a terminal: only the driver is to answer it.
                with self._errors(), deferred():
                    if self.address is None:
                        self.begin(workers, str(folder))
                    else:
                        self.connect(self.address)
                yield
            finally:
                with deferred():
                    self.end()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what an engine says of itself into a sentence."""
        try:
            yield
        except ImportError as error:
            raise UserError(
                f"backend={self.name} needs a package that cannot be imported here ({error}): type "
                f"{install(self.name)}."
            ) from None
        except UserError:
            raise
        except Exception as error:  # of a library, a network, another version
            if self.address is None:
                raise UserError(
                    f"{self.package} cannot start workers here ({_reason(error)}): "
                    "type backend=loky."
                ) from error
            raise UserError(
                f"backend.address={self.address} does not answer as {self.package} does "
                f"({_reason(error)}): check that it is running, or leave backend.address out for "
                "workers of this machine."
            ) from error

    def run(self, function: Callable[[T], R], tasks: Iterable[T], workers: int) -> Iterator[R]:
        return said(self._results(function, iter(tasks), workers))

    def _results(
        self, function: Callable[[T], R], tasks: Iterator[T], workers: int
    ) -> Iterator[tuple[R, str]]:
        called = partial(_alone if self.in_threads else with_words, function)
        pending: dict[Any, T] = {}
        while True:
            while len(pending) < _AHEAD * workers:
                task = next(tasks, None)
                if task is None:
                    break
                with deferred():  # what was handed over and not noted, nobody would wait for
                    pending[self.submit(called, task)] = task
            if not pending:
                return
            try:
                with deferred():  # engines make another error of what a signal raises within them
                    finished = self.wait(list(pending), _LOOK)
                results = [self.result(done, pending.pop(done)) for done in finished]
            except self.failures() as error:
                raise WriteError(
                    f"{self.package} failed ({_reason(error)}): check that all of it is running."
                ) from error
            yield from results

    def stop(self) -> None:
        self.end()


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _alone(function: Callable[[T], R], task: T) -> tuple[R, str]:
    """Where threads share a process, what is printed is nobody's in particular."""
    return function(task), ""
