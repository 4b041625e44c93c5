"""What is committed, in which order, and what is left to do."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singleimg.storage import local
from singleimg.storage.base import Store
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import (
    DamagedRecord,
    Entry,
    Manifest,
    Record,
    is_inside,
    record_place,
    record_text,
)
from singleimg.storage.shards import Shard, Shards
from singleimg.storage.staging import Staging
from tests.scenarios import killed_at, read_entries, read_record

ENTRIES = [Entry(0, "train/c/000000/a.jpg", 3, "aa"), Entry(None, "params/000000.jsonl", 5, "bb")]


def record(number: int = 0, start: int = 0, stop: int = 2) -> Record:
    return Record(number, start, stop, 30, "f" * 64, {"torch": "2"})


def committed(store: Store, one: Record = record()) -> None:  # noqa: B008
    with Staging(store, one.shard) as staging:
        folder = staging.path(f"train/c/{one.shard.name}")
        folder.mkdir()
        (folder / "a.jpg").write_bytes(b"abc")
        staging.commit(one, ENTRIES)


# --- shards --------------------------------------------------------------------------------------


@given(st.integers(1, 5000), st.integers(1, 1000))
def test_shards_hold_every_index_once_in_order(num_imgs, shard_size):
    shards = Shards(num_imgs, shard_size)
    assert [i for shard in shards for i in range(shard.start, shard.stop)] == list(range(num_imgs))
    assert all(len(shard) == shard_size for shard in shards[:-1])
    assert [shard.number for shard in shards] == list(range(len(shards)))


def test_the_published_number_of_images_is_reached_exactly():
    shards = Shards(1_281_167, 1000)
    assert (len(shards), shards[-1]) == (1282, Shard(1281, 1_281_000, 1_281_167))
    with pytest.raises(IndexError):
        shards[1282]


# --- records -------------------------------------------------------------------------------------


def test_a_committed_record_comes_back(tmp_path):
    committed(LocalStore(tmp_path))
    manifest = Manifest(LocalStore(tmp_path))
    assert manifest.scan() == ([record()], [])
    assert manifest.names() == ["manifest/000000.jsonl"]
    assert manifest.load(Shard(0, 0, 2)) == (record(), ENTRIES)
    assert read_entries(tmp_path / record_place(Shard(0, 0, 2))) == ENTRIES
    assert (tmp_path / "train/c/000000/a.jpg").read_bytes() == b"abc"
    assert sorted(os.listdir(tmp_path)) == ["manifest", "train"]


@settings(deadline=None)  # a disk may pause
@given(st.data())
def test_a_record_of_which_one_byte_changed_is_damaged(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("records") / "000000.jsonl"
    text = bytearray(record_text(record(), ENTRIES).encode())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    file.write_bytes(text)
    with pytest.raises(DamagedRecord):
        read_record(file)


@settings(deadline=None)
@given(st.integers(0, 400))
def test_a_record_that_was_cut_is_damaged(tmp_path_factory, length):
    file = tmp_path_factory.mktemp("records") / "000000.jsonl"
    text = record_text(record(), ENTRIES).encode()
    file.write_bytes(text[: min(length, len(text) - 1)])
    with pytest.raises(DamagedRecord):
        read_record(file)


def test_a_record_under_another_name_is_damaged(tmp_path):
    committed(LocalStore(tmp_path))
    file = tmp_path / record_place(Shard(0, 0, 2))
    file.rename(file.with_name("000001.jsonl"))
    assert Manifest(LocalStore(tmp_path)).scan() == ([], ["manifest/000001.jsonl"])


def test_records_come_in_the_order_of_their_numbers_and_nothing_else(tmp_path):
    for number in (1_000_000, 999_999, 2):
        committed(LocalStore(tmp_path), record(number, number, number + 1))
    (tmp_path / "manifest" / "notes.txt").write_text("mine")
    records, damaged = Manifest(LocalStore(tmp_path)).scan()
    assert ([one.number for one in records], damaged) == ([2, 999_999, 1_000_000], [])


def test_of_a_record_a_scan_reads_the_beginning(tmp_path, monkeypatch):
    """What a scan of a large dataset costs is a matter of shards, not of images."""
    store = LocalStore(tmp_path, False)
    entries = [Entry(index, f"train/{index}", 1, "ab" * 32) for index in range(10_000)]
    with Staging(store, Shard(0, 0, 10_000)) as staging:
        staging.commit(record(stop=10_000), entries)
    read: list[int] = []
    real = LocalStore.read

    def noted(self: LocalStore, name: str, most: int = -1) -> bytes | None:
        data = real(self, name, most)
        read.append(len(data or b""))
        return data

    monkeypatch.setattr(LocalStore, "read", noted)
    manifest = Manifest(store)
    assert manifest.scan() == ([record(stop=10_000)], []) and manifest.digest()
    assert sum(read) <= 4096 < 900_000 < (tmp_path / "manifest/000000.jsonl").stat().st_size


def test_a_record_whose_head_is_long_is_read_whole(tmp_path):
    long = Record(0, 0, 2, 30, "f", {"profiles": "Display P3; " * 1000})
    committed(LocalStore(tmp_path), long)
    assert Manifest(LocalStore(tmp_path)).scan() == ([long], [])


@pytest.mark.parametrize("length", [0, 10, 300, -1])
def test_a_scan_sees_that_a_record_was_cut(tmp_path, length):
    committed(LocalStore(tmp_path))
    file = tmp_path / "manifest/000000.jsonl"
    file.write_bytes(file.read_bytes()[:length])
    assert Manifest(LocalStore(tmp_path)).scan() == ([], ["manifest/000000.jsonl"])


def former_text(one: Record, entries: list[Entry]) -> str:
    """A record as versions wrote it that had no digest of a shard."""
    head = json.dumps({k: v for k, v in vars(one).items() if k not in ("lines", "digest")})
    body = "".join(f"{line}\n" for line in (head, *map(json.dumps, entries)))
    return json.dumps({"sha256": sha256(body.encode()).hexdigest()}) + "\n" + body


def test_records_of_former_versions_are_read_and_have_the_same_digest(tmp_path):
    committed(LocalStore(tmp_path))
    rows = [entry[:4] for entry in ENTRIES]
    (tmp_path / "manifest/000000.jsonl").write_text(former_text(record(), rows))
    old = Manifest(LocalStore(tmp_path))
    assert old.scan() == ([record()], []) and old.load(Shard(0, 0, 2)) == (record(), ENTRIES)
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    assert old.former_digest() == sha256(text.encode()).hexdigest()
    file = tmp_path / "manifest/000000.jsonl"
    file.write_text(file.read_text().replace('"bb"', '"bc"'))
    assert Manifest(LocalStore(tmp_path)).scan() == ([], ["manifest/000000.jsonl"])
    committed_again = tmp_path / "again"
    committed_again.mkdir()
    committed(LocalStore(committed_again))
    assert Manifest(LocalStore(committed_again)).digest() == old.digest()


def test_the_digest_tells_of_files_and_not_of_versions(tmp_path):
    digests = []
    for name, versions, size in (("a", "2", 3), ("b", "3", 3), ("c", "2", 4)):
        (tmp_path / name).mkdir()
        with Staging(LocalStore(tmp_path / name, False), Shard(0, 0, 2)) as staging:
            one = Record(0, 0, 2, 30, "f", {"torch": versions})
            staging.commit(one, [Entry(0, "train/x", size, "aa")])
        digests.append(Manifest(LocalStore(tmp_path / name)).digest())
    assert digests[0] == digests[1] != digests[2]


@given(st.text(max_size=30))
def test_no_path_in_a_record_leads_out_of_the_target(text):
    for path in (text, f"train/{text}", f"../{text}", f"/{text}", f"train/../../{text}"):
        if is_inside(path):
            assert os.path.normpath(f"/target/{path}").startswith("/target/")
            assert not path.startswith("/")


@pytest.mark.parametrize(
    "line", ["[0]", "no json", '[0, "train/../../x", 1, "aa"]', '[0, 7, 1, ""]']
)
def test_a_record_that_lists_something_else_is_damaged(tmp_path, line):
    file = tmp_path / "000000.jsonl"
    file.write_text(record_text(record(), []) + line + "\n")
    with pytest.raises(DamagedRecord):
        read_entries(file)


# --- the order of a commit -----------------------------------------------------------------------


def test_what_is_not_committed_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), Staging(LocalStore(tmp_path), Shard(0, 0, 2)) as staging:
        staging.path("train/c/000000").mkdir()
        raise RuntimeError
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("syncfs", [True, False])
def test_the_order_of_a_commit(tmp_path, monkeypatch, syncfs):
    """Bytes, then the name of the data, then the record; each durable before the next."""
    events = []
    if not syncfs:  # as on a system that has none
        monkeypatch.setattr(local, "_syncfs", lambda: None)
    elif (real := local._syncfs()) is not None:

        def sync(descriptor: int) -> int:
            events.append("sync all")
            return real(descriptor)

        monkeypatch.setattr(local, "_syncfs", lambda: sync)
    else:
        pytest.skip("this system has no syncfs")
    fsync, replace = local._fsync, Path.replace

    def note_sync(path):
        events.append(f"sync {_relative(path, tmp_path)}")
        fsync(path)

    def note_rename(path, final):
        events.append(f"rename to {_relative(final, tmp_path)}")
        return replace(path, final)

    monkeypatch.setattr(local, "_fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_rename)
    committed(LocalStore(tmp_path))
    renames = [event for event in events if "rename" in event or "sync all" in event]
    data, final = "rename to train/c/000000", "rename to manifest/000000.jsonl"
    assert renames == ["sync all"] * syncfs + [data, final]
    assert events[events.index(data) + 1] == "sync train/c"
    assert events[events.index(final) + 1] == "sync manifest"
    if not syncfs:
        before = events[: events.index(data)]
        assert "sync .tmp/train/c/000000/a.jpg" in before
        assert before.index("sync .tmp/train/c/000000/a.jpg") < before.index("sync .tmp")


def _relative(path, base) -> str:
    parts = Path(path).relative_to(base).parts
    return str(Path(*(".tmp" if part.startswith(".tmp-") else part for part in parts)))


def test_without_durable_nothing_waits_for_the_disk(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("synced")

    monkeypatch.setattr(local, "_fsync", refuse)
    monkeypatch.setattr(local, "_syncfs", lambda: refuse)
    committed(LocalStore(tmp_path, durable=False))
    assert Manifest(LocalStore(tmp_path)).scan()[0] == [record()]


_STEPS = ("mkdir", "rename", "replace", "unlink", "rmdir", "open")


def test_killed_before_any_step_a_record_is_of_whole_data_or_not_there(tmp_path):
    seen = set()
    for step in range(1000):
        target = tmp_path / str(step)
        target.mkdir()
        if not killed_at(step, _STEPS, lambda one=target: committed(LocalStore(one))):
            break
        data = (target / "train/c/000000/a.jpg").exists()
        records, damaged = Manifest(LocalStore(target)).scan()
        assert damaged == []
        assert records == [] or data
        seen.add((data, bool(records)))
    assert step > 10 and seen == {(False, False), (True, False), (True, True)}


def test_planning_takes_no_memory(tmp_path):
    import tracemalloc

    tracemalloc.start()
    total = sum(len(shard) for shard in Shards(10**7, 1000))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 10**7 and most < 100_000


def test_a_record_is_lines_of_json(tmp_path):
    committed(LocalStore(tmp_path))
    lines = (tmp_path / record_place(Shard(0, 0, 2))).read_text().splitlines()
    assert json.loads(lines[1])["stop"] == 2
    assert json.loads(lines[2]) == [0, "train/c/000000/a.jpg", 3, "aa"]


@given(
    st.lists(
        st.builds(
            Entry,
            st.none() | st.integers(0, 10**9),
            st.text(min_size=1),
            st.integers(0, 2**40),
            st.text(max_size=64),
            st.none() | st.integers(0, 2**48),
        )
    )
)
def test_each_of_them_is_as_a_library_writes_it(entries):
    lines = record_text(Record(0, 0, 2, 2, "f", {}), entries).split("\n")[2:-1]
    assert lines == [json.dumps(one if one.offset is not None else one[:4]) for one in entries]


def test_several_that_write_one_shard_share_its_folder_until_one_commits_it(tmp_path):
    store, shard = LocalStore(tmp_path, False), Shard(0, 0, 2)
    with Staging(store, shard, shared="run") as first:
        first.path("train/set").mkdir()
        (first.folder / "train/set/0").write_bytes(b"0")
    with Staging(store, shard, shared="run") as second:
        assert second.folder == first.folder and second.has("train/set/0")
        second.path("train/set")
        (second.folder / "train/set/1").write_bytes(b"1")
        second.commit(Record(0, 0, 2, 2, "f", {}), [Entry(0, "train/set/0", 1, "")])
    assert sorted(path.name for path in (tmp_path / "train/set").iterdir()) == ["0", "1"]
    assert not second.folder.exists()
