"""Where the log goes: to standard output, and to ``run.log`` beside the images."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("singleimg")
_KEPT = 100  # lines


@contextmanager
def logging_to_console() -> Iterator[None]:
    """Plain lines on standard output."""
    handler = _Console()
    handler.setFormatter(logging.Formatter("%(message)s"))
    with _handled(handler):
        yield


@contextmanager
def logging_to_file(path: Path, *head: str) -> Iterator[None]:
    """Lines with time and level, appended to ``path``: those of ``head``, then what the console was
    told before there was a file, then what comes."""
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for line in head:
        handler.handle(log.makeRecord(log.name, logging.INFO, "", 0, line, (), None))
    for console in (one for one in log.handlers if isinstance(one, _Console)):
        while console.said:
            handler.handle(console.said.popleft())
    with _handled(handler):
        yield


@contextmanager
def quiet(so: bool = True) -> Iterator[None]:
    """What is not a warning goes to the log file alone, within a job of a sweep."""
    _Console.least = logging.WARNING if so else logging.INFO
    try:
        yield
    finally:
        _Console.least = logging.INFO


class _Console(logging.Handler):
    """Standard output.

    said: the last lines, as long as no file has them. least: the level of what is printed.
    """

    least = logging.INFO

    def __init__(self) -> None:
        super().__init__()
        self.said: deque[logging.LogRecord] = deque(maxlen=_KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        if not any(isinstance(one, _LogFile) for one in log.handlers):
            self.said.append(record)
        if record.levelno < self.least:
            return
        try:  # by its name: while there is a bar, another stands there
            sys.stdout.write(f"{self.format(record)}\n")
            sys.stdout.flush()
        except Exception:
            self.handleError(record)


class _LogFile(logging.FileHandler):
    """A file whose disk may be full: the sentence for that is the run's to say."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Leaves the line out; logging itself would print a traceback."""

    def close(self) -> None:
        """Closes it, with what of the last line found room."""
        with suppress(OSError):
            super().close()


@contextmanager
def _handled(handler: logging.Handler) -> Iterator[None]:
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()
