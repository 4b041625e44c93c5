"""Real terminals (pseudo-terminals), and what a person sees on them in the end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import pyte

from tests.conftest import ROOT
from tests.in_process import run_script

_ROWS = 200
# What only bars have: a block, a share with its bar, a clock with what is left.
_BAR = re.compile(r"█|\d%|\d\d:\d\d<|(img|batch|row|epoch|update)/s|s/(img|batch|row|epoch|update)")


@dataclass
class Shown:
    """What a terminal received, and its screen at the end."""

    received: str
    columns: int
    status: int

    @property
    def screen(self) -> list[str]:
        """The lines that are seen."""
        screen = pyte.Screen(self.columns, _ROWS)
        pyte.Stream(screen).feed(self.received)
        return [line.rstrip() for line in screen.display if line.strip()]

    @property
    def stale(self) -> list[str]:
        """Lines of the screen in which something of a bar is left."""
        return [line for line in self.screen if _BAR.search(line)]


@contextmanager
def _terminal(columns: int, seen: Callable[[bytes], None]) -> Iterator[tuple[int, int]]:
    """Both ends of a terminal; ``seen`` is told of all that it receives."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (_ROWS, columns))

    def read() -> None:
        try:
            while chunk := os.read(ours, 65536):
                seen(chunk)
        except OSError:  # Linux's way to say that the other end is closed
            pass

    reader = Thread(target=read, daemon=True)
    reader.start()
    try:
        yield ours, theirs
    finally:
        os.close(theirs)
        reader.join(30)
        os.close(ours)


def run_here(*typed: str, columns: int = 100, **environment: str) -> Shown:
    """A command in this process, its two streams on one terminal."""
    received = bytearray()
    with _terminal(columns, received.extend) as (_, theirs):
        file: BinaryIO = os.fdopen(os.dup(theirs), "wb", 0)
        with file:
            variables = {"TERM": "xterm", **environment}
            done = run_script(ROOT / "run.py", typed, ROOT, variables, file)
    return Shown(received.decode(), columns, done.returncode)


def run_process(
    *typed: str, columns: int = 100, stop_at: str = "", cwd: Path = ROOT, **environment: str
) -> Shown:
    """A command in a process of its own, at home on a terminal.

    ``stop_at``: Ctrl-C is pressed when this expression is seen.
    """
    received, pressed = bytearray(), []

    def seen(chunk: bytes) -> None:
        received.extend(chunk)
        if stop_at and not pressed and re.search(stop_at, received.decode(errors="replace")):
            pressed.append(True)
            os.write(ends[0], b"\x03")

    with _terminal(columns, seen) as ends:
        process = _started(typed, ends[1], cwd, environment)
        status = process.wait(300)
    return Shown(received.decode(), columns, status)


def _started(
    typed: Sequence[str], terminal: int, cwd: Path, environment: dict[str, str]
) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *typed],
        cwd=cwd, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        env={**os.environ, "TERM": "xterm", **environment},
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
