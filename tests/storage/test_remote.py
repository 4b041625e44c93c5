"""Stores behind URLs, as ``memory://`` shows them: names, bytes, patience and sentences."""

from __future__ import annotations

import asyncio
import gc
import pickle
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleimg.errors import UserError, WriteError
from singleimg.storage import faults, remote
from singleimg.storage.base import DamagedFile, Range
from singleimg.storage.remote import RemoteStore, open_url

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
pytest.importorskip("upath", reason="universal-pathlib is not installed")


@pytest.fixture
def store(request) -> Iterator[RemoteStore]:
    """An empty place of its own in the memory of this process."""
    one = open_url(f"memory://{request.node.name}")
    yield one
    for file in one.file_system.find(one.path):
        one.file_system.rm_file(file)


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """What would have been waited, in seconds; nothing is."""
    waited: list[float] = []
    monkeypatch.setattr(faults.time, "sleep", waited.append)
    monkeypatch.setattr(faults.random, "uniform", lambda low, high: 1.0)
    return waited


@pytest.fixture
def failing(monkeypatch):
    """``failing("cat_file", error, times=2)``: the store fails so often, then works again."""

    def fail(name: str, error: BaseException, times: int = 1000) -> list[str]:
        kind = type(open_url("memory://x").file_system)
        works, calls = getattr(kind, name), []

        def call(*arguments, **options):
            calls.append(name)
            if len(calls) <= times:
                raise error
            return works(*arguments, **options)

        monkeypatch.setattr(kind, name, call)
        return calls

    return fail


# --- names and bytes (what folders do as well is in test_base) -----------------------------------


def test_an_object_in_the_name_of_a_folder_is_not_in_that_folder(store, monkeypatch):
    # S3's console makes one for each folder that somebody clicks together.
    store.write("train/shard", "x")
    listing = [
        {"name": f"{store.path}/train/", "type": "directory", "size": 0},
        {"name": f"{store.path}/train/shard", "type": "file", "size": 1},
    ]
    plain = [one["name"] for one in listing]
    answers = lambda *_, detail: listing if detail else plain  # noqa: E731
    monkeypatch.setattr(type(store.file_system), "ls", answers)
    assert store.names("train") == list(store.details("train")) == ["shard"]
    assert store.details("train")["shard"].version is None  # nothing says which version it is


def test_what_cannot_be_read_does_not_count_as_missing(store, failing):
    store.write("a", "1")
    failing("cat_file", TimeoutError("no answer"))
    with pytest.raises(WriteError) as caught:
        list(store.read_all(["a"]))
    assert str(caught.value) == (
        f"{store}/a cannot be read (no answer): check that the store can be reached."
    )


def test_many_files_are_asked_for_in_parts_that_fit_in_memory(store, monkeypatch):
    monkeypatch.setattr(remote, "_AT_ONCE", 3)
    asked, kind = [], type(store.file_system)
    cat = kind.cat_ranges

    def counted(self, paths, *arguments, **options):
        asked.append(len(paths))
        return cat(self, paths, *arguments, **options)

    monkeypatch.setattr(kind, "cat_ranges", counted)
    names = [str(number) for number in range(7)]
    for name in names:
        store.write(name, name)
    assert list(store.read_all(names)) == [name.encode() for name in names]
    assert asked == [3, 3, 1]


def test_parts_of_files_are_read_at_once(store, monkeypatch):
    asked, kind = [], type(store.file_system)
    cat = kind.cat_ranges
    monkeypatch.setattr(
        kind, "cat_ranges", lambda self, paths, *more, **o: asked.append(paths) or
        cat(self, paths, *more, **o)
    )  # fmt: skip
    store.write("train/a", "0123456789")
    store.write("train/b", "abcdef")
    read = store.open_ranges()
    places = [Range("train/b", 2, 3), Range("train/a", 0, 1), Range("train/a", 9, 1)]
    assert read(places) == [b"cde", b"0", b"9"] and len(asked) == 1
    with pytest.raises(UserError, match=r"cannot be read \(.*train/none\): "):
        read([Range("train/none", 0, 1)])
    with pytest.raises(DamagedFile, match=r"^train/a is shorter than its record says$"):
        read([Range("train/a", 9, 2)])


