"""Stores behind URLs, as ``memory://`` shows them: names, bytes, patience and sentences."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from singleimg.errors import UserError, WriteError
from singleimg.storage import remote
from singleimg.storage.manifest import Entry
from singleimg.storage.remote import Store, StoreFiles, file_system, open_url, patiently, ranges

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
pytest.importorskip("upath", reason="universal-pathlib is not installed")

STORE = Store()


@pytest.fixture
def target(request):
    """An empty place of its own in the memory of this process."""
    path = open_url(f"memory://{request.node.name}")
    yield path
    for file in file_system(path).find(path.path):
        file_system(path).rm_file(file)


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """What would have been waited, in seconds; nothing is."""
    waited: list[float] = []
    monkeypatch.setattr(remote.time, "sleep", waited.append)
    monkeypatch.setattr(remote.random, "uniform", lambda low, high: 1.0)
    return waited


@pytest.fixture
def failing(monkeypatch):
    """``failing("cat_file", error, times=2)``: the store fails so often, then works again."""

    def fail(name: str, error: BaseException, times: int = 1000) -> list[str]:
        kind = type(file_system(open_url("memory://x")))
        works, calls = getattr(kind, name), []

        def call(*arguments, **options):
            calls.append(name)
            if len(calls) <= times:
                raise error
            return works(*arguments, **options)

        monkeypatch.setattr(kind, name, call)
        return calls

    return fail


# --- names and bytes -----------------------------------------------------------------------------


def test_what_was_written_is_named_and_read(target):
    STORE.write_whole(target / "recipe.json", "größer\n")
    STORE.write_whole(target / "manifest" / "000000.jsonl", iter(["one\n", "two\n"]))
    assert sorted(STORE.names(target)) == ["manifest", "recipe.json"]
    assert STORE.names(target / "manifest") == ["000000.jsonl"]
    assert STORE.read(target / "recipe.json") == "größer\n".encode()
    assert STORE.read(target / "manifest" / "000000.jsonl") == b"one\ntwo\n"
    STORE.write_whole(target / "recipe.json", "other\n")
    assert STORE.read(target / "recipe.json") == b"other\n"


def test_where_there_is_nothing_nothing_is_named_or_read(target):
    assert STORE.names(target / "none") == []
    assert STORE.read(target / "none") is None
    assert list(STORE.read_all([])) == []
    assert list(STORE.read_all([target / "none"])) == [None]


def test_an_object_in_the_name_of_a_folder_is_not_in_that_folder(target, monkeypatch):
    # S3's console makes one for each folder that somebody clicks together.
    STORE.write_whole(target / "train" / "shard", "x")
    listing = [f"{target.path}/train/", f"{target.path}/train/shard"]
    monkeypatch.setattr(type(file_system(target)), "ls", lambda *_, **__: listing)
    assert STORE.names(target / "train") == ["shard"]


def test_all_files_are_read_in_their_order_and_one_that_is_missing_is_none(target):
    files = [target / name for name in ("b", "none", "a", "b")]
    STORE.write_whole(target / "a", "1")
    STORE.write_whole(target / "b", "")
    assert list(STORE.read_all(files)) == [b"", None, b"1", b""]


def test_what_cannot_be_read_does_not_count_as_missing(target, failing):
    STORE.write_whole(target / "a", "1")
    failing("cat_file", TimeoutError("no answer"))
    with pytest.raises(WriteError) as caught:
        list(STORE.read_all([target / "a"]))
    assert str(caught.value) == (
        f"{target}/a cannot be read (no answer): see whether the store can be reached."
    )


def test_parts_of_files_are_read_at_once(target):
    STORE.write_whole(target / "train" / "a", "0123456789")
    STORE.write_whole(target / "train" / "b", "abcdef")
    places = [("train/b", 2, 3), ("train/a", 0, 1), ("train/a", 9, 1)]
    assert ranges(target, places) == [b"cde", b"0", b"9"]
    with pytest.raises(UserError, match=r"cannot be read \(.*train/none\): "):
        ranges(target, [("train/none", 0, 1)])


# --- changes -------------------------------------------------------------------------------------


def test_a_file_and_all_files_of_a_folder_are_put_in_their_place(target, tmp_path):
    (tmp_path / "shard" / "inner").mkdir(parents=True)
    (tmp_path / "shard" / "index.json").write_text("{}")
    (tmp_path / "shard" / "inner" / "a").write_text("a")
    STORE.put(tmp_path / "shard", target, "train/000000")
    STORE.put(tmp_path / "shard" / "index.json", target, "train/one.tar")
    places = ["train/000000/index.json", "train/000000/inner/a", "train/one.tar"]
    assert [STORE.read(target / place) for place in places] == [b"{}", b"a", b"{}"]
    assert file_system(target).find(target.path) == [f"{target.path}/{place}" for place in places]


def test_removing_what_is_not_there_is_no_fault(target):
    STORE.write_whole(target / "a", "1")
    STORE.remove(target / "a")
    STORE.remove(target / "a")
    STORE.put_away(target / "a", target)
    assert STORE.read(target / "a") is None


@pytest.mark.parametrize("name", ["[ab]", "*", "?", "a"])
def test_what_is_removed_or_moved_has_that_very_name(target, name):
    for folder in ("put", "moved"):
        for one in {name, "a", "b", "ab"}:
            STORE.write_whole(target / folder / one / "file", one)
    STORE.put_away(target / "put" / name, target)
    STORE.move(target / "moved" / name, target / "foreign" / name)
    rest = {"a", "b", "ab"} - {name}
    assert set(STORE.names(target / "put")) == set(STORE.names(target / "moved")) == rest
    assert STORE.names(target / "foreign") == [name]
    assert STORE.read(target / "foreign" / name / "file") == name.encode()


def test_a_run_stages_in_its_own_folder(tmp_path, target):
    assert STORE.within(tmp_path).staging(target) == tmp_path
    assert STORE.staging(target).is_dir()
    assert pickle.loads(pickle.dumps(STORE.within(tmp_path))) == STORE.within(tmp_path)


def test_objects_are_compared_with_their_entries(target):
    STORE.write_whole(target / "train" / "a", "0123456789")
    files = StoreFiles(target)
    digest = lambda data: sha256(data).hexdigest()  # noqa: E731
    whole = Entry(None, "train/a", 10, digest(b"0123456789"))
    part = Entry(7, "train/a", 3, digest(b"345"), 3)
    assert files.difference(whole) is files.difference(part) is None
    assert files.difference(whole._replace(sha256="other")) == "is altered"
    assert files.difference(part._replace(offset=4)) == "is altered"
    assert files.difference(whole._replace(bytes=12)) == "is truncated (10 of 12 bytes)"
    assert files.difference(whole._replace(path="train/b")) == "is missing"
    assert files.exists("train/a") and files.exists("train") and not files.exists("train/b")
    assert files.names("train") == ["a"] and files.names("train/a") == files.names("none") == []


# --- patience ------------------------------------------------------------------------------------


def test_a_change_is_tried_three_times_with_growing_pauses(target, pauses, failing):
    calls = failing("pipe_file", ConnectionResetError("gone"), times=2)
    STORE.write_whole(target / "a", "1")
    assert (len(calls), pauses) == (3, [1.0, 2.0])
    assert STORE.read(target / "a") == b"1"


def test_then_it_is_said(target, pauses, failing):
    calls = failing("put_file", OSError("[Errno 5] bad weather"))
    with pytest.raises(WriteError) as caught:
        STORE.put(Path(__file__), target, "train/a")
    assert len(calls) == 3
    assert str(caught.value) == (
        f"{target} cannot be written ([Errno 5] bad weather): see whether the store can be reached."
    )


@pytest.mark.parametrize("error", [PermissionError(), FileNotFoundError(), NotImplementedError()])
def test_what_does_not_pass_is_not_tried_again(target, pauses, failing, error):
    calls = failing("pipe_file", error)
    with pytest.raises(UserError):
        STORE.write_whole(target / "a", "1")
    assert (len(calls), pauses) == (1, [])


def test_a_removal_whose_answer_was_lost_is_done(target, pauses, monkeypatch):
    STORE.write_whole(target / "a", "1")
    kind = type(file_system(target))
    removes = kind.rm_file

    def loses(self, path):
        removes(self, path)
        raise ConnectionResetError("gone")

    monkeypatch.setattr(kind, "rm_file", loses)
    STORE.put_away(target / "a", target)
    assert pauses == [1.0] and STORE.read(target / "a") is None


def test_a_stop_waits_for_nothing(target, pauses):
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        patiently(stopped, target)
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
            "(fsspec does not do that there): type another targetpath.",
        ),
        (
            OfNetwork("Could not connect"),
            WriteError,
            "(Could not connect): see whether the store can be reached.",
        ),
        (TimeoutError(), WriteError, "(TimeoutError): see whether the store can be reached."),
    ],
)
def test_each_error_of_a_store_says_what_to_do(target, pauses, failing, error, kind, said):
    failing("cat_file", error)
    failing("pipe_file", error)
    with pytest.raises(UserError) as caught:
        STORE.write_whole(target / "a", "1")
    assert (type(caught.value), str(caught.value)) == (kind, f"{target}/a cannot be written {said}")
    if not isinstance(error, FileNotFoundError):  # that is an answer
        with pytest.raises(UserError) as caught:
            STORE.read(target / "a")
        assert str(caught.value) == f"{target}/a cannot be read {said}"


def test_a_mistake_of_ours_stays_one(target, pauses, failing):
    failing("pipe_file", TypeError("bytes"))
    with pytest.raises(TypeError):
        STORE.write_whole(target / "a", "1")


def test_what_a_broken_connection_leaves_behind_is_not_printed(caplog):
    pytest.importorskip("s3fs", reason="s3fs is not installed")

    async def fails() -> None:
        raise ConnectionResetError("Cannot write to closing transport")

    async def leaves_one_behind() -> None:
        task = asyncio.create_task(fails())
        await asyncio.sleep(0.01)
        assert task.done()

    fsspec.asyn.sync(file_system(open_url("s3://bucket")).loop, leaves_one_behind)
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
        'missing to reach it): type pip install "singleimg[remote]" (in a checkout: pip install '
        '-e ".[remote]").'
    )


@pytest.mark.parametrize("protocol, extra", [("s3", "s3"), ("s3a", "s3"), ("gs", "remote")])
def test_the_package_for_all_protocols_is_missing(monkeypatch, protocol, extra):
    monkeypatch.setitem(sys.modules, "upath", None)
    assert refused(f"{protocol}://bucket/name") == (
        f"targetpath={protocol}://bucket/name needs a package that cannot be imported here (import "
        f'of upath halted; None in sys.modules): type pip install "singleimg[{extra}]" (in a '
        f'checkout: pip install -e ".[{extra}]").'
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
