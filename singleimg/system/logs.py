"""Where the log goes: to standard output, and to ``run.log`` beside the images."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("singleimg")


@contextmanager
def logging_to_console() -> Iterator[None]:
    """Plain lines on standard output."""
    handler = _Console(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    with _handled(handler):
        yield


@contextmanager
def logging_to_file(path: Path) -> Iterator[None]:
    """Lines with time and level, appended to ``path``."""
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    with _handled(handler):
        yield


class _Console(logging.StreamHandler):
    """Standard output, which may be a pipe whose reader has left (``| head``)."""

    def handleError(self, record: logging.LogRecord) -> None:
        """What nobody reads any more goes nowhere; the work goes on."""
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        else:
            super().handleError(record)


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