def test_what_lies_side_by_side_is_asked_for_in_one_piece():
    """An export of ten thousand images makes some forty requests."""
    images = [Range("train/a", 512 + 15_000 * place, 14_000) for place in range(250)]
    assert list(remote._pieces(images)) == [
        (Range("train/a", 512, 15_000 * 249 + 14_000), list(range(250)))
    ]
    far = [Range("train/a", 0, 10), Range("train/a", 10**6, 10), Range("train/b", 0, 10)]
    assert [piece for piece, _ in remote._pieces(far)] == far
    large = [Range("train/a", place << 20, 1 << 20) for place in range(20)]
    assert [piece.size >> 20 for piece, _ in remote._pieces(large)] == [8, 8, 4]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 900), st.integers(0, 100))))
def test_parts_are_what_was_asked_for_however_they_lie(places):
    files = {name: random.Random(name).randbytes(1000) for name in "ab"}
    ranges = [Range(name, offset, size) for name, offset, size in places]
    found = {}
    for piece, held in remote._pieces(ranges):
        data = files[piece.name][piece.offset : piece.offset + piece.size]
        for place in held:
            one = ranges[place]
            found[place] = data[one.offset - piece.offset :][: one.size]
    assert [found[place] for place in range(len(ranges))] == [
        files[one.name][one.offset : one.offset + one.size] for one in ranges
    ]


def test_a_store_is_the_same_in_every_process(store):
    """What travels are texts: no connection of fsspec's survives a fork."""
    file_system = store.file_system
    data = pickle.dumps(store)
    assert pickle.loads(data) == store and len(data) < 400
    assert store.file_system is file_system
    remote._file_system.cache_clear()
    assert pickle.loads(data).path_of("a") == f"{store}/a"


def test_a_run_stages_in_its_own_folder(tmp_path, store):
    assert store.within(tmp_path).staging == tmp_path
    assert store.staging.is_dir()
    assert pickle.loads(pickle.dumps(store.within(tmp_path))) == store.within(tmp_path)


# --- patience ------------------------------------------------------------------------------------


def test_a_change_is_tried_three_times_with_growing_pauses(store, pauses, failing):
    calls = failing("pipe_file", ConnectionResetError("gone"), times=2)
    store.write("a", "1")
    assert (len(calls), pauses) == (3, [1.0, 2.0])
    assert store.read("a") == b"1"


def test_then_it_is_said(store, pauses, failing):
    calls = failing("put_file", OSError("[Errno 5] bad weather"))
    with pytest.raises(WriteError) as caught:
        store.put(Path(__file__), "train/a")
    assert len(calls) == 3
    assert str(caught.value) == (
        f"{store} cannot be written ([Errno 5] bad weather): check that the store can be reached."
    )


@pytest.mark.parametrize("error", [PermissionError(), FileNotFoundError(), NotImplementedError()])
def test_what_does_not_pass_is_not_tried_again(store, pauses, failing, error):
    calls = failing("pipe_file", error)
    with pytest.raises(UserError):
        store.write("a", "1")
    assert (len(calls), pauses) == (1, [])


def test_a_removal_whose_answer_was_lost_is_done(store, pauses, monkeypatch):
    store.write("a", "1")
    kind = type(store.file_system)
    removes = kind.rm_file

    def loses(self, path):
        removes(self, path)
        raise ConnectionResetError("gone")

    monkeypatch.setattr(kind, "rm_file", loses)
    store.discard("a")
    assert pauses == [1.0] and store.read("a") is None


def test_a_stop_waits_for_nothing(store, pauses):
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        faults.patiently(stopped, str(store))
    assert pauses == []


# --- sentences -----------------------------------------------------------------------------------


class NoCredentialsError(Exception):
    """As botocore calls it."""


class OfNetwork(Exception):
    """As a package of the network has them, which is no OSError."""

    __module__ = "botocore.exceptions"


