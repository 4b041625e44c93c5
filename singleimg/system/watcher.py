"""A process that ends others once this one has ended, however that was: ``kill -9`` among it.

For the daemons of a library that do not look whether anybody still needs them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable

_PATIENCE = 2.0  # seconds in which they may end by themselves


class Watcher:
    """Ends processes, by their ids, when :meth:`end` is called or this process is gone."""

    def __init__(self, processes: Iterable[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        about = begun(processes)
        self._process.stdin.write("".join(f"{pid} {time}\n" for pid, time in about.items()))
        self._process.stdin.flush()

    def end(self) -> None:
        """Has them ended now."""
        self._process.stdin.close()
        self._process.wait()


def begun(processes: Iterable[int]) -> dict[int, str]:
    """When each of them began, if it is there: another process may get its id later."""
    told = {}
    for pid in processes:
        found = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True
        )
        if found.stdout.strip():
            told[pid] = found.stdout.strip()
    return told


def main() -> None:
    """Reads processes from standard input; ends them when nobody writes there any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines = [line.strip().partition(" ") for line in sys.stdin]
    known = {int(pid): time for pid, _, time in lines}
    end = time.monotonic() + _PATIENCE
    while (left := begun(known).items() & known.items()) and time.monotonic() < end:
        time.sleep(0.05)
    for pid, _ in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
