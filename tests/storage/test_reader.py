"""Images out of files, by what their records say; whole files against their records."""

from __future__ import annotations

import os
import pickle
import threading
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from singleimg.storage import local
from singleimg.storage.base import DamagedFile
from singleimg.storage.integrity import Files, compare
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import DamagedRecord, Entry, Record, record_text
from singleimg.storage.reader import FileReader, PartReader
from singleimg.storage.shards import Shards

CHUNK = 1 << 20  # what is read at once


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def stored(target: Path, images: list[bytes], shard_size: int, gap: bytes = b"") -> PartReader:
    """A dataset of files in which images stand behind each other, each after a ``gap``."""
    for folder in ("manifest", "train"):
        (target / folder).mkdir(exist_ok=True)
    for shard in Shards(len(images), shard_size):
        place, whole, entries = f"train/shard-{shard.name}.bin", b"", []
        for index in range(shard.start, shard.stop):
            data = images[index]
            entries.append(Entry(index, place, len(data), digest(data), len(whole) + len(gap)))
            whole += gap + data
        (target / place).write_bytes(whole)
        entries.insert(0, Entry(None, place, len(whole), digest(whole)))
        record = Record(shard.number, shard.start, shard.stop, len(whole), "", {})
        text = record_text(record, entries)
        (target / f"manifest/{shard.name}.jsonl").write_text(text)
    return PartReader(LocalStore(target), shard_size)


# --- parts of files ------------------------------------------------------------------------------


# The folder may be that of another example: it is written anew. A disk may pause.
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=20),
    st.integers(1, 8),
    st.sampled_from([b"", b"header"]),
    st.data(),
)
def test_every_image_comes_back_from_first_byte_to_last(tmp_path, images, shard_size, gap, data):
    """Those at the ends of a file, too, and those of no bytes."""
    reader = stored(tmp_path, images, shard_size, gap)
    assert [reader.read(index) for index in range(len(images))] == images
    wanted = data.draw(st.lists(st.integers(0, len(images) - 1)))
    assert reader.read_all(wanted) == [images[index] for index in wanted]


def test_the_record_of_a_shard_is_read_when_first_needed_and_once(tmp_path, monkeypatch):
    reader, asked = stored(tmp_path, [b"a", b"b", b"c", b"d"], 2), []
    read = LocalStore.read
    monkeypatch.setattr(
        LocalStore, "read", lambda store, name: asked.append(name) or read(store, name)
    )
    first, second = "manifest/000000.jsonl", "manifest/000001.jsonl"
    assert asked == []
    assert reader.read_all([3, 2, 3]) == [b"d", b"c", b"d"] and asked == [second]
    assert reader.read_all([0, 3]) == [b"a", b"d"] and asked == [second, first]


@pytest.mark.parametrize("left", [0, 1, 7])
def test_a_truncated_file_gives_what_is_whole_and_an_error_for_the_rest(tmp_path, left):
    reader = stored(tmp_path, [b"four", b"more"], 2)
    os.truncate(tmp_path / "train/shard-000000.bin", left)
    file = f"{tmp_path}/train/shard-000000.bin"
    if left >= 4:
        assert reader.read(0) == b"four"
    with pytest.raises(DamagedFile) as caught:
        reader.read(1)
    assert str(caught.value) == f"{file} is shorter than its record says"


def test_what_is_missing_or_damaged_is_an_error(tmp_path):
    stored(tmp_path, [b"one", b"two"], 1)
    (tmp_path / "train/shard-000000.bin").unlink()
    (tmp_path / "manifest/000001.jsonl").write_text('{"sha256": "0"}\n')
    reader = PartReader(LocalStore(tmp_path), 1)
    with pytest.raises(FileNotFoundError):
        reader.read(0)
    for index in (1, 2):  # a record that is missing is as good as one that is damaged
        with pytest.raises(DamagedRecord, match=rf"00000{index}\.jsonl is not what was written$"):
            reader.read(index)


def test_a_record_that_leads_out_of_the_dataset_is_not_followed(tmp_path):
    stored(tmp_path, [b"one"], 1)
    (tmp_path / "secret").write_bytes(b"secret")
    entry = Entry(0, "train/../secret", 6, digest(b"secret"), 0)
    text = record_text(Record(0, 0, 1, 6, "", {}), [entry])
    (tmp_path / "manifest/000000.jsonl").write_text(text)
    with pytest.raises(DamagedRecord, match=r"lists train/\.\./secret$"):
        PartReader(LocalStore(tmp_path), 1).read(0)


