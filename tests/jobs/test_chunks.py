"""The same bytes, however shards are cut into chunks and whoever makes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from singleimg import UserError, compose
from singleimg.config import make
from singleimg.jobs import plan, worker
from singleimg.jobs.parts import FOLDER, Parts
from singleimg.jobs.plan import Plan
from singleimg.jobs.progress import Progress
from singleimg.storage.shards import Shard
from tests.scenarios import leftovers, tree_hash
from tests.stubs import NAP

IMAGES, SHARD = 300, 270
# Images of a chunk, how many there are in all, and workers.
SIZES = ((1, 30, 3), (7, IMAGES, 2), (250, IMAGES, 3), (IMAGES, IMAGES, 2))
FORMATS = ("folder", "webdataset", "parquet", "lmdb")
TRUST = "trusted_modules=[tests.stubs]"


def typed(picture: Path, output: str, images: int = IMAGES) -> list[str]:
    return [f"imgpath={picture}", f"num_imgs={images}", "img_size=32", f"output={output}",
            f"output.shard_size={images - 30 if images > 30 else 20}", "save_params=true",
            "augment=strong", "engine._target_=tests.stubs.SlowEngine",
            TRUST]  # fmt: skip


def act(*words: str) -> None:
    cfg = compose(*map(str, words))
    make.task(cfg)(cfg)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_tree_for_any_size_of_chunks(picture, tmp_path, monkeypatch, name):
    pytest.importorskip({"parquet": "pyarrow", "lmdb": "lmdb"}.get(name, "os"))
    for size, images, workers in SIZES:
        words, whole = typed(picture, name, images), tmp_path / f"whole-{images}"
        if not whole.exists():
            act(*words, f"targetpath={whole}", "backend=sequential")
        monkeypatch.setattr(plan, "CHUNK", size)
        target = tmp_path / f"{size}"
        act(*words, f"targetpath={target}", "backend=threading", f"threads={workers}",
            "backend.from_seconds=0")  # fmt: skip
        assert tree_hash(target) == tree_hash(whole), size
        assert leftovers(target) == []


@pytest.mark.parametrize("name", ["folder", "webdataset"])
def test_the_same_tree_by_worker_processes(run, picture, tmp_path, monkeypatch, name):
    words = typed(picture, name)
    run(*words, f"targetpath={tmp_path / 'whole'}", "threads=1")
    monkeypatch.setattr(plan, "CHUNK", 20)
    for workers in (2, 3):
        target = tmp_path / str(workers)
        said = run(*words, f"targetpath={target}", f"threads={workers}", "backend.from_seconds=0")
        assert f"with {workers} workers" in said.stdout
        assert tree_hash(target) == tree_hash(tmp_path / "whole")
        assert leftovers(target) == []


@pytest.mark.parametrize("name", ["webdataset", "parquet", "lmdb"])
def test_the_last_shard_is_assembled_while_others_make_the_rest_of_it(
    picture, tmp_path, monkeypatch, name
):
    pytest.importorskip({"parquet": "pyarrow", "lmdb": "lmdb"}.get(name, "os"))
    words, missing, of, awaited = typed(picture, name), [], Plan.of, worker._awaited
    words[4] = "output.shard_size=150"
    act(*words, f"targetpath={tmp_path / 'whole'}", "backend=sequential")

    def seen(work, task, parts, counter):
        missing.append((task.shard.number, sum(c not in parts for c in task.shard.chunks(10))))
        return awaited(work, task, parts, counter)

    monkeypatch.setattr(plan, "CHUNK", 10)
    monkeypatch.setenv(NAP, "0.002")
    monkeypatch.setattr(worker, "_awaited", seen)
    monkeypatch.setattr(Plan, "of", lambda *given: replace(of(*given), early=0.5))
    act(*words, f"targetpath={tmp_path / 'set'}", "backend=threading", "threads=3",
        "backend.from_seconds=0")  # fmt: skip
    assert tree_hash(tmp_path / "set") == tree_hash(tmp_path / "whole")
    assert leftovers(tmp_path / "set") == []
    assert sorted(shard for shard, _ in missing) == [0, 1]
    assert dict(missing)[0] == 0 and 0 < dict(missing)[1] <= 7


def test_an_export_and_a_repair_are_made_of_chunks_too(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "CHUNK", 20)
    threads = ("backend=threading", "threads=2", "backend.from_seconds=0")
    source, fresh, copy = (tmp_path / name for name in ("source", "fresh", "copy"))
    act(*typed(picture, "folder"), f"targetpath={source}", *threads)
    words = typed(picture, "webdataset")
    act(*words, f"targetpath={fresh}", "backend=sequential")
    seen = []
    write = Parts.write
    monkeypatch.setattr(Parts, "write", lambda *a: seen.append(a[1]) or write(*a))
    act("task=export", f"targetpath={source}", f"task.to={copy}", "output=webdataset",
        f"output.shard_size={SHARD}", "save_params=true", TRUST, *threads)  # fmt: skip
    assert len(seen) == 14 + 2 and leftovers(copy) == []
    assert tree_hash(copy) == tree_hash(fresh)
    data = copy / "train" / "shard-000000.tar"
    data.write_bytes(data.read_bytes()[:-1])
    seen.clear()
    act("task=repair", f"targetpath={copy}", TRUST, *threads)
    assert len(seen) == 14 and tree_hash(copy) == tree_hash(fresh) and leftovers(copy) == []


def test_a_folder_s_chunks_leave_no_parts_in_the_target(picture, tmp_path, monkeypatch):
    """Their images lie in the hidden folder of the shard, in their place."""
    monkeypatch.setattr(plan, "CHUNK", 20)
    seen, commit = [], worker.commit

    def look(work, staging, shard, entries, size) -> None:
        there = [path for path in staging.folder.rglob("*") if path.name.startswith("patch_")]
        seen.append((len(there), sum(path.stat().st_size for path in there) == size))
        assert not (tmp_path / "set" / FOLDER).exists()
        commit(work, staging, shard, entries, size)

    monkeypatch.setattr(worker, "commit", look)
    act(*typed(picture, "folder"), f"targetpath={tmp_path / 'set'}", "backend=threading",
        "threads=2", "backend.from_seconds=0")  # fmt: skip
    assert sorted(seen) == [(30, True), (SHARD, True)]


def test_counters_and_summary_agree(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "CHUNK", 20)
    told, leave = [], Progress.__exit__

    def at_the_end(progress: Progress, *raised) -> None:
        told.append((progress.counted, progress.bytes, progress.in_hand()))
        leave(progress, *raised)

    monkeypatch.setattr(Progress, "__exit__", at_the_end)
    act(*typed(picture, "webdataset"), f"targetpath={tmp_path / 'set'}", "backend=threading",
        "threads=2", "backend.from_seconds=0")  # fmt: skip
    from singleimg.dataset.target import Target

    summary = Target.at(str(tmp_path / "set")).summary()
    assert told == [(summary["images"], summary["bytes"], [])]


def test_a_run_that_fails_leaves_no_parts(picture, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "CHUNK", 20)
    write = Parts.write

    def fails(parts: Parts, chunk: Shard, images) -> None:
        if chunk.start == 60:
            raise OSError(28, "No space left on device")
        write(parts, chunk, images)

    monkeypatch.setattr(Parts, "write", fails)
    with pytest.raises(UserError, match=r"shard 000000 could not be written .*: make room"):
        act(*typed(picture, "webdataset"), f"targetpath={tmp_path / 'set'}", "backend=threading",
            "threads=2", "backend.from_seconds=0")  # fmt: skip
    assert not (tmp_path / "set" / FOLDER).exists()
    assert [name for name in leftovers(tmp_path / "set") if name.startswith(".tmp")] == []
