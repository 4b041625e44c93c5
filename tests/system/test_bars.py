"""One line of the terminal for bars, all else above it; and how long it will still take."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import pyte
import pytest

from singleimg.system import bars
from singleimg.system.bars import Bar, Speed, counted
from singleimg.system.logs import log, logging_to_console
from singleimg.system.signals import Stopped, stoppable
from tests.conftest import ROOT


class Terminal(io.StringIO):
    """While it is entered, standard output and error: of as many columns as COLUMNS says."""

    encoding = "utf-8"

    def __enter__(self) -> Terminal:
        self._before = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = self
        return self

    def __exit__(self, *_: object) -> None:
        assert sys.stdout is sys.stderr is self  # as a bar has found them
        sys.stdout, sys.stderr = self._before

    def isatty(self) -> bool:
        return True

    def screen(self, columns: int = 100) -> list[str]:
        """The lines that a person sees now."""
        screen = pyte.Screen(columns, 50)
        pyte.Stream(screen).feed(self.getvalue().replace("\n", "\r\n"))
        return [line.rstrip() for line in screen.display if line.strip()]


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def test_the_line_is_empty_when_the_bar_ends(terminal):
    with terminal, Bar(10) as bar:
        bar.update(3)
        time.sleep(0.3)
        assert terminal.screen()[0].startswith(" 30%|███")
    assert terminal.screen() == []
    assert "3/10 [00:0" in terminal.getvalue()


def test_whatever_is_printed_meanwhile_stands_above_the_bar(terminal):
    with terminal, logging_to_console(), Bar(10):
        log.warning("A word of the log.")
        sys.stderr.write(warnings.formatwarning("one of a library", UserWarning, "a.py", 1))
        print("a print", end="")
        print(" in two parts")
        thread = threading.Thread(target=lambda: print("of a thread", file=sys.stderr))
        thread.start()
        thread.join()
        print("not ended", end="")
        *above, bar = terminal.screen()
        assert (
            above[0] == "A word of the log." and above[1] == "a.py:1: UserWarning: one of a library"
        )
        assert above[-2:] == ["a print in two parts", "of a thread"] and bar.startswith("  0%|")
    assert terminal.screen() == [*above, "not ended"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_so_it_is_when_it_ends_by_an_error(terminal, error):
    with terminal, pytest.raises(error), logging_to_console(), Bar(10) as bar:
        bar.update(5)
        try:
            raise error
        finally:
            log.warning("Stopped.")
    with terminal:
        print("A sentence.", file=sys.stderr)
    assert terminal.screen() == ["Stopped.", "A sentence."]


def test_of_several_bars_the_innermost_is_seen(terminal):
    with terminal, Bar(3, "row") as rows:
        rows.update()
        for number in counted(range(4), 4, "epoch", "probe"):
            (line,) = terminal.screen()
            assert line.startswith("probe: ") and number < 4
        (line,) = terminal.screen()
        assert line.startswith(" 33%|") and "1/3" in line
    assert terminal.screen() == []


@pytest.mark.parametrize("columns", [1, 10, 20, 40, 59, 60])
def test_a_narrow_terminal_gets_what_fits_in_one_line(terminal, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    with terminal, Bar(1_281_167, what="verify", done=640_000, seconds=1000) as bar:
        bar.note = "loss 1.234"
        print("above")
        shown = terminal.screen(columns)
        assert len("".join(shown).removeprefix("above")) <= columns - 3 or columns < 4
    assert "".join(terminal.screen(columns)) == "above"


def test_a_terminal_that_knows_no_blocks_gets_letters(terminal):
    terminal.encoding = "latin-1"
    with terminal, Bar(10, done=5):
        assert "█" not in terminal.getvalue() and "50%|###" in terminal.getvalue()


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_dumb_terminal_is_none(terminal, monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    with terminal, Bar(10):
        print("a line")
    assert terminal.getvalue() == "a line\n"


def test_a_worker_process_draws_none(terminal, monkeypatch):
    """The jobs of a sweep side by side: their bars would write over one another."""
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    with terminal, Bar(10, done=5):
        time.sleep(0.3)
    assert terminal.getvalue() == ""


def test_a_terminal_that_is_gone_does_no_harm(terminal, monkeypatch):
    def gone(_: str) -> int:
        raise OSError(5, "Input/output error")

    with terminal, Bar(10) as bar:
        monkeypatch.setattr(terminal, "write", gone)
        time.sleep(0.3)
        bar.update()


def test_a_process_that_is_forked_has_no_bar():
    code = """
import os, sys, pty
sys.stderr.isatty = lambda: True
from singleimg.system.bars import Bar
with Bar(10):
    if not os.fork():
        print("of the child", flush=True)
        os._exit(0)
    os.wait()
