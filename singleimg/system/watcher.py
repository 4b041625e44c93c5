"""A process that ends others once this one has ended, however that was: ``kill -9`` among it.

For the daemons of a library that do not look whether anybody still needs them. Needs psutil.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterable

_PATIENCE = 2.0  # seconds in which they may end by themselves
_TIME = 1.5  # seconds, by which the time that a process began may be told otherwise


class Watcher:
    """Ends processes, by their ids, when :meth:`end` is called or this process is gone."""

    def __init__(self, processes: Iterable[int]) -> None:
        import psutil

        lines = []
        for pid in processes:
            with contextlib.suppress(psutil.Error):
                lines.append(f"{pid} {psutil.Process(pid).create_time()}\n")
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        self._process.stdin.writelines(lines)
        self._process.stdin.flush()

    def end(self) -> None:
        """Has them ended now."""
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Reads processes from standard input; ends them when nobody writes there any more."""
    import psutil

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    found = []
    for pid, begun in (line.split() for line in sys.stdin):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(int(pid))
            if abs(process.create_time() - float(begun)) < _TIME:  # another one may have its id
                found.append(process)
    _, left = psutil.wait_procs(found, _PATIENCE)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    main()
