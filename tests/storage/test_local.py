"""Bytes on the disk, whole or not at all."""

from __future__ import annotations

import errno
import io
import os

import pytest

from singleimg.storage import local
from singleimg.storage.local import Disk, write_all


class _Slow(io.RawIOBase):
    """A file that takes at most three bytes at a time, as a disk does that is nearly full."""

    def __init__(self) -> None:
        self.bytes = b""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.bytes += bytes(data[:3])
        return min(3, len(data))


def test_a_file_is_written_in_as_many_steps_as_it_takes(monkeypatch):
    slow = _Slow()
    monkeypatch.setattr("builtins.open", lambda *_, **__: slow)
    write_all("anywhere", b"0123456789")
    assert slow.bytes == b"0123456789"


def test_an_existing_file_is_not_written_over(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_all(str(tmp_path / "a"), b"new")
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    Disk().write_whole(tmp_path / "a", "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Disk().write_whole(tmp_path / "a", "new")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_an_error_of_writing_back_is_raised(tmp_path, monkeypatch):
    import ctypes

    def failed(descriptor: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(local, "_syncfs", lambda: failed)
    with Disk().syncing(tmp_path) as sync, pytest.raises(OSError, match="Input/output error"):
        sync()


def test_folders_are_made_below_what_exists_only(tmp_path):
    Disk().make_folders(tmp_path, tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(FileNotFoundError):
        Disk().make_folders(tmp_path / "gone", tmp_path / "gone" / "a")
    assert not (tmp_path / "gone").exists()
