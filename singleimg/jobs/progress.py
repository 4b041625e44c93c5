"""A progress bar over images, fed by every worker, and the driver's word to stop.

Each chunk has a row of its own: images done, the process that has the chunk in hand, bytes of the
images. The first row is of all: not zero when workers are to drop what they have in hand, and when
the first of them is ready. On one machine the rows are a small memory-mapped file, of which each
process writes other rows, so that none waits for another. Workers elsewhere send theirs.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from singleimg.backends.cluster import Channel
from singleimg.system.bars import Bar
from singleimg.system.tempdir import temporary_errors

_SECONDS = 0.2  # after which the driver is told, however few images there are
_SENT_SECONDS = 0.5  # between two messages of a chunk: a thousand workers may send them
_DONE, _PROCESS, _BYTES = 0, 1, 2  # columns
_STOP, _BEGUN = 0, 1  # columns of the first row
_NONE = -1  # in place of a chunk's number: the worker is ready


class Dropped(BaseException):
    """The driver stops: the chunk in hand is to be dropped."""


class Counts(ABC):
    """The rows as a worker sees them; travels with the tasks."""

    @abstractmethod
    def put(self, slot: int, done: int, process: int, nbytes: int) -> None:
        """Writes the row of a chunk; ``process``: 0 when nobody has it in hand any more."""

    @abstractmethod
    def put_begun(self) -> None:
        """Says that a worker is ready."""

    @abstractmethod
    def stopped(self) -> bool:
        """Whether the driver wants no more."""


class FileCounts(Counts):
    """Rows in a file of this machine; that of so many chunks is made by :meth:`begin`."""

    def __init__(self, file: str | Path) -> None:
        self.file = str(file)

    @classmethod
    def begin(cls, folder: str | Path, slots: int) -> FileCounts:
        counts = cls(Path(folder) / "counts")
        with temporary_errors():
            # Written, not only as long: on a full disk a page that is missing ends the process.
            np.zeros((slots + 1, 3), np.int64).tofile(counts.file)
        return counts

    def __reduce__(self) -> tuple[type[FileCounts], tuple[str]]:
        return FileCounts, (self.file,)

    @cached_property
    def rows(self) -> np.ndarray:
        return np.memmap(self.file, dtype=np.int64, mode="r+").reshape(-1, 3)

    def put(self, slot: int, done: int, process: int, nbytes: int) -> None:
        self.rows[slot + 1] = done, process, nbytes

    def put_begun(self) -> None:
        self.rows[0, _BEGUN] = 1

    def stopped(self) -> bool:
        return bool(self.rows[0, _STOP])


class SentCounts(Counts):
    """Rows that are sent to the driver, whose :meth:`Progress.hear` takes them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sent: dict[int, float] = {}  # when, for each chunk that is in hand

    def put(self, slot: int, done: int, process: int, nbytes: int) -> None:
        now = time.monotonic()
        if process and done and now - self._sent.get(slot, 0.0) < _SENT_SECONDS:
            return  # the next one says more
        self._sent[slot] = now
        self._channel.send(slot, done, process, nbytes)
        if not process:
            del self._sent[slot]

    def put_begun(self) -> None:
        self._channel.send(_NONE, 0, 0, 0)

    def stopped(self) -> bool:
        return self._channel.stopped()


class Counter:
    """Counts the finished images of one chunk; ``slot`` is its place."""

    def __init__(self, counts: Counts, slot: int, every: int) -> None:
        self.counts, self._slot, self._every = counts, slot, every
        self.count, self.bytes, self._told = 0, 0, time.monotonic()

    def __enter__(self) -> Counter:
        self.counts.put(self._slot, 0, os.getpid(), 0)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # not made, however far it was
            self.count, self.bytes = 0, 0
        self.counts.put(self._slot, self.count, 0, self.bytes)

    def step(self, size: int) -> None:
        """One more image, of ``size`` bytes; every ``every`` of them the driver is told, or sooner
        where they take long."""
        self.count += 1
        self.bytes += size
        if self.count % self._every == 0 or time.monotonic() - self._told > _SECONDS:
            self.flush()
        self.check()

    def check(self) -> None:
        """Raises Dropped when the driver wants no more."""
        if self.counts.stopped():
            raise Dropped

    def flush(self) -> None:
        """Tells the driver now."""
        self._told = time.monotonic()
        self.counts.put(self._slot, self.count, os.getpid(), self.bytes)


class Progress:
    """The driver's side: a bar that starts at ``done``, of ``total`` images in so many chunks.

    ``folder``: one of this run's own, for the counters. ``expected``: what the bar is told of the
    time, as ``Bar`` wants it.
    """

    def __init__(
        self, folder: str | Path, total: int, done: int, slots: int, **expected: float
    ) -> None:
        self.counts = FileCounts.begin(folder, slots)
        self._rows = self.counts.rows
        self._done = done
        self._ended: set[int] = set()
        self._bar = Bar(total, done=done, look=self._look, again=True, **expected)

    def __enter__(self) -> Progress:
        self._bar.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._bar.__exit__(*raised)

    def hear(self, slot: int, done: int, process: int, nbytes: int) -> None:
        """What a worker elsewhere sent; from any thread."""
        self.counts.put_begun()
        if slot != _NONE and slot not in self._ended:
            self.counts.put(slot, done, process, nbytes)

    def end(self, slot: int, images: int, nbytes: int) -> None:
        """A chunk is made: so its worker said when it gave it back. What it sent may come later."""
        self._ended.add(slot)
        self.counts.put(slot, images, 0, nbytes)

    @property
    def counted(self) -> int:
        """Images that workers have told of."""
        return int(self._rows[1:, _DONE].sum())

    @property
    def bytes(self) -> int:
        """Bytes of the images that workers have told of."""
        return int(self._rows[1:, _BYTES].sum())

    @property
    def begun(self) -> bool:
        """Whether a worker is ready."""
        return bool(self._rows[0, _BEGUN])

    def ended(self, slot: int, images: int) -> bool:
        """Whether a chunk of so many images is made and put down."""
        return self._rows[slot + 1, :_BYTES].tolist() == [images, 0]

    def in_hand(self) -> list[int]:
        """The slots of the chunks that somebody began and did not end."""
        return np.flatnonzero(self._rows[1:, _PROCESS]).tolist()

    def forget(self, slots: Iterable[int]) -> None:
        """Takes back what was counted of chunks that are to be made again, and that any is in hand:
        nobody is at work."""
        for slot in slots:
            self._rows[slot + 1] = 0
        self._rows[1:, _PROCESS] = 0
        self._rows[0, _BEGUN] = 0

    def stop(self, seconds: float) -> None:
        """Has every worker drop its chunk, and waits for that, ``seconds`` at most."""
        self._rows[0, _STOP] = 1
        end = time.monotonic() + seconds
        while self.in_hand() and time.monotonic() < end:
            time.sleep(0.01)

    def _look(self) -> int:
        if self.begun:
            self._bar.begin()
        return self._done + self.counted
