"""Bytes on the disk, whole or not at all."""

from __future__ import annotations

import errno
import io
import os
from hashlib import sha256

import pytest

from singleimg.errors import WriteError
from singleimg.storage import local
from singleimg.storage.local import HashedFile, LocalStore, write_all, write_error


class _Slow(io.RawIOBase):
    """A file that takes at most three bytes at a time, as a disk does that is nearly full."""

    def __init__(self) -> None:
        self.bytes = b""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.bytes += bytes(data[:3])
        return min(3, len(data))


def test_a_file_that_was_written_knows_its_size_and_digest(tmp_path):
    file = HashedFile(tmp_path / "file")
    for piece in (b"one", b"", b"two" * 1_000_000):
        file.write(piece)
    data = b"one" + b"two" * 1_000_000
    assert file.close() == (len(data), sha256(data).hexdigest())
    assert (tmp_path / "file").read_bytes() == data
    with pytest.raises(FileExistsError):
        HashedFile(tmp_path / "file")


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
    LocalStore(tmp_path).write("a", "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        LocalStore(tmp_path).write("a", "new")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_an_error_of_writing_back_is_raised(tmp_path, monkeypatch):
    import ctypes

    def failed(descriptor: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(local, "_syncfs", lambda: failed)
    with (
        LocalStore(tmp_path).syncing(tmp_path) as sync,
        pytest.raises(OSError, match="Input/output error"),
    ):
        sync()


def test_folders_are_made_below_what_exists_only(tmp_path):
    LocalStore(tmp_path).make_folder("a/b")
    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(FileNotFoundError):
        LocalStore(tmp_path / "gone").make_folder("a")
    with pytest.raises(FileNotFoundError):
        LocalStore(tmp_path / "gone").write("a/b", "text")
    assert not (tmp_path / "gone").exists()


# --- errors of the system ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, text",
    [
        ("ENOSPC", "(No space left on device): make room."),
        ("EDQUOT", "(Disk quota exceeded): make room within your quota."),
        ("EFBIG", "(File too large): raise the limit of a file's size (ulimit -f)."),
        ("EROFS", "(Read-only file system): make it writable."),
        ("EIO", "(Input/output error): fix that."),
    ],
)
def test_each_error_of_the_system_says_what_to_do(number, text):
    code = getattr(errno, number)
    said = write_error("/d", OSError(code, os.strerror(code)), "shard 000003")
    assert str(said) == f"shard 000003 could not be written to targetpath=/d {text}"


def test_an_error_while_a_shard_is_written_is_a_sentence_that_names_it(tmp_path):
    with pytest.raises(WriteError) as caught, LocalStore(tmp_path).writing("shard 000003"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(caught.value) == (
        f"shard 000003 could not be written to targetpath={tmp_path} (No space left on device): "
        "make room."
    )


def test_the_same_folder_that_another_worker_has_put_there_is_no_fault(tmp_path):
    """One that was cut off from its cluster, and goes on."""
    store = LocalStore(tmp_path, False)
    for _ in range(2):
        staged = tmp_path / ".tmp-0"
        staged.mkdir(exist_ok=True)
        (staged / "a.jpg").write_bytes(b"abc")
        store.put(staged, "train/c/000000")
    (staged / "a.jpg").write_bytes(b"abcd")
    with pytest.raises(OSError, match="not empty"):
        store.put(staged, "train/c/000000")
    assert (tmp_path / "train/c/000000/a.jpg").read_bytes() == b"abc"
