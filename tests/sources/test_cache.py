"""What is kept of pictures, and what happens where nothing can be."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

import pytest

from singleimg.sources import cache
from singleimg.sources.dead_leaves import DeadLeaves


def test_what_is_kept_is_read_again(tmp_path):
    assert cache.read("a.png") is None
    assert cache.keep("a.png", b"bytes") == tmp_path / "cache" / "a.png"
    assert cache.read("a.png") == b"bytes"
    assert os.listdir(tmp_path / "cache") == ["a.png"]


def no_home(monkeypatch, tmp_path):
    """As in a container that is run with a user id of its own."""

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("SINGLEIMG_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)


def file_in_its_place(monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("")


def sealed(monkeypatch, tmp_path):
    monkeypatch.setenv("SINGLEIMG_CACHE", "/proc/nowhere")


def full_disk(monkeypatch, tmp_path):
    def write_a_part(file: Path, data: bytes) -> None:
        os.close(os.open(file, os.O_CREAT))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_a_part)


MORE = "type SINGLEIMG_CACHE=/another/folder before the command to have one."


@pytest.mark.parametrize(
    "trouble, said",
    [
        (no_home, f"There is no home folder for a cache of pictures: {MORE}"),
        (file_in_its_place, f"Pictures cannot be cached in {{}} (File exists): {MORE}"),
        (sealed, f"Pictures cannot be cached in /proc/nowhere (No such file or directory): {MORE}"),
        (full_disk, f"Pictures cannot be cached in {{}} (No space left on device): {MORE}"),
    ],
)
def test_what_cannot_be_kept_is_done_without_and_said_once(tmp_path, monkeypatch, trouble, said):
    trouble(monkeypatch, tmp_path)
    lines = []
    monkeypatch.setattr(cache.log, "info", lambda text, *values: lines.append(text % values))
    assert cache.read("a.png") is None
    assert cache.keep("a.png", b"bytes") is cache.keep("b.png", b"bytes") is None
    assert lines == [said.format(tmp_path / "cache")]
    assert not [*tmp_path.glob("cache/*")]


def test_the_picture_that_ships_with_us_needs_no_cache(tmp_path, monkeypatch):
    no_home(monkeypatch, tmp_path)
    assert DeadLeaves().load(0).shape == (1920, 2560, 3)


@pytest.mark.parametrize(
    "names, folder",
    [
        ({"SINGLEIMG_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"SINGLEIMG_CACHE": "~/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/c/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/singleimg"),
        ({"XDG_CACHE_HOME": "b", "HOME": "/c"}, "/c/.cache/singleimg"),
        ({"HOME": "c"}, None),
    ],
)
def test_where_it_is(monkeypatch, names, folder):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("SINGLEIMG_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert cache.cache_folder() == (None if folder is None else Path(folder))
