"""Parts of shards: whole, of this run's recipe and versions, or removed."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singleimg.jobs import parts as module
from singleimg.jobs.parts import MAGIC, Parts, clear, key_of, sweep, turn
from singleimg.storage.shards import Shard

SHARD = Shard(3, 30, 40)
CHUNK = Shard(3, 32, 34)
IMAGES = [(b"\xff\xd8first", '{"a": 1}'), (b"", "é")]


@pytest.fixture
def parts(tmp_path) -> Parts:
    return Parts(tmp_path, "key", SHARD)


def file_of(folder: Path) -> Path:
    return folder / "000003-key" / "32-34.part"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=50), min_size=1), st.booleans(), st.data())
def test_what_was_left_is_read(tmp_path_factory, files, draws, data):
    texts = [data.draw(st.text(st.characters(exclude_categories=["Cs"]))) if draws else None
             for _ in files]  # fmt: skip
    one = Parts(tmp_path_factory.mktemp("parts"), "key", SHARD)
    images = list(zip(files, texts, strict=True))
    one.write(CHUNK, images)
    assert one.read(CHUNK) == images


def test_it_is_data_in_a_plain_layout(parts, tmp_path):
    """As somebody else would read it, who knows its description."""
    parts.write(CHUNK, IMAGES)
    data = file_of(tmp_path).read_bytes()
    body, length, digest = data[:-40], data[-40:-32], data[-32:]
    assert body.startswith(MAGIC) and int.from_bytes(length, "little") == len(body)
    assert sha256(body).digest() == digest
    end = 16 + int.from_bytes(body[8:16], "little")
    assert json.loads(body[16:end]) == {
        "key": "key", "shard": 3, "start": 32, "stop": 34, "files": [7, 0], "texts": [8, 2]
    }  # fmt: skip
    assert body[end:] == b"\xff\xd8first" + '{"a": 1}é'.encode()


def test_there_are_no_parts_where_there_is_no_folder(parts):
    assert parts.found() == [] and parts.read(CHUNK) is None
    parts.remove()


def damaged(data: bytes) -> dict[str, bytes]:
    middle = len(data) // 2
    return {
        "nothing": b"",
        "short": data[:-1],
        "half": data[:middle],
        "long": data + b"\0",
        "a bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "zeros": bytes(len(data)),
        "another program's": sha256(data).digest() * 4,
    }


@pytest.mark.parametrize("how", damaged(b"12"))
def test_one_that_is_not_as_it_was_left_is_removed(parts, tmp_path, how):
    parts.write(CHUNK, IMAGES)
    file_of(tmp_path).write_bytes(damaged(file_of(tmp_path).read_bytes())[how])
    assert parts.read(CHUNK) is None
    assert not file_of(tmp_path).exists()


@pytest.mark.parametrize("key, shard, chunk", [
    ("other", SHARD, CHUNK), ("key", Shard(4, 30, 40), Shard(4, 32, 34)),
    ("key", SHARD, Shard(3, 31, 33)),
])  # fmt: skip
def test_one_that_says_it_is_another_is_removed_whatever_it_is_called(
    parts, tmp_path, key, shard, chunk
):
    other = Parts(tmp_path / "elsewhere", key, shard)
    other.write(chunk, IMAGES)
    [file] = (tmp_path / "elsewhere").rglob("*.part")
    file_of(tmp_path).parent.mkdir()
    file.rename(file_of(tmp_path))
    assert parts.read(CHUNK) is None
    assert not file_of(tmp_path).exists()


def test_the_longest_of_one_start_comes_first_and_none_of_outside(parts, tmp_path):
    chunks = [Shard(3, 30, 32), Shard(3, 30, 35), Shard(3, 35, 40)]
    for chunk in [*chunks, Shard(3, 38, 42), Shard(3, 29, 31)]:
        parts.write(chunk, IMAGES[:1])
    (tmp_path / "000003-key" / "notes.txt").write_text("mine")
    assert parts.found() == [chunks[1], chunks[0], chunks[2]]


def test_the_key_is_another_for_another_recipe_or_version():
    about = ("fingerprint", {"output": "parquet"}, {"torch": "2"}, "1.0")
    keys = {key_of(*about), *(key_of(*about[:k], "other", *about[k + 1 :]) for k in range(4))}
    assert len(keys) == 5 and key_of(*about) == key_of(*about)


def test_what_is_of_no_use_is_swept_away(parts, tmp_path):
    parts.write(CHUNK, IMAGES)
    (tmp_path / "000003-key" / ".32-34.part-7").write_bytes(b"half")
    Parts(tmp_path, "older", SHARD).write(CHUNK, IMAGES)
    Parts(tmp_path, "key", Shard(2, 20, 30)).write(Shard(2, 20, 22), IMAGES)
    sweep(tmp_path, "key", [SHARD])
    assert [path.name for path in tmp_path.rglob("*")] == ["000003-key", "32-34.part"]
    sweep(tmp_path, "key", [])
    assert not tmp_path.exists()
    sweep(tmp_path, "key", [SHARD])
    clear(tmp_path)


def test_a_part_appears_whole(parts, tmp_path, monkeypatch):
    """Nothing of it is seen before the rename."""
    seen = []
    replace = os.replace
    monkeypatch.setattr(
        module.os, "replace", lambda *paths: seen.append(parts.found()) or replace(*paths)
    )
    parts.write(CHUNK, IMAGES)
    assert seen == [[]] and parts.found() == [CHUNK]


# --- whose turn it is ----------------------------------------------------------------------------


def test_one_at_a_time_assembles_a_shard(tmp_path):
    with turn(tmp_path, SHARD) as mine:
        assert mine
        with turn(tmp_path, SHARD) as too, turn(tmp_path, Shard(4, 40, 50)) as other:
            assert not too and other
    with turn(tmp_path, SHARD) as mine:
        assert mine


def test_the_turn_of_a_process_ends_with_it(tmp_path):
    """A file that it left is no claim."""
    child = os.fork()
    if child == 0:
        with turn(tmp_path, SHARD):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    [file] = tmp_path.iterdir()
    with file.open() as opened:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with turn(tmp_path, SHARD) as mine:
        assert mine
