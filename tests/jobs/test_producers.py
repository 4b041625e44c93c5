"""Stored images against their records: what is damage, and what is another fault. What a process is
like before it renders."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256

import pytest

from singleimg.dataset.target import Target
from singleimg.errors import UserError
from singleimg.jobs.producers import Stored
from singleimg.storage.base import DamagedFile
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import DamagedRecord, Entry, Record
from singleimg.storage.shards import Shard, Shards
from singleimg.storage.staging import Staging


class Reading:
    """A reader of one image, or one that fails."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer

    def read_all(self, indices: Sequence[int]) -> list[bytes]:
        return [self.read(index) for index in indices]

    def read(self, index: int) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def images(path, answer: bytes | Exception) -> list[bytes]:
    """What is produced of a dataset of one image, ``b"whole"``, that is read so."""
    store = LocalStore(path, durable=False)
    with Staging(store, Shard(0, 0, 1)) as staging:
        entry = Entry(0, "train/0", 5, sha256(b"whole").hexdigest(), 0)
        staging.commit(Record(0, 0, 1, 5, "f", {"torch": "2"}), [entry])
    producer = Stored(Target(store), Reading(answer), Shards(1, 1), None)
    return [data for data, _ in producer.images(Shard(0, 0, 1))]


def test_what_is_as_it_was_committed_is_passed_on(tmp_path):
    assert images(tmp_path, b"whole") == [b"whole"]


@pytest.mark.parametrize(
    "answer",
    [
        b"other",
        DamagedFile("train/0 is shorter than its record says"),
        DamagedRecord("manifest/000000.jsonl is not what was written"),
        FileNotFoundError(errno.ENOENT, "no such image"),
        IsADirectoryError(errno.EISDIR, "Is a directory"),
    ],
)
def test_bytes_that_are_not_those_that_were_committed_are_damage(tmp_path, answer):
    with pytest.raises(UserError) as caught:
        images(tmp_path, answer)
    assert str(caught.value) == (
        f"image 0 of targetpath={tmp_path} is not as it was committed: type python run.py "
        f"task=verify targetpath={tmp_path} to see what is wrong."
    )


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.ESTALE, errno.EIO])
def test_another_fault_says_what_it_is(tmp_path, number):
    """``task=verify`` would find nothing damaged where too many files are open."""
    with pytest.raises(UserError) as caught:
        images(tmp_path, OSError(number, os.strerror(number)))
    assert str(caught.value) == (
        f"image 0 of targetpath={tmp_path} cannot be read ({os.strerror(number)}): fix that, and "
        "type the same command again."
    )


def test_torch_has_one_thread_from_the_first_image_on(picture):
    """Though it is imported only with what renders; threads sum in an order of their own."""
    code = f"""if True:
        import sys
        from singleimg import SingleImage
        from singleimg.encoders.png import PngEncoder
        from singleimg.jobs.producers import Rendered
        images = SingleImage.open({str(picture)!r}, engine="reference", img_size=32)
        producer = Rendered(images, PngEncoder(), False)
        assert "torch" not in sys.modules
        producer.set_up_process()
        print(sys.modules["torch"].get_num_threads())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1\n", "")
