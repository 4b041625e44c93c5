"""``backend=dask``: chunks run on a cluster of dask.distributed."""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np

from singleimg.backends.base import R, T, WorkerLost
from singleimg.backends.cluster import DEATHS, Channel, Cluster
from singleimg.errors import UserError

_SILENT = logging.CRITICAL + 1  # what matters is said in a sentence
_SECONDS = 10.0  # until a scheduler counts as absent, and until workers have dropped their chunks
_LOOK = 0.2  # seconds between two looks for pixels that are made again
_PATIENCE = 120.0  # seconds, until they are taken for lost
_KEY = "singleimg"
_stopped: set[str] = set()  # in a worker: runs whose driver wants no more


class DaskBackend(Cluster):
    """A scheduler at ``address`` (``tcp://host:8786``), else a cluster of one-thread processes."""

    name, package = "dask", "dask.distributed"

    def __init__(self, address: str | None = None) -> None:
        super().__init__(address)
        self._client: Any = None
        self._cluster: Any = None
        self._futures: set[Any] = set()
        self._kept: list[Any] = []
        self._run = uuid4().hex

    def connect(self, address: str) -> None:
        from distributed import Client

        _silence()
        if self._client is None:
            self._client = Client(address, timeout=_SECONDS, set_as_default=False)

    def begin(self, workers: int, folder: str) -> None:
        import dask.config
        from distributed import Client, LocalCluster

        _silence()
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": DEATHS - 1,
                "distributed.scheduler.worker-saturation": 1.0,  # none waits at one that may die
                "distributed.nanny.environ.TMPDIR": folder,
                "distributed.worker.memory.target": False,  # pictures are mapped, and shared
                "distributed.worker.memory.spill": False,
                "distributed.worker.memory.pause": False,
                "distributed.worker.memory.terminate": False,
            }
        )
        self._cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            worker_dashboard_address=None,
            memory_limit=0,
            local_directory=folder,
            silence_logs=_SILENT,
        )
        self._client = Client(self._cluster, set_as_default=False)

    def cores(self) -> int:
        threads = self._client.nthreads().values()
        if not threads:
            raise UserError(
                f"backend.address={self.address} has no workers yet: start one, and type the same "
                "command again."
            )
        self.in_threads = max(threads) > 1
        return sum(threads)

    def submit(self, function: Callable[[T], R], task: T) -> Any:
        future = self._client.submit(
            function, task, key=f"{_KEY}-{uuid4().hex}", pure=False, retries=0
        )
        self._futures.add(future)
        return future

    def wait(self, pending: list[Any], seconds: float) -> list[Any]:
        from distributed import wait
        from distributed.utils import TimeoutError as Late

        try:
            with self._client.as_current():
                return list(wait(pending, timeout=seconds, return_when="FIRST_COMPLETED").done)
        except Late:
            return []

    def result(self, done: Any, task: Any) -> Any:
        from distributed.scheduler import KilledWorker

        self._futures.discard(done)
        try:
            return done.result()  # a worker that ends before it is here has it made again
        except KilledWorker:
            raise WorkerLost(task) from None

    def failures(self) -> tuple[type[BaseException], ...]:
        from distributed.client import FutureCancelledError, FuturesCancelledError
        from distributed.comm import CommClosedError

        return FutureCancelledError, FuturesCancelledError, CommClosedError

    def channel(self, hear: Callable[..., None]) -> Channel:
        topic = f"{_KEY}-{self._run}"
        self._client.subscribe_topic(topic, lambda event: hear(*event[1]))
        return _Events(topic, self._run)

    def publish(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        # Of a task: what is scattered is lost with the worker that has it.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            future = self._client.submit(_same, pixels, key=f"{_KEY}-{uuid4().hex}", pure=False)
        self._kept.append(future)
        return partial(_gathered, future.key)

    def end(self) -> None:
        client, cluster, self._client, self._cluster = self._client, self._cluster, None, None
        # Whoever is gone already, or does not answer in time, is not waited for.
        if client is not None and cluster is None and self._futures:
            from distributed import wait

            with suppress(Exception), client.as_current():
                client.run(_stop, self._run, on_error="ignore")
                # Cancelled, they would be forgotten and still at work.
                wait(list(self._futures), timeout=_SECONDS)
        self._futures.clear()
        self._kept.clear()
        for one in (client, cluster):
            with suppress(Exception):
                one is None or one.close(timeout=_SECONDS)


def _silence() -> None:
    """After the import, which gives each of them a level of its own."""
    for name in ("distributed", "distributed.client", "tornado", "tornado.application"):
        logging.getLogger(name).setLevel(_SILENT)


@dataclass(frozen=True)
class _Events(Channel):
    """Events of a topic, which the scheduler passes on."""

    topic: str
    run: str

    def send(self, *numbers: int) -> None:
        from distributed import get_worker

        get_worker().log_event(self.topic, numbers)

    def stopped(self) -> bool:
        return self.run in _stopped


def _stop(run: str) -> None:
    """In a worker: has tasks of a run drop what they have in hand."""
    _stopped.add(run)


def _same(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _gathered(key: str) -> np.ndarray:
    """The result of a task, in a worker; of a cluster that has lost it, once it is made again."""
    from distributed import get_worker
    from distributed.utils import sync
    from distributed.utils_comm import gather_from_workers

    worker, end = get_worker(), time.monotonic() + _PATIENCE

    async def gathered() -> np.ndarray:
        while time.monotonic() < end:
            holders = await worker.scheduler.who_has(keys=[key])
            found, *_ = await gather_from_workers(holders, rpc=worker.rpc, who=worker.address)
            if key in found:
                return found[key]
            await asyncio.sleep(_LOOK)
        raise UserError(
            "the cluster has lost the pictures, since too many of its workers ended: type the same "
            "command again."
        )

    return sync(worker.loop, gathered)
