"""Tab completes groups, choices and keys in bash, zsh and fish, after one line each."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT

SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$({} -sc install=bash)"'),
    "zsh": (
        ["-f", "-i"],
        "autoload -Uz compinit && compinit -u && autoload -Uz bashcompinit && bashcompinit && "
        'eval "$({} -sc install=zsh)"',
    ),
    "fish": (["--no-config", "-i"], "{} -sc install=fish | source"),
}
PATIENCE = 30  # seconds


@contextmanager
def shell(name: str, home: Path) -> Iterator[int]:
    """An interactive shell in the checkout: the terminal's end that a person sees and types at."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(home), "TERM": "dumb", "PS1": "> "}
        os.execvpe(name, [name, *SHELLS[name][0]], environment)
    try:
        yield terminal
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def typed(terminal: int, text: str, until: str) -> str:
    """What is seen after ``text`` was typed, up to ``until``, or for as long as one is patient."""
    os.write(terminal, text.encode())
    seen, end = "", time.monotonic() + PATIENCE
    while until not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace")
    return seen


def test_tasks_are_completed_and_not_what_hydra_knows_their_keys_by(run, tmp_path):
    line = {"COMP_LINE": "python run.py task=pre"}
    assert run("-sc", "query=bash", cwd=tmp_path, **line).stdout.split() == [
        "task=prepare", "task=pretrain", "task=preview",
    ]  # fmt: skip
    assert run("task=preview_keys", code=1, cwd=tmp_path).stderr == (
        "task=preview_keys is not a task: type task=preview.\n"
    )


@pytest.mark.parametrize("command", ["python run.py", "singleimg"])
@pytest.mark.parametrize("name", SHELLS)
def test_tab_completes_choices_and_keys(name, command, tmp_path):
    with shell(name, tmp_path) as terminal:
        line = SHELLS[name][1].format(command)
        assert "ready" in typed(terminal, f"{line}; printf 'rea'; printf 'dy\\n'\n", "ready\r\n")
        assert "augment=strong" in typed(terminal, f"{command} augment=str\t", "augment=strong")
        assert "num_imgs=" in typed(terminal, " num_i\t", "num_imgs=")