@pytest.mark.parametrize(
    "error, kind, said",
    [
        (
            PermissionError(13, "Access Denied"),
            UserError,
            "(Access Denied): check the credentials in the environment, and what they allow there.",
        ),
        (
            FileNotFoundError("The specified bucket does not exist"),
            UserError,
            "(The specified bucket does not exist): make the bucket first, or type another "
            "targetpath.",
        ),
        (
            NoCredentialsError("Unable to locate\ncredentials"),
            UserError,
            "(Unable to locate credentials): put credentials into the environment (for S3 "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE).",
        ),
        (
            NotImplementedError(),
            UserError,
            "(fsspec does not support that there): type another targetpath.",
        ),
        (
            OfNetwork("Could not connect"),
            WriteError,
            "(Could not connect): check that the store can be reached.",
        ),
        (TimeoutError(), WriteError, "(TimeoutError): check that the store can be reached."),
    ],
)
def test_each_error_of_a_store_says_what_to_do(store, pauses, failing, error, kind, said):
    failing("cat_file", error)
    failing("pipe_file", error)
    with pytest.raises(UserError) as caught:
        store.write("a", "1")
    assert (type(caught.value), str(caught.value)) == (kind, f"{store}/a cannot be written {said}")
    if not isinstance(error, FileNotFoundError):  # that is an answer
        with pytest.raises(UserError) as caught:
            store.read("a")
        assert str(caught.value) == f"{store}/a cannot be read {said}"


def test_a_mistake_of_ours_stays_one(store, pauses, failing):
    failing("pipe_file", TypeError("bytes"))
    with pytest.raises(TypeError):
        store.write("a", "1")


def test_what_a_broken_connection_leaves_behind_is_not_printed(caplog):
    pytest.importorskip("s3fs", reason="s3fs is not installed")

    async def fails() -> None:
        raise ConnectionResetError("Cannot write to closing transport")

    async def leaves_one_behind() -> None:
        task = asyncio.create_task(fails())
        await asyncio.sleep(0.01)
        assert task.done()

    fsspec.asyn.sync(open_url("s3://bucket").file_system.loop, leaves_one_behind)
    gc.collect()
    assert caplog.messages == []


# --- URLs ----------------------------------------------------------------------------------------


def refused(url: str) -> str:
    with pytest.raises(UserError) as caught:
        open_url(url)
    return str(caught.value)


def test_a_protocol_that_nobody_knows():
    assert refused("foo://bucket/name") == (
        "targetpath=foo://bucket/name cannot be opened (Unsupported filesystem: 'foo'): type a "
        "folder, or a URL such as s3://bucket/name."
    )


def test_a_protocol_whose_package_is_missing(monkeypatch):
    known = {"class": "missing.Files", "err": "Install missing to reach it"}
    monkeypatch.setitem(sys.modules["fsspec.registry"].known_implementations, "far", known)
    assert refused("far://bucket/name") == (
        "targetpath=far://bucket/name needs a package that cannot be imported here (Install "
        'missing to reach it): type pip install -e ".[remote]".'
    )


@pytest.mark.parametrize("protocol, extra", [("s3", "s3"), ("s3a", "s3"), ("gs", "remote")])
def test_the_package_for_all_protocols_is_missing(monkeypatch, protocol, extra):
    monkeypatch.setitem(sys.modules, "upath", None)
    assert refused(f"{protocol}://bucket/name") == (
        f"targetpath={protocol}://bucket/name needs a package that cannot be imported here (import "
        f'of upath halted; None in sys.modules): type pip install -e ".[{extra}]".'
    )


@pytest.mark.parametrize("url", ["s3://", "s3:///name", "memory://"])
def test_a_url_without_a_bucket(url):
    if url.startswith("s3"):
        pytest.importorskip("s3fs", reason="s3fs is not installed")
    assert refused(url).endswith("type a folder, or a URL such as s3://bucket/name.")


def test_an_s3_client_is_patient_unless_the_environment_says_how_much(monkeypatch):
    monkeypatch.delenv("AWS_MAX_ATTEMPTS", raising=False)
    assert remote._options("s3")["config_kwargs"]["retries"]["total_max_attempts"] > 5
    assert remote._options("memory") == {}
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert remote._options("s3") == {}
