"""How far a long task is: a bar on a terminal, a line a minute elsewhere.

A terminal has one line for bars, its last one, and the innermost bar that is open has that line.
All that is printed meanwhile stands above it: the log, warnings, what libraries print. When the
bar ends, the line is empty.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, RLock, Thread
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

from singleimg.system.figures import duration, rate
from singleimg.system.logs import log
from singleimg.system.signals import deferred

T = TypeVar("T")

EVERY = 60.0  # seconds between two lines where there is no terminal
_TICK = 0.2  # seconds between two looks
_HORIZON = 20.0  # seconds after which a speed counts for little
_STANDS = 5 * 60.0  # seconds without any, after which a speed says nothing
_TRUST = 2.0  # seconds of observation that an expectation is worth
_AGAIN, _SURE, _SHORT = 0.1, 2.0, 5.0  # of the work; seconds of observation; seconds left
_NARROW = 60  # columns; in fewer there is room for figures only
_PLURALS = {"img": "images", "B": "bytes", "batch": "batches"}
_FULL = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{left}, {rate_fmt}{postfix}]"
_BRIEF = "{percentage:.0f}% {n_fmt}/{total_fmt} {left}"


class Speed:
    """How many a second, of late: what is long past counts less and less.

    expected: by an estimate, which is worth two seconds of observation.
    """

    def __init__(self, expected: float | None = None) -> None:
        self._count, self._seconds = (expected * _TRUST, _TRUST) if expected else (0.0, 0.0)
        self._total = 0.0  # seconds observed
        self._all = 0

    @property
    def observed(self) -> float:
        """Seconds of observation."""
        return self._total

    @property
    def each(self) -> float:
        """Seconds that one took, of all that were observed."""
        return self._total / (self._all + 1)

    @property
    def value(self) -> float | None:
        """None as long as nothing is known."""
        return self._count / self._seconds if self._count > 0 else None

    def observe(self, count: int, seconds: float) -> None:
        """So many more in so many seconds."""
        self._total += seconds
        self._all += max(count, 0)
        # Of what comes rarely a few are to be in sight.
        fade = math.exp(-seconds / max(_HORIZON, 5 * self.each))
        self._count = self._count * fade + count
        self._seconds = self._seconds * fade + seconds


class Bar:
    """A count on its way to ``total``, from ``done``. To be opened by ``with``.

    unit: what is counted, as a word that takes an s; ``B`` for bytes. look: asked for the count
    from time to time, where nobody calls :meth:`update`. seconds: what the rest is expected to
    take, ``pause`` of them before the first are made. tail: how many times as long it takes as all
    workers would need that were at work to the end. again: whether a line says at a tenth of the
    work what the whole will take. shown: False where another process shows it.
    """

    def __init__(
        self, total: int | None, unit: str = "img", what: str = "", *, done: int = 0,
        look: Callable[[], int] | None = None, seconds: float = 0, pause: float = 0,
        tail: float = 1, again: bool = False, shown: bool = True,
    ) -> None:  # fmt: skip
        self.total, self.unit, self.what, self.n = total, unit, what, done
        self.note = ""  # stands at the end
        self._done, self._look, self._pause, self._tail = done, look, pause, tail
        self._again, self._shown = again, shown
        expected = (total - done) * tail / (seconds - pause) if total and seconds > pause else None
        self._speed = Speed(expected)
        self._ended = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Bar:
        self._begin = self._seen_at = self._moved_at = self._said = time.monotonic()
        self._seen = self.n
        if self._shown:
            try:
                with deferred():  # a signal finds all of it, or nothing
                    _screen.open(self)
                    self._thread.start()
            except KeyboardInterrupt:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._ended.set()
            self._thread.join(1)  # whom a signal may have left without its lock
            self._tick()
            _screen.close(self)

    def update(self, by: int = 1) -> None:
        """So many more are done."""
        self.n += by

    def begin(self) -> None:
        """All are at work from now on: the pause is over."""
        if self._pause:
            self._pause = 0
            self._seen, self._seen_at = self.n, time.monotonic()
            self._moved_at = self._seen_at

    @property
    def left(self) -> float | None:
        """Seconds, by the speed of late; None as long as nothing is known, and while it stands."""
        if self.total is None or self._speed.value is None or self._stands():
            return None
        rest = (self.total - self.n) / max(self.total - self._done, 1)
        tail = 1 + (self._tail - 1) * rest
        waits = max(0.0, self._pause - (time.monotonic() - self._begin))
        return waits + (self.total - self.n) / self._speed.value * tail

    def line(self) -> str:
        """How far it is, as a sentence."""
        things = _PLURALS.get(self.unit, f"{self.unit}s")
        what = "".join(f"{one}: " for one in (_screen.label, self.what) if one)
        of = "" if self.total is None else f" of {self.total:,}"
        if self._stands():
            none_for = duration(time.monotonic() - self._moved_at)
            return f"{what}{self.n:,}{of} {things}, none for {none_for}"
        speed = self._speed.value
        fast = "" if speed is None or self._pause else f", {rate(speed, 1)} {things}/s"
        left = self.left
        rest = "" if left is None else f", about {duration(left)} left"
        return f"{what}{self.n:,}{of} {things}{fast}{rest}"

    def _stands(self) -> bool:
        """Whether nothing was done for so long that a speed says nothing."""
        if self._speed.value is None or self._pause:
            return False
        return time.monotonic() - self._moved_at >= max(_STANDS, 5 * self._speed.each)

    def _watch(self) -> None:
        while not self._ended.wait(_TICK):
            self._tick()

    def _tick(self) -> None:
        if self._look is not None:
            self.n = self._look()
        now = time.monotonic()
        if not self._pause:
            self._speed.observe(self.n - self._seen, now - self._seen_at)
            self._moved_at = now if self.n != self._seen else self._moved_at
            self._seen, self._seen_at = self.n, now
        if self._again:
            self._say_again(now)
        if _screen.shows(self):
            _screen.draw()
        elif now - self._said >= EVERY and _screen.innermost(self):
            self._said = now
            log.info("%s.", self.line())

    def _say_again(self, now: float) -> None:
        """At a tenth of the work, or somewhat later where that was seen for a moment only."""
        share = (self.n - self._done) / max(self.total - self._done, 1)
        seen = self._speed.observed >= _SURE or share >= 5 * _AGAIN
        if self._pause or share < _AGAIN or not seen:
            return
        self._again = False
        left = self.left
        if left is not None and left >= _SHORT:
            log.info("%s, %s in all.", self.line(), duration(left + now - self._begin))

    def text(self, columns: int) -> str:
        """The bar in so many columns."""
        left, clock = self.left, tqdm.format_interval
        narrow = columns < _NARROW
        text = tqdm.format_meter(
            self.n, self.total, time.monotonic() - self._begin, columns,
            prefix=": ".join(filter(None, (_screen.label, self.what))),
            unit=self.unit, unit_scale=self.unit == "B",
            rate=None if self._pause else self._speed.value, postfix=self.note,
            bar_format=None if self.total is None else _BRIEF if narrow else _FULL,
            ascii=not _screen.has_blocks, left="?" if left is None else clock(left),
        )  # fmt: skip
        return text[:columns]


def counted(things: Iterable[T], total: int, unit: str = "img", what: str = "") -> Iterator[T]:
    """``things`` one by one, under a bar."""
    with Bar(total, unit, what) as bar:
        for one in things:
            yield one
            bar.update()


@contextmanager
def labelled(label: str) -> Iterator[None]:
    """Bars that are opened within have this before what they say of themselves."""
    _screen.label = label
    try:
        yield
    finally:
        _screen.label = ""


class _Screen:
    """The last line of a terminal, and the bars that would stand there; one a process."""

    def __init__(self) -> None:
        self._lock, self._bars = RLock(), []
        self._stream: TextIO | None = None  # the terminal, while there is a bar
        self._above: dict[str, _Above] = {}  # what took the place of a stream of sys, by its name
        self._width = 0  # of what stands in the line now
        self.has_blocks = False
        self.label = ""

    def open(self, bar: Bar) -> None:
        with self._lock:
            if not self._bars:
                self._take()
            self._bars.append(bar)
            self.draw()

    def close(self, bar: Bar) -> None:
        with self._lock:
            self._erase()
            self._bars.remove(bar)
            if self._bars:
                self.draw()
            else:
                self._give_back()

    def innermost(self, bar: Bar) -> bool:
        """Whether it is this bar's turn to be seen."""
        with self._lock:
            return bool(self._bars) and self._bars[-1] is bar

    def shows(self, bar: Bar) -> bool:
        """Whether it is, on a terminal."""
        return self._stream is not None and self.innermost(bar)

    def draw(self) -> None:
        """Writes the innermost bar into the line."""
        with self._lock:
            if not self._bars or self._stream is None:
                return
            columns = shutil.get_terminal_size().columns
            with suppress(OSError, ValueError):
                columns = os.get_terminal_size(self._stream.fileno()).columns or columns
            # Ctrl-C shows itself as ^C behind the bar, and must not begin another line.
            text = self._bars[-1].text(max(1, columns - 3))
            self._write(f"\r{text}{' ' * (self._width - len(text))}")
            self._width = len(text)

    @contextmanager
    def above(self) -> Iterator[None]:
        """Whole lines that are printed within stand above the bar."""
        with self._lock:
            self._erase()
            try:
                yield
            finally:
                self.draw()

    def _erase(self) -> None:
        if self._width and self._stream is not None:
            self._write(f"\r{' ' * (self._width + 2)}\r")
        self._width = 0

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal is gone
            self._stream = None

    def _take(self) -> None:
        """Looks for a terminal; what others print goes above the bar from now on."""
        stream = sys.stderr
        dumb = os.environ.get("TERM", "" if os.name == "posix" else "any") in ("", "dumb")
        child = multiprocessing.parent_process() is not None  # whose siblings have bars as well
        if stream is None or not stream.isatty() or dumb or child:
            return
        self._stream, self._width = stream, 0
        try:
            "█▏".encode(getattr(stream, "encoding", None) or "ascii")
            self.has_blocks = True
        except UnicodeError:
            self.has_blocks = False
        for name in ("stdout", "stderr"):
            self._above[name] = _Above(self, getattr(sys, name))
            setattr(sys, name, self._above[name])

    def _give_back(self) -> None:
        self._stream = None
        while self._above:
            name, above = self._above.popitem()
            above.end()
            if getattr(sys, name) is above:
                setattr(sys, name, above.stream)

    def forget(self) -> None:
        """In a process that was forked: the line is its parent's."""
        self.__init__()


class _Above:
    """A stream whose lines stand above the bar; what is no whole line yet waits."""

    def __init__(self, screen: _Screen, stream: TextIO) -> None:
        self.stream, self._screen, self._begun = stream, screen, ""

    def write(self, text: str) -> int:
        lines, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            with self._screen.above():
                self.stream.write(lines + newline)
                self.stream.flush()
        return len(text)

    def end(self) -> None:
        """Writes what waits."""
        if self._begun:
            self.stream.write(self._begun)
            self._begun = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


_screen = _Screen()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_screen.forget)
