"""``backend=ray``: chunks run on a cluster of Ray."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import numpy as np

from singleimg.backends.base import R, T, WorkerLost
from singleimg.backends.cluster import DEATHS, Channel, Cluster
from singleimg.errors import UserError
from singleimg.system.watcher import Watcher

_STORE = 500_000_000  # bytes of the object store on this machine
_LOOK = 0.2  # seconds between two questions for news
_TOKEN = uuid4().hex  # of clusters here: a process keeps the first one that it had
_LONGEST = 38  # characters of a folder for sockets, whose paths may have 103 on macOS
_SECONDS = 10.0  # until an address counts as empty, and until processes have ended
# As Ray reads it when it is imported, and its daemons when they start: nothing is told to anybody,
# all listen on the loopback address alone, and a worker is ended by us or by the system.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else 127.0.0.1 becomes another address, on Linux
    "RAY_memory_monitor_refresh_ms": "0",
    "RAY_AUTH_MODE": "token",  # one of the run's own, else it would make one in the home folder
}


class RayBackend(Cluster):
    """A cluster at ``address`` (``auto``, ``ray://host:10001``), else one of this machine."""

    name, package = "ray", "Ray"

    def __init__(self, address: str | None = None) -> None:
        super().__init__(address)
        self._begun = False
        self._watcher: Watcher | None = None
        self._folder: TemporaryDirectory | None = None
        self._pending: set[Any] = set()
        self._kept: list[Any] = []  # objects in the store
        self._stop_listening = Event()
        self._listener: Thread | None = None

    def connect(self, address: str) -> None:
        host, colon, port = address.rpartition("://")[2].rpartition(":")
        if colon:  # Ray would try for minutes, and end the process
            socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()
        self._init(address=address)

    def begin(self, workers: int, folder: str) -> None:
        import psutil

        short = folder
        if len(folder) > _LONGEST:
            self._folder = TemporaryDirectory(
                prefix="singleimg-", dir="/tmp", ignore_cleanup_errors=True
            )
            short = self._folder.name
        before, others = dict(os.environ), set(psutil.Process().children(recursive=True))
        os.environ.update(_ENVIRONMENT, TMPDIR=folder, RAY_AUTH_TOKEN=_TOKEN)
        try:
            self._init(
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=_STORE,
                _node_ip_address="127.0.0.1",
                _temp_dir=short,
            )
        finally:
            os.environ.clear()
            os.environ.update(before)
        # Agents of its own would look for a minute for daemons that are gone.
        children = set(psutil.Process().children(recursive=True)) - others
        self._watcher = Watcher(child.pid for child in children)

    def _init(self, **options: Any) -> None:
        import ray

        if self._begun:
            return
        ray.init(
            configure_logging=True,
            logging_level=logging.CRITICAL,
            log_to_driver=False,
            ignore_reinit_error=False,
            **options,
        )
        self._begun = True

    def cores(self) -> int:
        import ray

        cores = int(ray.cluster_resources().get("CPU", 0))
        if not cores:
            raise UserError(
                f"backend.address={self.address} has no cores: start a node, and type the same "
                "command again."
            )
        return cores

    def submit(self, function: Callable[[T], R], task: T) -> Any:
        import ray

        if not hasattr(self, "_remote"):
            self._remote = ray.remote(num_cpus=1, max_retries=DEATHS - 1, retry_exceptions=False)(
                _call
            )
        pending = self._remote.remote(function, task)
        self._pending.add(pending)
        return pending

    def wait(self, pending: list[Any], seconds: float) -> list[Any]:
        import ray

        done, _ = ray.wait(pending, num_returns=1, timeout=seconds)
        return done

    def result(self, done: Any, task: Any) -> Any:
        import ray
        from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

        self._pending.discard(done)
        try:
            return ray.get(done)
        except RayTaskError as error:
            raise error.cause from None
        except (WorkerCrashedError, NodeDiedError, OutOfMemoryError):
            raise WorkerLost(task) from None

    def failures(self) -> tuple[type[BaseException], ...]:
        from ray.exceptions import RayError

        return (RayError,)

    def channel(self, hear: Callable[..., None]) -> Channel:
        import ray

        news = ray.remote(num_cpus=0, max_restarts=-1)(_News).remote()
        self._kept.append(news)
        self._stop_listening.clear()

        def listen() -> None:
            while not self._stop_listening.wait(_LOOK):
                with suppress(Exception):  # it may be begun anew on another machine
                    for numbers in ray.get(news.take.remote()):
                        hear(*numbers)

        self._listener = Thread(target=listen, daemon=True)
        self._listener.start()
        return _Sent(news)

    def publish(self, pixels: np.ndarray) -> Callable[[], np.ndarray]:
        import ray

        self._kept.append(ray.put(pixels))
        return partial(_fetched, self._kept[-1])

    def end(self) -> None:
        if not self._begun:
            return
        import ray

        self._stop_listening.set()
        if self._listener is not None:
            self._listener.join(_SECONDS)  # asked once it is shut down, Ray would start again
        if self.address is not None and self._pending:
            with suppress(Exception):
                for pending in self._pending:  # which raises KeyboardInterrupt there
                    ray.cancel(pending)
                ray.wait(list(self._pending), num_returns=len(self._pending), timeout=_SECONDS)
        self._pending.clear()
        self._kept.clear()
        if hasattr(self, "_remote"):
            del self._remote
        ray.shutdown()
        if self._watcher is not None:
            self._watcher.end()
        if self._folder is not None:
            self._folder.cleanup()
        self._begun, self._watcher, self._listener, self._folder = False, None, None, None


def _call(function: Callable[[T], R], task: T) -> R:
    return function(task)


class _News:
    """An actor: what workers sent, until the driver takes it."""

    def __init__(self) -> None:
        self._news: list[tuple[int, ...]] = []

    def put(self, numbers: tuple[int, ...]) -> None:
        self._news.append(numbers)

    def take(self) -> list[tuple[int, ...]]:
        news, self._news = self._news, []
        return news


@dataclass(frozen=True)
class _Sent(Channel):
    """Messages to an actor."""

    news: Any

    def send(self, *numbers: int) -> None:
        self.news.put.remote(numbers)

    def stopped(self) -> bool:
        return False  # the task is cancelled, or its process ended


def _fetched(reference: Any) -> np.ndarray:
    """What was put into the object store, in a worker."""
    import ray

    return ray.get(reference)
