"""The folder that processes of one machine share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from singleimg.errors import UserError
from singleimg.system import tempdir
from singleimg.system.tempdir import shared_folder
from tests.conftest import ROOT

A, B, C = (letter * 32 for letter in "abc")
OTHER = """
import sys
from singleimg.system.tempdir import shared_folder
print(shared_folder(sys.argv[1]), flush=True)
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def top(tmp_path, monkeypatch) -> Path:
    """An empty folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    tempdir._let_go_of_shared()


def another(key: str) -> tuple[subprocess.Popen, Path]:
    """A process that has the folder of a key, until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, key], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    return process, Path(process.stdout.readline().strip())


def test_it_goes_with_the_last_process_that_has_it():
    process, folder = another(A)
    assert shared_folder(A) == folder and folder.is_dir()
    process.communicate("", timeout=30)
    assert folder.is_dir()
    tempdir._let_go_of_shared()
    assert not folder.exists()


def test_of_a_process_that_was_killed_it_goes_with_the_next_one_of_another_key():
    process, folder = another(A)
    (folder / "0.raw").write_bytes(b"x")
    process.kill()
    process.communicate(timeout=30)
    living, kept = another(B)
    assert not folder.exists()
    shared_folder(C)
    assert kept.is_dir()
    living.communicate("", timeout=30)


def test_a_folder_that_somebody_else_has_made_is_not_trusted(top, monkeypatch):
    shared_folder(A)
    other = os.getuid() + 1
    monkeypatch.setattr("os.getuid", lambda: other)
    (top / f"shared-singleimg-{other}").mkdir()
    with pytest.raises(UserError, match="folder for temporary files cannot be written"):
        shared_folder(A)


def test_a_link_is_not_followed(top):
    """To somebody's folder, of which parts would go."""
    mine = top / "mine"
    (mine / A).mkdir(parents=True)
    (top / f"shared-singleimg-{os.getuid()}").symlink_to(mine)
    with pytest.raises(UserError, match="folder for temporary files cannot be written"):
        shared_folder(B)
    assert (mine / A).is_dir()


def test_what_is_not_of_this_program_stays(top):
    (top / f"shared-singleimg-{os.getuid()}" / "notes").mkdir(parents=True)
    shared_folder(A)
    assert (top / f"shared-singleimg-{os.getuid()}" / "notes").is_dir()
