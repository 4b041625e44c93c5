"""Whoever starts a program may close what it speaks through: the work is done all the same."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.scenarios import tree_hash

STREAMS = ("", ">&-", "2>&-", "<&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full",
           ">/dev/full 2>&1", "| true", "2>&1 | true", "2>&1 | head -1")  # fmt: skip
UTF_8 = {"PYTHONUTF8": "1", "PYTHONIOENCODING": ""}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}

WORK = """
import os, sys
from singleimg.system.streams import open_streams
open_streams()
with open(sys.argv[1], "wb", buffering=0) as file:
    for stream in (sys.stdout, sys.stderr):
        print("a line", file=stream)
    os.system("echo from a process; echo from a process >&2")  # as libraries do
    file.write(b"data")
sys.stdin.read()
"""


def shell(command: str, streams: str, **environment: str) -> subprocess.CompletedProcess:
    """``{ command; } streams`` of bash; the status is that of the command."""
    line = f"set -o pipefail; {{ {command}; }} {streams}"
    return subprocess.run(
        ["bash", "-c", line], cwd=ROOT, capture_output=True, stdin=subprocess.DEVNULL,
        env={**os.environ, **environment}, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("streams", STREAMS)
def test_a_file_holds_its_data_alone(tmp_path, streams):
    file, script = tmp_path / "data", tmp_path / "work.py"
    script.write_text(WORK)
    result = shell(f"PYTHONPATH={ROOT} {sys.executable} {script} {file}", streams)
    assert file.read_bytes() == b"data"
    assert result.returncode == 0
    assert b"Traceback" not in result.stderr and b"Exception" not in result.stderr


LETTERS = r"""
import sys
from singleimg.system.streams import open_streams
open_streams()
print("2×3 \udce9")
print("2×3 \udce9", file=sys.stderr)
"""


@pytest.mark.parametrize(
    "environment, said",
    [
        (UTF_8, "2×3 ".encode() + b"\xe9\n"),
        (ASCII, b"2?3 \xe9\n"),
        ({**UTF_8, "PYTHONIOENCODING": "latin-1"}, b"2\xd73 \xe9\n"),
        ({**UTF_8, "PYTHONIOENCODING": "ascii:strict"}, b"2?3 \xe9\n"),
    ],
)
def test_letters_that_a_stream_does_not_have_are_no_error(tmp_path, environment, said):
    (tmp_path / "say.py").write_text(LETTERS, encoding="utf-8")
    result = shell(f"PYTHONPATH={ROOT} {sys.executable} {tmp_path}/say.py", "", **environment)
    assert (result.returncode, result.stdout, result.stderr) == (0, said, said)


@pytest.mark.parametrize("term, drawn", [("dumb", False), ("xterm", True)])
def test_no_bar_is_drawn_on_a_terminal_that_cannot_move_its_cursor(tmp_path, term, drawn):
    (tmp_path / "ask.py").write_text(
        "import sys; from singleimg.system.streams import open_streams; open_streams(); "
        "print(sys.stdout.isatty(), sys.stderr.isatty())"
    )
    here, there = pty.openpty()
    environment = {**os.environ, "TERM": term, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, tmp_path / "ask.py"],
        stdout=there,
        stderr=there,
        env=environment,
        check=True,
    )
    os.close(there)
    assert os.read(here, 99).decode() == f"{drawn} {drawn}\r\n"
    os.close(here)


COMMANDS = {
    "workers": "num_imgs=1200 output.shard_size=400 threads=2 backend.from_seconds=0",
    "one process": "num_imgs=1200 output.shard_size=400 threads=1",
    "verify": "task=verify",
    "help": "--help",
    "settings": "--cfg job",
    "a mistake": "nmu_imgs=3",
}


def test_a_daemon_makes_its_dataset(run, tmp_path, picture):
    command = f"num_imgs=8 img_size=16 imgpath={picture} targetpath={tmp_path / 'made'}"
    assert shell(f"setsid {sys.executable} run.py {command}", "<&- >&- 2>&-").returncode == 0
    run("task=verify", f"targetpath={tmp_path / 'made'}")


@pytest.mark.slow
@pytest.mark.parametrize("streams", STREAMS)
def test_every_command_runs_on(run, tmp_path, picture, streams):
    whole = tmp_path / "whole"
    small = f"img_size=16 imgpath={picture}"
    run(*COMMANDS["one process"].split(), *small.split(), f"targetpath={whole}")
    for name, arguments in COMMANDS.items():
        makes = arguments.startswith("num_imgs")
        target = tmp_path / name.replace(" ", "-") if makes else whole
        more = f"{small} targetpath={target}" if makes else f"targetpath={target}"
        command = f"{sys.executable} run.py {arguments} {more if name != 'help' else ''}"
        result = shell(f"{command}; echo $? > {tmp_path}/status", streams)
        assert (tmp_path / "status").read_text() == f"{int(name == 'a mistake')}\n", result
        assert b"Traceback" not in result.stderr and b"Exception" not in result.stderr
        if makes:
            assert tree_hash(target) == tree_hash(whole)
