"""Pictures in a terminal: as pixels where it has a protocol for them, else as half blocks."""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Iterator, Mapping
from typing import TextIO

import numpy as np
from PIL import Image

_PIECE = 4096  # letters of one command of kitty's, at most
_PIXELS = ("kitty", "iterm2")
_UPPER = "▀"  # the upper half of a cell: its own colour, over that of the lower half


def show(image: Image.Image, stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Shows a picture on a terminal; False where ``stream`` is none that can."""
    way = way_of(stream, environment)
    if way is None:
        return False
    columns, lines = shutil.get_terminal_size()
    if way in _PIXELS:
        text = {"kitty": _kitty, "iterm2": _iterm2}[way](image, columns)
    else:
        text = "".join(_half_blocks(image, columns, lines, way == "true"))
    stream.write(f"{text}\n")
    stream.flush()
    return True


def way_of(stream: TextIO, environment: Mapping[str, str]) -> str | None:
    """How a picture gets onto a terminal: ``kitty``, ``iterm2``, half blocks in ``true`` colour or
    in ``256``; None: it is no terminal, or a plain one.

    Kitty's protocol: https://sw.kovidgoyal.net/kitty/graphics-protocol/, iTerm2's:
    https://iterm2.com/documentation-images.html. What stands between (tmux, screen) passes neither
    on.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if not stream.isatty() or term in ("", "dumb") or environment.get("NO_COLOR"):
        return None
    between = "TMUX" in environment or term.startswith(("screen", "tmux"))
    if not between:
        if "KITTY_WINDOW_ID" in environment or term in ("xterm-kitty", "xterm-ghostty"):
            return "kitty"
        if program in ("iTerm.app", "WezTerm", "mintty"):
            return "iterm2"
    try:
        _UPPER.encode(stream.encoding or "ascii")
    except UnicodeError:
        return None
    if environment.get("COLORTERM") in ("truecolor", "24bit"):
        return "true"
    return "256" if "256color" in term else None


def _kitty(image: Image.Image, columns: int) -> str:
    data = _png(image)
    pieces = [data[start : start + _PIECE] for start in range(0, len(data), _PIECE)]
    commands = []
    for number, piece in enumerate(pieces):
        first = f"a=T,f=100,c={columns}," if number == 0 else ""
        more = int(number + 1 < len(pieces))
        commands.append(f"\x1b_G{first}m={more};{piece}\x1b\\")
    return "".join(commands)


def _iterm2(image: Image.Image, columns: int) -> str:
    return f"\x1b]1337;File=inline=1;width={columns};preserveAspectRatio=1:{_png(image)}\a"


def _png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _half_blocks(image: Image.Image, columns: int, lines: int, true: bool) -> Iterator[str]:
    """A line of cells after the other, each two pixels high; as large as the terminal shows."""
    scale = min(columns / image.width, 2 * max(1, lines - 2) / image.height)
    width, rows = max(1, int(image.width * scale)), max(1, int(image.height * scale) // 2)
    pixels = np.asarray(image.convert("RGB").resize((width, 2 * rows), Image.Resampling.BOX))
    for row in range(rows):
        for upper, lower in zip(
            pixels[2 * row].tolist(), pixels[2 * row + 1].tolist(), strict=True
        ):
            yield f"\x1b[38;{_shade(upper, true)};48;{_shade(lower, true)}m{_UPPER}"
        yield "\x1b[0m" + "\n" * (row + 1 < rows)


def _shade(colour: list[int], true: bool) -> str:
    if true:
        return f"2;{';'.join(map(str, colour))}"
    # The cube of 6×6×6 colours that all such terminals have: levels 0, 95, 135, 175, 215, 255.
    red, green, blue = (
        0 if level < 48 else 1 if level < 115 else (level - 35) // 40 for level in colour
    )
    return f"5;{16 + 36 * red + 6 * green + blue}"
