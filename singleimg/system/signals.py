"""Ctrl-C, SIGTERM and a closed terminal: the run stops in good order, and says by which it was."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_DEAF = 1.5  # seconds without an answer, until a process is taken for deaf
_RECENT = 5.0  # seconds in which a second signal adds nothing to the first
_LOOK = 0.05  # seconds between two looks


class Stopped(KeyboardInterrupt):
    """A signal asked the run to stop; ``status`` is what a shell reports of such a command."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.status = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raises Stopped in the main thread when a signal comes; one that is ignored stays ignored.

    Where the main thread hears nothing, in a long step of a library, the process ends after a while
    as by ``kill -9``: whatever is begun can go on from there.
    """

    def stop(number: int, frame: object) -> None:
        # A second one would cut short what is done to stop.
        if not heard or time.monotonic() - heard[-1] > _RECENT:
            heard.append(time.monotonic())
            raise Stopped(number)

    heard: list[float] = []  # when it was raised
    with _handled(stop), _watched(stop, heard), _never_lost(heard):
        yield


@contextmanager
def _watched(stop: Callable[[int, object], None], heard: list[float]) -> Iterator[None]:
    """Ends the process when ``stop`` was due and was not ``heard`` of in time."""
    if threading.current_thread() is not threading.main_thread() or os.name != "posix":
        yield
        return
    come, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def watch() -> None:
        for (number,) in iter(lambda: os.read(come, 1), b""):
            end = time.monotonic() + _DEAF
            # Another handler is there while signals are deferred or ignored, with good reason.
            while signal.getsignal(number) is stop and not (
                heard and time.monotonic() - heard[-1] < _RECENT
            ):
                if time.monotonic() > end:
                    print(
                        "Stopped in a long step: type the same command again to resume.",
                        file=sys.stderr,
                    )
                    os._exit(128 + number)
                time.sleep(_LOOK)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(told)
        thread.join(_DEAF)
        os.close(come)


@contextmanager
def _never_lost(heard: list[float]) -> Iterator[None]:
    """Raises Stopped once more that came where Python drops exceptions, such as in ``__del__``."""
    before = sys.unraisablehook

    def hook(lost: Any) -> None:
        if isinstance(lost.exc_value, Stopped):
            heard.clear()
            main = threading.main_thread().ident  # whom it wakes, should it wait
            again = [main, lost.exc_value.status - 128]
            threading.Timer(_LOOK, signal.pthread_kill, again).start()
        else:
            before(lost)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


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


def _forget_watch() -> None:
    """In a process that was forked: what it hears is not its parent's to answer."""
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_watch)
