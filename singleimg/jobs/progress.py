"""A progress bar over images, fed by every worker, and the driver's word to stop.

Each chunk has a row of its own in a small memory-mapped file, so that one process writes each and
none waits for another: images done, the process that has the chunk in hand, bytes of the images.
The first row is of all: not zero when they are to drop what they have in hand, and when the first
worker is ready.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from singleimg.system.bars import Bar
from singleimg.system.tempdir import temporary_errors

_SECONDS = 0.2  # after which the driver is told, however few images there are
_DONE, _PROCESS, _BYTES = 0, 1, 2  # columns
_STOP, _BEGUN = 0, 1  # columns of the first row


class Dropped(BaseException):
    """The driver stops: the chunk in hand is to be dropped."""


class Counter:
    """Counts the finished images of one chunk; ``slot`` is its place."""

    def __init__(self, file: str, slot: int, every: int) -> None:
        self._rows = np.memmap(file, dtype=np.int64, mode="r+").reshape(-1, 3)
        self._row, self._every, self._count, self.bytes = slot + 1, every, 0, 0
        self._told = time.monotonic()

    def __enter__(self) -> Counter:
        self._rows[self._row] = 0, os.getpid(), 0
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._rows[self._row, _PROCESS] = 0
        else:  # not made, however far it was
            self._rows[self._row] = 0

    def step(self, size: int) -> None:
        """One more image, of ``size`` bytes; every ``every`` of them the driver is told, or sooner
        where they take long."""
        self._count += 1
        self.bytes += size
        if self._count % self._every == 0 or time.monotonic() - self._told > _SECONDS:
            self.flush()
        self.check()

    def check(self) -> None:
        """Raises Dropped when the driver wants no more."""
        if self._rows[0, _STOP]:
            raise Dropped

    def flush(self) -> None:
        """Tells the driver now."""
        self._told = time.monotonic()
        self._rows[self._row, [_DONE, _BYTES]] = self._count, self.bytes


def tell_begun(file: str) -> None:
    """Tells the driver that a worker is ready."""
    np.memmap(file, dtype=np.int64, mode="r+")[_BEGUN] = 1


def begin_counts(folder: str | Path, slots: int) -> str:
    """Makes the file of the counters of so many chunks."""
    file = str(Path(folder) / "counts")
    with temporary_errors():
        # Written, not only as long: on a full disk a page that is missing ends the process.
        np.zeros((slots + 1, 3), np.int64).tofile(file)
    return file


class Progress:
    """The driver's side: a bar that starts at ``done``, of ``total`` images in so many chunks.

    ``folder``: one of this run's own, for the counters. ``expected``: what the bar is told of the
    time, as ``Bar`` wants it.
    """

    def __init__(
        self, folder: str | Path, total: int, done: int, slots: int, **expected: float
    ) -> None:
        self.file = begin_counts(folder, slots)
        self._rows = np.memmap(self.file, dtype=np.int64, mode="r+").reshape(-1, 3)
        self._done = done
        self._bar = Bar(total, done=done, look=self._look, again=True, **expected)

    def __enter__(self) -> Progress:
        self._bar.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._bar.__exit__(*raised)
        del self._rows

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
