"""``kill -9`` in the middle of what happens to parts: each place is one where a run may be killed.

``python run.py`` is armed by the environment, when it imports ``tests.stubs``: in its workers only,
and once a run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from singleimg.jobs import commit, parts, plan
from singleimg.jobs.parts import Parts

PLACES = ("in a part", "before its rename", "in assembly", "before parts are removed")
KILL = "SINGLEIMG_TESTS_KILL"  # variable: see armed


def arm(place: str, time: int, told: Path | None = None) -> None:
    """Has this process killed when it comes to a ``place`` for that ``time`` (from 1).

    told: a file that is made then; once it is there, nobody is killed.
    """
    times = count(1)

    def come() -> bool:
        return next(times) == time and not (told is not None and told.exists())

    def kill() -> None:
        if told is not None:
            told.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    if place == "in a part":
        _before(parts, "write_all", lambda path, data: come() and (_half(path, data), kill()))
    elif place == "before its rename":
        renamed = lambda _, to: str(to).endswith(".part") and come() and kill()  # noqa: E731
        _before(os, "replace", renamed)
    elif place == "in assembly":
        _before(commit.Beside, "write", lambda *_: come() and kill())  # after an image's own
    else:
        _before(Parts, "remove", lambda *_: come() and kill())


def armed(place: str, time: int, told: Path, chunk: int) -> dict[str, str]:
    """The environment of a command whose worker is killed there, with chunks of so many images."""
    return {KILL: f"{place}|{time}|{told}|{chunk}"}


def arm_by_environment() -> None:
    """Arms this process if it is a worker, where the environment says so."""
    said = os.environ.get(KILL)
    if said is None:
        return
    place, time, told, chunk = said.split("|")
    plan.CHUNK = int(chunk)
    if "loky" in Path("/proc/self/cmdline").read_text():
        arm(place, int(time), Path(told))


def killed(place: str, time: int, chunk: int, work: Callable[[], object]) -> bool:
    """Does ``work`` with chunks of so many images in a child that is killed there; whether it was.

    A forked child, in which threads are the workers.
    """

    child = os.fork()
    if child == 0:
        plan.CHUNK = chunk
        arm(place, time)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


def _before(owner: object, name: str, act: Callable[..., object]) -> None:
    works = getattr(owner, name)

    def call(*arguments: object) -> object:
        act(*arguments)
        return works(*arguments)

    setattr(owner, name, call)


def _half(path: str, data: Sequence[int]) -> None:
    Path(path).write_bytes(bytes(data[: len(data) // 2]))
