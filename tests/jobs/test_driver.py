"""How often a run looks at what is there: each record is read once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import local

import pytest

from singleimg.jobs import driver, plan
from singleimg.jobs import job as jobs
from singleimg.jobs.parts import Parts
from singleimg.storage import remote
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import Entry, Manifest, Record, record_place, record_text
from singleimg.storage.remote import open_url
from singleimg.storage.shards import Shard
from singleimg.tasks.generate import generate
from tests.config.test_checks import loaded

_REQUESTS = ("cat_file", "cat_ranges", "ls", "info", "exists", "isdir", "isfile", "find",
             "size", "open", "pipe_file", "put_file", "rm_file", "cp_file", "makedirs")  # fmt: skip


class Requests:
    """What is asked of a store: what a method of fsspec's asks to answer is its own affair."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.asked: list[str] = []  # "cat_file <path>"
        self._own = local()  # threads ask at the same time

    def counting(self, name: str, works):
        def call(file_system, *arguments, **options):
            if getattr(self._own, "within", False):
                return works(file_system, *arguments, **options)
            paths = (
                arguments[0] if name == "cat_ranges" else [arguments[-1 if "put" in name else 0]]
            )
            self.asked += [f"{name} {path}" for path in paths]
            self._own.within = True
            try:
                found = works(file_system, *arguments, **options)
            finally:
                self._own.within = False
            if name == "ls":  # S3 lists a thousand names at a time
                self.asked += [f"ls {paths[0]}, more"] * ((len(found) - 1) // 1000)
            return found

        return call

    def records(self) -> Counter[str]:
        """How often each record was read."""
        found = (re.fullmatch(r"cat\w+ .*/manifest/(\d+)\.jsonl", one) for one in self.asked)
        return Counter(one[1] for one in found if one)


@pytest.fixture
def requests(monkeypatch, request) -> Iterator[Requests]:
    """What is asked of an empty store from now on."""
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    pytest.importorskip("upath", reason="universal-pathlib is not installed")
    monkeypatch.delitem(remote._NO_PLACE, "memory")  # it stays as long as the tests
    counted = Requests(f"memory://{request.node.name}/set")
    store = open_url(counted.target)
    kind = type(store.file_system)
    for name in _REQUESTS:
        monkeypatch.setattr(kind, name, counted.counting(name, getattr(kind, name)))
    yield counted
    monkeypatch.undo()
    for file in store.file_system.find(store.path):
        store.file_system.rm_file(file)


def typed(picture: Path, target: object, num_imgs: int) -> list[str]:
    common = ["img_size=32", "output=webdataset", "output.shard_size=1", "backend=sequential"]
    return [f"imgpath={picture}", f"targetpath={target}", f"num_imgs={num_imgs}", *common]


def list_only(cfg) -> None:
    """A finished dataset of shards that were never rendered: records, and data of a few bytes."""
    job = jobs.prepare(cfg)
    target = job.target
    target.begin(target.look(), job.recipe, job.texts, job.output, job.shards)
    for shard in job.shards:
        text, place = f"image {shard.number}", job.output.place(shard)
        record = Record(shard.number, shard.start, shard.stop, len(text),
                        job.recipe.fingerprint, job.recipe.made_with)  # fmt: skip
        entry = Entry(None, place, len(text), sha256(text.encode()).hexdigest())
        target.store.write(place, text)
        target.store.write(record_place(shard), record_text(record, [entry]))
    target.finish(job.recipe, job.num_imgs, job.output)


def test_a_store_of_1281_shards_is_extended_with_one_request_a_record_and_few_more(
    picture, requests
):
    list_only(loaded(*typed(picture, requests.target, 1281)))
    requests.asked.clear()
    cfg = loaded(*typed(picture, requests.target, 1282))
    generate(cfg)
    records = requests.records()
    assert set(records.values()) == {1} and len(records) == 1282  # the new one is read, too
    assert len(requests.asked) <= 1281 + 28, [r for r in requests.asked if "cat_ranges" not in r]
    target = jobs.Target.at(requests.target)
    assert target.summary()["images"] == 1282
    assert target.summary()["digest"] == Manifest(target.store).digest()


def test_the_same_command_again_reads_each_record_once(picture, requests):
    list_only(loaded(*typed(picture, requests.target, 30)))
    requests.asked.clear()
    generate(loaded(*typed(picture, requests.target, 30)))
    assert requests.records() == Counter({f"{number:06d}": 1 for number in range(30)})
    assert len(requests.asked) <= 30 + 6


def test_a_fresh_run_reads_each_record_that_it_wrote_once(picture, requests):
    generate(loaded(*typed(picture, requests.target, 8)))
    assert requests.records() == Counter({f"{number:06d}": 1 for number in range(8)})
    removed = [one for one in requests.asked if one.startswith("rm_file ")]
    place = requests.target.removeprefix("memory:/")  # no record that was never there
    assert removed == [f"rm_file {place}/dataset.json", f"rm_file {place}/report.html"]


def test_in_a_folder_each_record_is_read_once_too(picture, tmp_path, monkeypatch):
    generate(loaded(*typed(picture, tmp_path / "set", 8)))
    asked, read = [], LocalStore.read

    def counted(store: LocalStore, name: str, most: int = -1) -> bytes | None:
        asked.append(name)
        return read(store, name, most)

    monkeypatch.setattr(LocalStore, "read", counted)
    generate(loaded(*typed(picture, tmp_path / "set", 9)))
    records = [name for name in asked if name.startswith("manifest/")]
    assert sorted(records) == [f"manifest/{number:06d}.jsonl" for number in range(9)]


def test_what_another_run_made_while_this_one_waited_for_the_lock_is_not_made_again(
    picture, tmp_path, monkeypatch
):
    """The look before the lock does not count."""
    from singleimg.tasks import generate as task

    generate(loaded(*typed(picture, tmp_path / "set", 3)))
    hold, seen = task.hold, []

    def waits(store):
        monkeypatch.setattr(task, "hold", hold)
        generate(loaded(*typed(picture, tmp_path / "set", 5)))
        seen.append((tmp_path / "set/manifest/000004.jsonl").stat().st_ino)
        return hold(store)

    monkeypatch.setattr(task, "hold", waits)
    generate(loaded(*typed(picture, tmp_path / "set", 6)))
    assert jobs.Target.at(str(tmp_path / "set")).summary()["images"] == 6
    assert (tmp_path / "set/manifest/000004.jsonl").stat().st_ino == seen[0]


def test_the_driver_waits_for_no_part_of_a_workers(picture, tmp_path, monkeypatch):
    """It would not hear that they are gone."""
    early = {"render_chunk": set(), "render_in_worker": set()}

    def noted(name: str):
        makes = getattr(driver, name)
        return lambda task: early[name].add(task.early > 0) or makes(task)

    monkeypatch.setattr(plan, "CHUNK", 4)
    for name in early:
        monkeypatch.setattr(driver, name, noted(name))
    cfg = loaded(
        f"imgpath={picture}", f"targetpath={tmp_path / 'set'}", "num_imgs=400", "img_size=32",
        "output=webdataset", "backend=threading", "backend.from_seconds=0", "threads=2",
    )  # fmt: skip
    generate(cfg)
    assert early == {"render_chunk": {False}, "render_in_worker": {True}}


def test_parts_go_through_no_store(picture, requests, monkeypatch):
    """Chunks of a shard are put together on this machine: one upload a file that stays."""
    monkeypatch.setattr(plan, "CHUNK", 20)
    seen, write = [], Parts.write

    def left(parts: Parts, chunk: Shard, images) -> None:
        write(parts, chunk, images)
        seen.append((chunk.start, len(requests.asked)))

    monkeypatch.setattr(Parts, "write", left)
    words = typed(picture, requests.target, 130)
    more = ["output.shard_size=100", "backend=threading", "backend.from_seconds=0", "threads=2"]
    generate(loaded(*[word for word in words if "=sequential" not in word], *more))
    assert sorted(start for start, _ in seen) == [0, 20, 40, 60, 80, 100, 120]
    put = sorted(one.rpartition("/set/")[2] for one in requests.asked if one.startswith("put_file"))
    assert put == [f"manifest/00000{number}.jsonl" for number in (0, 1)] + [
        f"train/shard-00000{number}.tar" for number in (0, 1)
    ]
    assert not [one for one in requests.asked if ".part" in one]
