"""Ctrl-C, SIGTERM and a closed terminal: the run stops in good order, and says by which it was."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Stopped(KeyboardInterrupt):
    """A signal asked the run to stop; ``status`` is what a shell reports of such a command."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.status = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raises Stopped in the main thread when a signal comes; one that is ignored stays ignored."""

    def stop(number: int, frame: object) -> None:
        raise Stopped(number)

    with _handled(stop):
        yield


@contextmanager
def ignore_signals() -> Iterator[None]:
    """While what must be done to stop is done, further signals change nothing."""
    with _handled(signal.SIG_IGN):
        yield


@contextmanager
def deferred() -> Iterator[None]:
    """Signals that come meanwhile are answered afterwards; processes begun meanwhile hear none.

    For what must not be cut in two, and for libraries that make another error of an exception that
    a signal raised within them.
    """
    came: list[int] = []
    try:
        # Blocking alone is not enough: the signal would reach another thread of this process, and
        # Python answers it in the main thread all the same.
        with _handled(lambda number, frame: came.append(number)), _blocked():
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


@contextmanager
def _blocked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _handled(handler: object) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number in _SIGNALS:
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, handler)
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
