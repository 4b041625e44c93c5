"""Who is at work on a slice: a lease in the target, renewed for as long as its holder lives.

Machines that share a dataset know of each other by small files in it alone. A lease that nobody
renews is over after two minutes; on its holder's own host at once, when that process is gone. Two
that hold one slice for a while, since one of them was taken for dead, make the same bytes twice.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from uuid import uuid4

from singleimg.errors import UserError, WriteError
from singleimg.storage.base import Store
from singleimg.storage.shards import Slice
from singleimg.system.logs import log

FOLDER = ".slices"
RENEWED, OVER = 30.0, 120.0  # seconds: between two renewals, and without one
_LOOK = 0.5  # seconds between two looks at another one's lease
_SUFFIX = ".lease"


@dataclass(frozen=True)
class Lease:
    """Who holds a slice; ``token`` tells two holders apart, times are seconds since 1970."""

    slice: str
    host: str
    pid: int
    since: float
    renewed: float
    token: str

    def is_over(self) -> bool:
        """Whether its holder is gone, as far as one can know here."""
        if abs(time.time() - self.renewed) > OVER:  # clocks differ by less
            return True
        return self.host == socket.gethostname() and not lives(self.pid)

    def __str__(self) -> str:
        return f"slice={self.slice} is held by process {self.pid} on {self.host}"


class Holding:
    """A lease that this process has, and renews in a thread."""

    def __init__(self, store: Store, one: Slice) -> None:
        now = time.time()
        self._store, self._name = store, lease_place(one)
        self._mine = Lease(str(one), socket.gethostname(), os.getpid(), now, now, uuid4().hex)
        self._ends, self._lost = threading.Event(), False
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Holding:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        with suppress(UserError, WriteError, OSError):
            if not self.is_lost():
                self._store.remove(self._name, wait=False)

    def is_lost(self) -> bool:
        """Whether another process has taken it over, since this one slept: looks."""
        found = read_lease(self._store, self._name)
        self._lost = self._lost or (found is not None and found.token != self._mine.token)
        return self._lost

    def check(self) -> None:
        """Raises UserError when another process is known to have taken it over."""
        if self._lost:
            raise UserError(
                f"slice={self._mine.slice} of targetpath={self._store} was taken over by another "
                f"process, since this one did not renew its lease for {OVER:.0f} s: leave the "
                "slice to that process."
            )

    def _renew(self) -> None:
        while not self._ends.wait(RENEWED):
            with suppress(UserError, WriteError, OSError):  # a store may be away for a while
                if self.is_lost():
                    return
                self._write()

    def _write(self) -> None:
        self._mine = replace(self._mine, renewed=time.time())
        self._store.write(self._name, json.dumps(asdict(self._mine)) + "\n")


@contextmanager
def hold_slice(store: Store, one: Slice) -> Iterator[Holding]:
    """Holds a slice while it is at work; waits for the lease of a process that seems to be gone.

    Raises UserError when another one is at work on it.
    """
    other = read_lease(store, lease_place(one))
    if other is not None and not other.is_over():
        log.info("%s: waiting to see whether that is still running, %.0f s at most.", other, OVER)
    while other is not None and not other.is_over():
        time.sleep(_LOOK)
        now = read_lease(store, lease_place(one))
        if now is not None and now != other:
            raise UserError(
                f"{now}, which is running on targetpath={store}: wait until that ends, or type "
                "another slice."
            )
        other = now
    with Holding(store, one) as holding:
        yield holding


def lease_place(one: Slice) -> str:
    """Where the lease of a slice lies in its dataset."""
    return f"{FOLDER}/{one.number}{_SUFFIX}"


def read_lease(store: Store, name: str) -> Lease | None:
    """The lease at a place; None where there is none, or nothing that could be one."""
    try:
        return Lease(**json.loads(store.read(name) or b""))
    except (ValueError, TypeError):
        return None


def living_leases(store: Store, names: Iterable[str] | None = None) -> list[Lease]:
    """The leases of a dataset that are not over, by their slices; ``names``: if they are known."""
    names = store.names(FOLDER) if names is None else names
    leases = sorted((name for name in names if name.endswith(_SUFFIX)), key=_number)
    found = [read_lease(store, f"{FOLDER}/{name}") for name in leases]
    return [lease for lease in found if lease is not None and not lease.is_over()]


def forget_slices(store: Store) -> list[Lease]:
    """Removes all that slices of a dataset left, unless some are at work: their leases."""
    names = store.names(FOLDER)
    living = living_leases(store, names)
    for name in () if living else names:
        store.remove(f"{FOLDER}/{name}", wait=False)
    if not living:
        store.remove_empty(FOLDER)
    return living


def lives(pid: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _number(name: str) -> int:
    number = name.removesuffix(_SUFFIX)
    return int(number) if number.isdecimal() else -1
