"""Where chunks run: in this process, in worker processes or in threads, all through joblib."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from joblib import Parallel, delayed
from joblib.parallel import get_active_backend

from singleimg.backends.base import Backend, R, T, WorkerLost, said, with_words
from singleimg.errors import UserError
from singleimg.system.cores import available_cores
from singleimg.system.signals import deferred
from singleimg.system.streams import open_streams

NAMES = ("loky", "sequential", "threading")  # of joblib's backends
_STARTS = 2.5  # times what one worker takes to start: of less work several take no shorter
_LOOK = 0.2  # seconds between two looks at whether the driver is there


@dataclass(frozen=True)
class JoblibBackend(Backend):
    """A joblib backend by its name (``loky``, ``threading``, ``sequential``)."""

    name: str
    from_seconds: float | None = None  # of work for one core; None: several times a worker's start

    def __post_init__(self) -> None:
        known = self.from_seconds is None or type(self.from_seconds) in (int, float)
        if not known or (self.from_seconds or 0) < 0:
            raise UserError(
                f"backend.from_seconds={self.from_seconds} is not a number of seconds, 0 or more: "
                "type for example backend.from_seconds=10, or backend.from_seconds=null for what a "
                "start is measured to take."
            )
        if self.name not in NAMES:
            raise UserError(
                f"backend.name={self.name} is not one of {', '.join(NAMES)}: "
                f"type for example backend={NAMES[0]}."
            )

    @property
    def in_threads(self) -> bool:
        return self.name == "threading"

    def workers(self, threads: int | None) -> int:
        """How many tasks run at once: 1 inside another joblib worker, whose cores are taken."""
        if self.name == "sequential" or get_active_backend()[0].nesting_level:
            return 1
        return threads or available_cores()

    def worth_starting(self, workers: int, seconds: float, start: float) -> int:
        least = _STARTS * start if self.from_seconds is None else self.from_seconds
        return 1 if seconds < least else workers

    def run(self, function: Callable[[T], R], tasks: Iterable[T], workers: int) -> Iterator[R]:
        if workers == 1:
            return map(function, tasks)
        more = {}
        if self.name == "loky":
            _start_trackers()
            more = {"initializer": _begin_worker, "initargs": (os.getpid(),)}
        parallel = Parallel(
            n_jobs=workers, backend=self.name, return_as="generator_unordered", batch_size=1,
            pre_dispatch=workers,  # the driver may make what no worker has yet
            **more,
        )  # fmt: skip
        # Ctrl-C reaches every process of a terminal: only the driver is to answer it.
        with _losses(), deferred():
            if self.name == "threading":
                return _guarded(parallel(delayed(function)(task) for task in tasks))
            results = parallel(delayed(with_words)(function, task) for task in tasks)
        return said(_guarded(results))

    def stop(self) -> None:
        # We know that tasks are cancelled.
        warnings.filterwarnings("ignore", r"\d+ tasks which were still being processed")
        if self.name == "loky":
            from joblib.externals.loky import get_reusable_executor

            # reuse=True: other arguments than joblib's would have loky wait for the pool's work.
            executor = get_reusable_executor(reuse=True, kill_workers=True)
            executor.shutdown(wait=True, kill_workers=True)


def _begin_worker(driver: int) -> None:
    """Has this worker process end soon after its driver, which may be killed and stop nobody.

    A worker without a task would wait for its next one for minutes. Of one that grew by 300 MB loky
    thinks that it leaks, and replaces it; pictures that it shares with others count as its own.
    """
    from joblib.externals.loky import process_executor

    process_executor._MAX_MEMORY_LEAK_SIZE = math.inf
    open_streams()

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(_LOOK)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _start_trackers() -> None:
    """Starts what loky starts with its first worker, since that start would end the deferral."""
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as tracker_of_loky

    resource_tracker.ensure_running()
    tracker_of_loky.ensure_running()


def _guarded(results: Iterator[R]) -> Iterator[R]:
    with _losses():
        yield from results


@contextmanager
def _losses() -> Iterator[None]:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    try:
        yield
    except TerminatedWorkerError:
        raise WorkerLost from None
