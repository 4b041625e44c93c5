"""What every store does, as one specification of a folder and of what is behind a URL."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from unittest.mock import Mock

import pytest

from singleimg.errors import UserError
from singleimg.storage.base import TEMPORARY, DamagedFile, NotExclusive, Range, Store
from singleimg.storage.integrity import Files
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import DamagedRecord, Entry, Manifest, Record
from singleimg.storage.remote import RemoteStore
from singleimg.storage.resolve import store_at
from singleimg.storage.shards import Shard, Slice
from singleimg.storage.staging import Staging

CHUNK = 1 << 20  # what a folder reads at once


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path) -> Iterator[Store]:
    """An empty one of each kind, in turn."""
    if request.param == "folder":
        (tmp_path / "set").mkdir()
        yield store_at(str(tmp_path / "set"))
        return
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    pytest.importorskip("upath", reason="universal-pathlib is not installed")
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    one = store_at(f"memory://{name}")
    yield one.within(tmp_path)
    for file in one.file_system.find(one.path):
        one.file_system.rm_file(file)


# --- what it is ----------------------------------------------------------------------------------


def test_a_text_names_one_kind_of_store(tmp_path):
    pytest.importorskip("upath", reason="universal-pathlib is not installed")
    folder = LocalStore(tmp_path)
    assert store_at(str(tmp_path)) == store_at(f"file://{tmp_path}") == folder
    assert store_at(str(tmp_path), durable=False) == LocalStore(tmp_path, durable=False)
    assert folder.local_path == tmp_path and folder.durable
    url = store_at("memory://bucket/name/", durable=False)
    assert isinstance(url, RemoteStore) and url == store_at("memory://bucket/name")
    assert url.local_path is None and url.durable


def test_it_is_its_root_for_people_and_small_to_pickle(store):
    assert store.path_of("") == str(store) and store.path_of("a/b") == f"{store}/a/b"
    data = pickle.dumps(store)
    assert pickle.loads(data) == store and hash(pickle.loads(data)) == hash(store)
    assert len(data) < 600


# --- what is there -------------------------------------------------------------------------------


def test_what_was_written_is_named_and_read(store):
    store.write("recipe.json", "größer\n")
    store.write("manifest/000000.jsonl", iter(["one\n", "two\n"]))
    assert sorted(store.names()) == ["manifest", "recipe.json"]
    assert store.names("manifest") == ["000000.jsonl"]
    assert store.read("recipe.json") == "größer\n".encode()
    assert store.read("manifest/000000.jsonl") == b"one\ntwo\n"
    store.write("recipe.json", "other\n")
    assert store.read("recipe.json") == b"other\n"


def test_of_several_that_create_a_file_one_does(store):
    if store.local_path is None:  # fsspec's own way looks first and writes then
        with pytest.raises(NotExclusive):
            store.create("a", "1")
        assert store.names() == []
        return
    with ThreadPoolExecutor(8) as several:
        list(several.map(lambda text: store.create("folder/a", text), "12345678"))
    first = store.read("folder/a")
    store.create("folder/a", "9")
    assert store.read("folder/a") == first and len(first) == 1
    assert store.names() == ["folder"] and store.names("folder") == ["a"]


def test_where_nothing_has_two_names_a_file_is_created_too(store, monkeypatch):
    """On FAT, SMB, and where a store is mounted."""
    if store.local_path is None:
        pytest.skip("folders only")
    refused = OSError(errno.EPERM, "Operation not permitted")
    monkeypatch.setattr(os, "link", Mock(side_effect=refused))
    store.create("a", "1")
    store.create("a", "2")
    assert store.read("a") == b"1" and store.names() == ["a"]


def test_where_there_is_nothing_nothing_is_named_or_read(store):
    assert store.names("none") == [] and store.details("none") == {}
    assert store.read("none") is None and store.read("none/none") is None
    assert list(store.read_all([])) == []
    assert list(store.read_all(["none"])) == [None]
    assert not store.exists("none") and not store.is_folder("none")
    with pytest.raises(FileNotFoundError):
        list(store.chunks("none"))
    with pytest.raises(FileNotFoundError):
        list(store.chunks("none", (3, 4)))


def test_files_and_folders_are_told_apart(store):
    store.write("train/a", "1")
    assert store.exists("train") and store.is_folder("train")
    assert store.exists("train/a") and not store.is_folder("train/a")
    found = store.details()
    assert list(found) == ["train"] and found["train"].is_folder
    assert not store.details("train")["a"].is_folder


def test_a_file_that_was_written_anew_has_another_version_and_no_other_has(store):
    for name in ("a", "b"):
        store.write(f"manifest/{name}", "the same")
    before = store.details("manifest")
    assert store.details("manifest") == before and None not in {v.version for v in before.values()}
    store.write("manifest/a", "the some")
    after = store.details("manifest")
    assert after["a"].version != before["a"].version and after["b"] == before["b"]


def test_all_files_are_read_in_their_order_and_one_that_is_missing_is_none(store):
    store.write("a", "1")
    store.write("b", "")
    assert list(store.read_all(["b", "none", "a", "b"])) == [b"", None, b"1", b""]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 1])
def test_pieces_of_a_file_make_the_whole_and_a_part_is_cut_at_its_end(store, tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "staged").write_bytes(data)
    store.put(tmp_path / "staged", "train/a")
    assert b"".join(store.chunks("train/a")) == data
    assert b"".join(store.chunks("train/a", (1, 10))) == data[1:11]


def test_ranges_are_read_in_the_order_of_asking(store):
    store.write("train/a", "0123456789")
    store.write("train/b", "abcdef")
    read = store.open_ranges()
    places = [Range("train/b", 2, 3), Range("train/a", 0, 1), Range("train/a", 9, 1)]
    assert read(places) == [b"cde", b"0", b"9"] and read([]) == []
    with pytest.raises(DamagedFile, match=r"train/a is shorter than its record says$"):
        read([Range("train/a", 9, 2)])
    with pytest.raises((FileNotFoundError, UserError), match="train/none"):
        read([Range("train/none", 0, 1)])


# --- changes -------------------------------------------------------------------------------------


def test_a_file_and_all_files_of_a_folder_are_put_in_their_place(store, tmp_path):
    (tmp_path / "shard" / "inner").mkdir(parents=True)
    (tmp_path / "shard" / "index.json").write_text("{}")
    (tmp_path / "shard" / "inner" / "a").write_text("a")
    (tmp_path / "one").write_text("1")
    store.put(tmp_path / "one", "train/one.tar")
    store.put(tmp_path / "shard", "train/000000")
    places = ["train/000000/index.json", "train/000000/inner/a", "train/one.tar"]
    assert [store.read(place) for place in places] == [b"{}", b"a", b"1"]
    assert sorted(store.names("train")) == ["000000", "one.tar"]


def test_removing_what_is_not_there_is_no_fault(store):
    store.write("a", "1")
    store.write("b", "1")
    store.remove("a")
    store.remove("a")
    store.remove("b", wait=False)
    store.remove("a/b")
    assert store.names() == []


@pytest.mark.parametrize("name", ["[ab]", "*", "?", "a"])
def test_what_is_removed_or_moved_has_that_very_name(store, name):
    for folder in ("put", "moved", "files"):
        for one in {name, "a", "b", "ab"}:
            store.write(f"{folder}/{one}/file", one)
    store.discard(f"put/{name}")
    store.move(f"moved/{name}", f"foreign/{name}")
    store.move(f"files/{name}/file", f"foreign/{name}.1")
    rest = {"a", "b", "ab"} - {name}
    assert set(store.names("put")) == set(store.names("moved")) == rest
    assert sorted(store.names("foreign")) == [name, f"{name}.1"]
    assert store.read(f"foreign/{name}/file") == store.read(f"foreign/{name}.1") == name.encode()


def test_a_file_that_is_discarded_leaves_nothing(store):
    store.write("train/shard.tar", "1")
    store.write("train/other.tar", "1")
    store.discard("train/shard.tar")
    assert store.names("train") == ["other.tar"] and store.names() == ["train"]


def test_making_a_folder_twice_and_removing_one_with_files_change_nothing(store):
    store.make_folder("a/b")
    store.make_folder("a/b")
    store.write("a/file", "1")
    store.remove_empty("a/b")
    store.remove_empty("a")
    store.remove_empty("none")
    assert store.names("a") == ["file"]


def test_nothing_half_written_stays(store):
    store.write("train/a", "1")
    if store.local_path is not None:
        (store.local_path / f"{TEMPORARY}000003-ab").mkdir()
        (store.local_path / f"{TEMPORARY}000003-ab" / "half").write_bytes(b"half")
        (store.local_path / "train" / f"{TEMPORARY}b").write_bytes(b"half")
        (store.local_path / f"{TEMPORARY}000004.tar-01").write_bytes(b"half")
        store.clear_temporary(of=Slice(0, 4))
        store.clear_temporary({"train"}, of=Slice(0, 4))
        assert sorted(store.names()) == [f"{TEMPORARY}000003-ab", "train"]
        assert sorted(store.names("train")) == [f"{TEMPORARY}b", "a"]
    store.clear_temporary()
    store.clear_temporary({"train"})
    assert store.names() == ["train"] and store.names("train") == ["a"]


# --- a dataset in it -----------------------------------------------------------------------------


def committed(store: Store, number: int, data: bytes = b"0123456789") -> Record:
    """A shard of one file with one image, from its third byte on."""
    place, record = f"train/{number:06d}", Record(number, number, number + 1, 3, "f", {})
    with Staging(store, record.shard) as staging:
        staging.path(place).write_bytes(data)
        whole = Entry(None, place, len(data), sha256(data).hexdigest())
        part = Entry(number, place, 3, sha256(data[3:6]).hexdigest(), 3)
        staging.commit(record, [whole, part])
    return record


def test_a_shard_that_is_committed_is_there_with_its_record(store):
    record = committed(store, 0)
    assert sorted(store.names()) == ["manifest", "train"]
    assert sorted(os.listdir(store.staging)) == (["manifest", "train"] if store.local_path else [])
    manifest = Manifest(store)
    assert manifest.scan() == ([record], [])
    found, entries = manifest.load(Shard(0, 0, 1))
    assert found == record and [entry.index for entry in entries] == [None, 0]
    with pytest.raises(DamagedRecord, match=r"manifest/000001\.jsonl is not what was written$"):
        manifest.load(Shard(1, 1, 2))


def test_files_and_images_in_them_are_compared_with_their_entries(store):
    committed(store, 0)
    files = pickle.loads(pickle.dumps(Files(store)))
    whole, part = Manifest(store).load(Shard(0, 0, 1))[1]
    assert files.difference(whole) is files.difference(part) is None
    assert files.difference(whole._replace(sha256="other")) == "is altered"
    assert files.difference(part._replace(offset=4)) == "is altered"
    assert files.difference(whole._replace(bytes=12)) == "is truncated (10 of 12 bytes)"
    assert files.difference(part._replace(offset=9)) == "is truncated (1 of 3 bytes)"
    assert files.difference(whole._replace(path="train/b")) == "is missing"
    assert files.exists("train/000000") and files.exists("train") and not files.exists("train/b")
    assert not files.exists(None)
    assert files.names("train") == ["000000"]
    assert files.names("train/000000") == files.names("none") == []


# --- records are read once -----------------------------------------------------------------------


@pytest.fixture
def read(store, monkeypatch) -> list[str]:
    """The names of the records that are read from now on."""
    asked: list[str] = []
    kind = type(store)
    read_all = kind.read_all

    def counted(self: Store, names: list[str], most: int | None = None) -> Iterator[bytes | None]:
        asked.extend(name.rpartition("/")[2].removesuffix(".jsonl") for name in names)
        return read_all(self, names, most)

    monkeypatch.setattr(kind, "read_all", counted)
    return asked


def test_a_record_is_read_once_and_a_new_one_when_it_comes(store, read):
    records = [committed(store, number) for number in (0, 1)]
    manifest = Manifest(store)
    assert manifest.scan() == manifest.scan() == (records, [])
    assert manifest.digest() and read == ["000000", "000001"]
    records.append(committed(store, 2))
    assert manifest.scan().records == records
    digest = manifest.digest()
    assert read == ["000000", "000001", "000002"]
    assert digest == Manifest(store).digest()


def test_what_another_run_changed_meanwhile_is_seen(store, read):
    """Records taken back, written anew, damaged: between two looks others may be at work."""
    for number in range(4):
        committed(store, number)
    manifest = Manifest(store)
    manifest.scan()
    store.remove("manifest/000000.jsonl")
    committed(store, 2, b"987654321-")
    store.write("manifest/000003.jsonl", "{")
    read.clear()
    fresh = Manifest(store)
    assert manifest.scan() == fresh.scan()
    assert manifest.scan().damaged == ["manifest/000003.jsonl"]
    assert manifest.digest() == fresh.digest()
    assert read.count("000001") == 1  # by the other one


def test_a_record_made_before_others_is_digested_in_its_place(store):
    manifest = Manifest(store)
    for number in (3, 1, 2, 0):
        committed(store, number, b"%010d" % number)
        manifest.scan()
        assert manifest.digest() == Manifest(store).digest()


def test_where_no_listing_says_which_version_a_file_is_it_is_read_each_time(
    store, read, monkeypatch
):
    committed(store, 0)
    details = type(store).details
    monkeypatch.setattr(
        type(store),
        "details",
        lambda self, folder="": {
            name: one._replace(version=None) for name, one in details(self, folder).items()
        },
    )
    manifest = Manifest(store)
    manifest.scan()
    store.write("manifest/000000.jsonl", "{")
    assert manifest.scan() == ([], ["manifest/000000.jsonl"])
    assert read == ["000000", "000000", "000000"]  # the last one for more than its beginning
