"""A progress bar over images, fed by every worker.

Each shard has a counter of its own in a small memory-mapped file, so that one process writes each
and none waits for another; the driver adds them up.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import numpy as np
from tqdm import tqdm

_SECONDS = 0.2  # between two looks at the counters


class Counter:
    """Counts the finished images of one shard; ``slot`` is its place in the file."""

    def __init__(self, file: str, slot: int, every: int) -> None:
        self._counts = np.memmap(file, dtype=np.int64, mode="r+")
        self._slot, self._every, self._count = slot, every, 0

    def step(self) -> None:
        """One more image is done; every ``every`` of them the driver is told."""
        self._count += 1
        if self._count % self._every == 0:
            self.flush()

    def flush(self) -> None:
        """Tells the driver now."""
        self._counts[self._slot] = self._count


class Progress:
    """The driver's side: a tqdm bar that starts at ``done``; quiet when not a terminal.

    ``folder``: one of this run's own, for the counters.
    """

    def __init__(self, folder: str | Path, total: int, done: int, slots: int) -> None:
        self.file = str(Path(folder) / "counts")
        self._counts = np.memmap(self.file, dtype=np.int64, mode="w+", shape=(max(slots, 1),))
        self._done = done
        self._bar = tqdm(total=total, initial=done, unit="img", disable=None, smoothing=0.1)
        self._stop = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._show()
        self._bar.close()
        del self._counts

    def _watch(self) -> None:
        while not self._stop.wait(_SECONDS):
            self._show()

    def _show(self) -> None:
        self._bar.update(self._done + int(self._counts.sum()) - self._bar.n)
