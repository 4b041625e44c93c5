"""Which escapes reach which terminal, and none any other stream."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pyte
import pytest
from PIL import Image

from singleimg.report.terminal import show, way_of

RED, BLUE = (255, 0, 0), (0, 0, 255)


class Terminal(io.StringIO):
    """A stream that says it is one, of this encoding."""

    def __init__(self, encoding: str = "utf-8", tty: bool = True) -> None:
        super().__init__()
        self._encoding, self._tty = encoding, tty

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return self._tty


@pytest.fixture
def halves() -> Image.Image:
    """Red over blue."""
    return Image.fromarray(np.array([[RED], [BLUE]], np.uint8).repeat(8, 0).repeat(16, 1))


XTERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({**XTERM, "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({**XTERM, "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({**XTERM, "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({**XTERM, "COLORTERM": "truecolor"}, "true"),
        (XTERM, "256"),
        ({"TERM": "screen-256color", "TERM_PROGRAM": "iTerm.app"}, "256"),
        ({"TERM": "tmux-256color", "TMUX": "x", "KITTY_WINDOW_ID": "1"}, "256"),
        ({"TERM": "vt100"}, None),
        ({"TERM": "dumb", "COLORTERM": "truecolor", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, None),
        ({}, None),
    ],
)
def test_each_terminal_gets_what_it_understands(environment, expected):
    assert way_of(Terminal(), environment) == expected


@pytest.mark.parametrize("stream", [Terminal(tty=False), Terminal("latin-1"), io.StringIO()])
def test_nothing_reaches_a_pipe_or_a_terminal_of_few_letters(stream, halves):
    assert not show(halves, stream, {**XTERM, "COLORTERM": "truecolor"})
    assert stream.getvalue() == ""


def test_kitty_gets_the_png_in_pieces(halves):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    terminal = Terminal()
    assert show(noise, terminal, {"TERM": "xterm-kitty"})
    commands = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", terminal.getvalue())
    assert re.fullmatch(r"a=T,f=100,c=\d+,m=1", commands[0][0])
    assert [keys for keys, _ in commands[1:]] == ["m=1"] * (len(commands) - 2) + ["m=0"]
    assert max(len(piece) for _, piece in commands) <= 4096
    png = base64.b64decode("".join(piece for _, piece in commands))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), np.asarray(noise))


def test_iterm_gets_the_png(halves):
    terminal = Terminal()
    assert show(halves, terminal, {**XTERM, "TERM_PROGRAM": "iTerm.app"})
    (data,) = re.findall(r"\x1b\]1337;File=[^:]*:([^\a]*)\a", terminal.getvalue())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), halves)


@pytest.mark.parametrize("colours", ["truecolor", ""])
def test_others_get_half_blocks_as_a_terminal_reads_them(colours, halves, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "8")
    terminal = Terminal()
    assert show(halves, terminal, {**XTERM, "COLORTERM": colours})
    screen = pyte.Screen(20, 8)
    pyte.Stream(screen).feed(terminal.getvalue().replace("\n", "\r\n"))
    cells = [[screen.buffer[row][column] for column in range(12)] for row in range(6)]
    assert {cell.data for row in cells for cell in row} == {"▀"}
    assert {(cell.fg, cell.bg) for row in cells[:3] for cell in row} == {("ff0000",) * 2}
    assert {(cell.fg, cell.bg) for row in cells[3:] for cell in row} == {("0000ff",) * 2}
    assert screen.buffer[0][12].data == " "
