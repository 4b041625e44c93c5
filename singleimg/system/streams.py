"""Standard input, output and error as they may be: closed, full, without a reader, of few letters.

Whoever starts a program decides where its words go, and may close that. The work is what was asked
for: what cannot be said is left unsaid.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

_UNSENDABLE = "singleimg"  # our way with letters that a stream does not have


def open_streams() -> None:
    """Makes sure that all three are there, and that writing to the two raises nothing.

    Called before anything else is opened: the next file would get the number of a closed stream,
    and what libraries print would be written into it. Streams that the program around has replaced
    by its own stay.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # the lowest number that is free
    codecs.register_error(_UNSENDABLE, _sent_instead)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False, encoding="utf-8")  # noqa: SIM115
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        try:
            if stream is not None and stream.fileno() != number:
                continue
        except (OSError, ValueError, AttributeError):  # there is nothing of the system behind it
            continue
        raw = io.BufferedWriter(_Forgiving(number, "w", closefd=False))
        encoding = getattr(stream, "encoding", None) or "utf-8"
        setattr(sys, name, io.TextIOWrapper(raw, encoding, _UNSENDABLE, line_buffering=True))


class _Forgiving(io.FileIO):
    """Takes what cannot be written as well as what can."""

    def write(self, data: bytes) -> int:
        try:
            return super().write(data)
        except OSError:  # a full disk, a pipe whose reader has left (``| head``), a terminal gone
            return len(memoryview(data).cast("B"))

    def isatty(self) -> bool:
        """Whether it is a terminal on which a bar can be drawn."""
        return super().isatty() and os.environ.get("TERM") != "dumb"


def _sent_instead(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes of a file name as they are, and ``?`` for other letters that a stream does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    try:
        return letters.encode("ascii", "surrogateescape"), error.end
    except UnicodeEncodeError:
        return letters.encode("ascii", "replace"), error.end