"""
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=60,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout == "of the child\n", done.stderr


# --- off a terminal ------------------------------------------------------------------------------


@pytest.fixture
def said(monkeypatch) -> Terminal:
    """What is no terminal, and gets a line at every look."""
    monkeypatch.setattr(Terminal, "isatty", lambda _: False)
    monkeypatch.setattr(bars, "EVERY", 0.0)
    monkeypatch.setattr(bars, "_TICK", 0.05)
    return Terminal()


def test_off_a_terminal_a_line_a_minute_says_how_far_it_is(said):
    with said, logging_to_console(), Bar(2000, what="verify", done=500, seconds=15):
        time.sleep(0.2)
    first = said.getvalue().splitlines()[0]
    assert first.startswith("verify: 500 of 2,000 images, ")
    assert first.endswith(" s left.") and " images/s, about 1" in first


def test_within_the_minute_it_is_silent(said, monkeypatch):
    monkeypatch.setattr(bars, "EVERY", 60.0)
    with said, logging_to_console(), Bar(2000):
        time.sleep(0.2)
    assert said.getvalue() == ""


def test_what_is_not_known_is_not_said(said):
    with said, logging_to_console(), Bar(12, "row"):
        time.sleep(0.2)
    assert set(said.getvalue().splitlines()) == {"0 of 12 rows."}


def test_a_signal_while_it_opens_leaves_nothing_of_it(terminal, monkeypatch):
    draw, come = bars._screen.draw, []

    def drawn_as_a_signal_comes() -> None:
        draw()
        if not come:
            come.append(True)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(bars._screen, "draw", drawn_as_a_signal_comes)
    with terminal, pytest.raises(Stopped), stoppable(), Bar(10) as bar:
        bar.update()  # nothing of this comes to pass
    assert terminal.screen() == [] and "0/10" in terminal.getvalue()
    assert "1/10" not in terminal.getvalue() and bars._screen._bars == []


def test_where_nothing_comes_any_more_it_says_so_and_no_time(said, monkeypatch):
    monkeypatch.setattr(bars, "_STANDS", 0.5)
    with said, logging_to_console(), Bar(1000, seconds=10) as bar:
        bar.update(500)
        time.sleep(0.3)
        assert said.getvalue().splitlines()[-1].endswith(" left.")
        time.sleep(1.0)
    last = said.getvalue().splitlines()[-1]
    assert last in [f"500 of 1,000 images, none for {seconds} s." for seconds in (1, 2, 3)]


def test_at_a_tenth_of_the_work_it_says_what_the_whole_will_take(said, monkeypatch):
    monkeypatch.setattr(bars, "EVERY", 60.0)
    monkeypatch.setattr(bars, "_SURE", 0.0)
    with said, logging_to_console(), Bar(2000, done=1000, seconds=100, again=True) as bar:
        bar.update(99)
        time.sleep(0.2)
        assert said.getvalue() == ""
        bar.update(1)
        time.sleep(0.2)
    (line,) = said.getvalue().splitlines()
    assert line.startswith("1,100 of 2,000 images, ") and line.endswith(" s in all.")


def test_of_little_it_says_that_no_second_time(said, monkeypatch):
    monkeypatch.setattr(bars, "EVERY", 60.0)
    with said, logging_to_console(), Bar(100, seconds=4, again=True) as bar:
        for _ in range(10):
            bar.update(10)
            time.sleep(0.06)
    assert said.getvalue() == ""


# --- the speed -----------------------------------------------------------------------------------


def test_the_first_that_is_left_is_what_was_announced():
    bar = Bar(1_281_167, done=640_000, seconds=900, pause=8, tail=1.4)
    bar._begin = time.monotonic()
    assert bar.left == pytest.approx(900, abs=0.1)


def test_speed_is_what_was_expected_and_soon_what_is_seen():
    speed = Speed(100)
    assert speed.value == 100
    speed.observe(50, 2)  # 25 a second
    assert 50 < speed.value < 70
    for _ in range(100):
        speed.observe(5, 0.2)
    assert speed.value == pytest.approx(25, rel=0.2)


def test_speed_is_that_of_late():
    """A run that another program slows down to a tenth, after an hour."""
    speed = Speed()
    for _ in range(3600):
        speed.observe(1000, 1)
    for _ in range(90):
        speed.observe(100, 1)
    assert speed.value == pytest.approx(100, rel=0.5)


def test_what_comes_every_few_minutes_has_a_speed_too():
    """Rows of a study: between two of them nothing is seen for long."""
    speed, seen = Speed(), []
    for second in range(1, 6000):
        speed.observe(second % 600 == 0, 1)
        if second > 1800:
            seen.append(1 / speed.value)
    assert min(seen) > 400 and max(seen) < 900
