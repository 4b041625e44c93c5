"""Every command that is printed works when it is pasted, into any shell, in any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from singleimg.config.command_line import typed as typed_path
from singleimg.config.paths import literal
from tests.conftest import Run

SHELLS = {"bash": ["--norc", "-c"], "zsh": ["-f", "-c"], "fish": ["--no-config", "-c"]}
FOLDERS = [
    "plain", "with space", "Café", "IMG (1)", "it's", 'say "hi"', "back\\slash", "end\\", "$HOME",
    "${deg}", "a,b", "[x]", "{a,b}", "#1", "~me", "a=b", "semi;colon", "a&b", "wow!!", "`date`",
    "caret^", "-dash", "star*?", "???", "a: b", "no\u202fbreak", "日本語", "%41", "'", "\\'",
]  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """``words(shell, line, folder)``: the arguments that ``python`` gets of a line typed there."""
    tools = tmp_path_factory.mktemp("tools")
    python, said = tools / "python", tools / "said"
    python.write_text(f"#!/bin/sh\nprintf '%s\\0' \"$@\" > {said}\n")
    python.chmod(0o755)

    def read(shell: str, line: str, folder: Path) -> list[str]:
        path = {"PATH": f"{tools}:{os.environ['PATH']}"}
        command = [shell, *SHELLS[shell], line]
        subprocess.run(command, cwd=folder, env={**os.environ, **path}, check=True, timeout=60)
        return said.read_text().removesuffix("\0").split("\0")

    return read


def in_all_shells(words, line: str, folder: Path) -> list[str]:
    """The arguments of a printed line, which every shell here reads in the same way."""
    assert line.startswith("python "), line
    there = [shell for shell in SHELLS if shutil.which(shell)]
    if len(there) < 2:
        pytest.skip(f"of {', '.join(SHELLS)} only {', '.join(there) or 'none'} is installed")
    read = [words(shell, line, folder) for shell in there]
    assert all(one == read[0] for one in read)
    return read[0][1:]


def line_of(said: str, start: str) -> str:
    return next(line for line in said.splitlines() if start in line).partition(start)[2].strip()


@pytest.fixture
def sets(run: Run, words, picture, tmp_path):
    def check(name: str) -> None:
        """Each command that a run prints in such a folder, typed as it was printed."""
        folder = tmp_path / name
        folder.mkdir()
        photograph = folder / f"{name}.png"
        shutil.copy(picture, photograph)
        typed = (f"imgpath={photograph.name}", "num_imgs=2", "img_size=16", "output.shard_size=1")

        # A larger set, in the folder that was chosen and in one that was typed.
        for more in ((), (typed_path("targetpath", f"./{name}-set"),)):
            said = run(*typed, *more, cwd=folder).stdout
            again = in_all_shells(words, line_of(said, "Extend:"), folder)
            said = run(*again, cwd=folder).stdout
            assert said.startswith("2 images of 16 px") or "2 of 4 images" in said, said
        made = Path(line_of(said, "Folder:"))

        # What was damaged, and what was left unfinished.
        (made / "train").rename(made / "gone")
        said = run("task=verify", typed_path("targetpath", made), code=1, cwd=folder).stderr
        run(*in_all_shells(words, line_of(said, "to repair it, type"), folder), cwd=folder)
        sets = Path(f"{made}-sweep")
        target = f"targetpath={literal(str(sets))}"  # a comma would be two values
        sweep = run("-m", *typed, "deg=-1,1", target, cwd=folder, code=1)
        again = in_all_shells(words, line_of(sweep.stderr, "to run those again, type"), folder)
        said = run(*again, cwd=folder, code=1)
        assert "job 1 of 2, deg=-1: failed" in said.stdout and "job 2" not in said.stdout, said
        (one,) = sets.iterdir()
        again = in_all_shells(words, line_of((one / "run.log").read_text(), "Extend:"), folder)
        assert "2 of 4 images" in run(*again, cwd=folder).stdout

    return check


@pytest.mark.parametrize("name", FOLDERS[2:10:7])
def test_commands_from_a_strange_folder(sets, name):
    sets(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_commands_from_every_strange_folder(sets, name):
    sets(name)