def test_it_travels_without_what_it_has_read(tmp_path):
    reader = stored(tmp_path, [bytes([k]) for k in range(200)], 100)
    before = pickle.dumps(reader)
    reader.read_all(range(200))
    assert pickle.dumps(reader) == before and len(before) < 500
    assert pickle.loads(before).read(150) == bytes([150])


def open_files() -> list[str]:
    names = []
    for name in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return names


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells what is open")
def test_few_files_stay_open_and_none_when_the_reader_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "_OPEN", 3)
    reader = stored(tmp_path, [bytes([k]) for k in range(9)], 1)
    for _ in range(2):
        assert reader.read_all(range(9)) == [bytes([k]) for k in range(9)]
        assert sum(name.startswith(str(tmp_path)) for name in open_files()) == 3
    del reader
    assert not any(name.startswith(str(tmp_path)) for name in open_files())


def test_threads_that_close_each_others_files_read_their_own(tmp_path, monkeypatch):
    """A number of a file that was closed is given to the next one that is opened."""
    monkeypatch.setattr(local, "_OPEN", 1)
    images = [bytes([k]) * 50 for k in range(40)]
    reader, wrong = stored(tmp_path, images, 1), []

    def read(first: int) -> None:
        try:
            for k in range(400):
                index = (first + 7 * k) % 40
                if reader.read(index) != images[index]:
                    wrong.append(index)
        except OSError as error:
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- images that are files -----------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, CHUNK, 3 * CHUNK + 1])
def test_a_file_is_read_whole(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "7.jpg").write_bytes(data)
    reader = pickle.loads(pickle.dumps(FileReader(LocalStore(tmp_path), "{}.jpg".format)))
    assert reader.read(7) == data and reader.read_all([7, 7]) == [data, data]
    with pytest.raises(FileNotFoundError):
        reader.read(8)


# --- against records -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_files_of_every_length_are_compared_to_their_ends(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)
    files = Files(LocalStore(tmp_path))
    entry = Entry(None, "a", size, digest(data))
    assert files.difference(entry) is None
    (tmp_path / "a").write_bytes(data + b"x")
    assert files.difference(entry) == "is altered"
    if size:
        (tmp_path / "a").write_bytes(data[:-1])
        said = f"is truncated ({size - 1:,} of {size:,} bytes)"
        assert files.difference(entry) == said
        (tmp_path / "a").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert files.difference(entry) == "is altered"


def test_a_part_is_compared_by_itself(tmp_path):
    (tmp_path / "a").write_bytes(b"onetwo")
    files = Files(LocalStore(tmp_path))
    assert files.difference(Entry(0, "a", 3, digest(b"one"), 0)) is None
    assert files.difference(Entry(1, "a", 3, digest(b"two"), 3)) is None
    assert files.difference(Entry(1, "a", 3, digest(b"two"), 2)) == "is altered"
    said = files.difference(Entry(1, "a", 3, digest(b"two"), 4))
    assert said == "is truncated (2 of 3 bytes)"
    said = files.difference(Entry(1, "a", 3, digest(b"two"), 100))
    assert said == "is truncated (0 of 3 bytes)"


def test_what_cannot_be_read_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    files = Files(LocalStore(tmp_path))
    assert files.difference(Entry(None, "a", 1, "")) == "is missing"
    assert files.difference(Entry(None, "folder", 1, "")) == "cannot be read (Is a directory)"
    assert files.names("nowhere") == files.names("folder") == []
    assert files.exists("folder") and not files.exists("a")


@given(st.lists(st.binary(max_size=30), max_size=5), st.binary(max_size=30))
def test_chunks_are_compared_as_one(chunks, other):
    whole = b"".join(chunks)
    assert compare(chunks, Entry(None, "a", len(whole), digest(whole))) is None
    said = compare([other], Entry(None, "a", len(whole), digest(whole)))
    if len(other) < len(whole):
        assert said == f"is truncated ({len(other)} of {len(whole)} bytes)"
    else:
        assert said == (None if other == whole else "is altered")
