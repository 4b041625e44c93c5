"""What a worker does with a chunk and its shard, also when the system refuses."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from singleimg.config.make import instantiate
from singleimg.dataset.open import from_config
from singleimg.errors import UserError
from singleimg.jobs import worker
from singleimg.jobs.parts import FOLDER
from singleimg.jobs.producers import Rendered
from singleimg.jobs.progress import Dropped, Progress
from singleimg.jobs.work import Task, Work
from singleimg.jobs.worker import kept, render_chunk
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import Manifest
from singleimg.storage.shards import Shard
from singleimg.system.signals import Stopped, stoppable
from tests.config.test_checks import loaded


@pytest.fixture
def task(picture, tmp_path):
    """Two images of 32 px, to be made in ``tmp_path / "set"``."""
    (tmp_path / "set").mkdir()
    with Progress(tmp_path, 2, 0, 1) as progress:
        yield _task(picture, tmp_path / "set", progress)


def _task(picture: Path, target: Path, progress: Progress, name: str = "folder") -> Task:
    own = ["output.class_name=c"] if name == "folder" else []
    cfg = loaded(f"imgpath={picture}", "img_size=32", f"output={name}", *own)
    output = instantiate(cfg, "output")
    producer = Rendered(from_config(cfg), instantiate(cfg, "encode"), draws=False)
    work = Work(
        str(target),
        producer,
        output,
        LocalStore(target),
        "f",
        {},
        False,
        32,
        progress.counts,
        Path(progress.counts.file).parent,
    )
    return _whole(work, Shard(0, 0, 2))


def _whole(work: Work, shard: Shard) -> Task:
    return Task(work, shard, shard, len(shard), 0)


def test_a_permission_that_is_lost(picture):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with TemporaryDirectory() as name:  # pytest's own lets nobody else in
        target = Path(name, "set")
        target.mkdir()
        with Progress(name, 2, 0, 1) as progress:
            for path in (name, progress.counts.file):
                os.chmod(path, 0o777)
            task = _task(picture, target, progress)
            render_chunk(_whole(task.work, Shard(1, 2, 4)))  # what is imported late is there
            os.chmod(target, 0o555)
            os.seteuid(65534)
            try:
                with pytest.raises(UserError) as caught:
                    render_chunk(task)
            finally:
                os.seteuid(0)
        records = Manifest(LocalStore(target)).scan()[0]
    assert str(caught.value) == (
        f"shard 000000 could not be written to targetpath={target} (Permission denied): "
        "give yourself the permission to write there."
    )
    assert [record.number for record in records] == [1]


def test_a_target_that_is_gone_is_not_made_anew(task):
    task.work.store.root.rmdir()
    with pytest.raises(UserError, match=r"\(No such file or directory\): do not move or remove"):
        render_chunk(task)
    assert not task.work.store.root.exists()


def test_dropped_at_the_drivers_word(picture, tmp_path):
    (tmp_path / "set").mkdir()
    with Progress(tmp_path, 2, 0, 1) as progress:
        progress.stop(0)
        with pytest.raises(Dropped):
            render_chunk(_task(picture, tmp_path / "set", progress))
    assert os.listdir(tmp_path / "set") == []


def test_who_waits_for_another_s_part_stops_at_the_drivers_word(picture, tmp_path):
    (tmp_path / "set").mkdir()
    with Progress(tmp_path, 4, 0, 2) as progress, ThreadPoolExecutor() as pool:
        work = _task(picture, tmp_path / "set", progress, "webdataset").work
        task = Task(work, Shard(0, 0, 4), Shard(0, 0, 2), size=2, slot=0, early=0.5)
        waits = pool.submit(render_chunk, task)
        with pytest.raises(TimeoutError):
            waits.result(0.5)
        progress.stop(0)
        with pytest.raises(Dropped):
            waits.result(30)
    assert Manifest(work.store).scan()[0] == []
    assert [name for name in os.listdir(tmp_path / "set") if name != FOLDER] == []


def test_what_nobody_makes_in_time_is_made_by_who_waits(picture, tmp_path, monkeypatch):
    """As where a backend has fewer workers than it says, or takes chunks in an order of its own."""
    (tmp_path / "set").mkdir()
    monkeypatch.setattr(worker, "_PATIENCE", 0.1)
    with Progress(tmp_path, 4, 0, 2) as progress:
        work = _task(picture, tmp_path / "set", progress, "webdataset").work
        task = Task(work, Shard(0, 0, 4), Shard(0, 0, 2), size=2, slot=0, early=0.5)
        render_chunk(task)
        (record,), _ = Manifest(work.store).scan()
        render_chunk(replace(task, chunk=Shard(0, 2, 4), slot=1))
        assert record.stop == 4 and Manifest(work.store).scan()[0] == [record]


def test_who_may_not_begin_early_waits_for_nobody(picture, tmp_path):
    (tmp_path / "set").mkdir()
    with Progress(tmp_path, 4, 0, 2) as progress:
        work = _task(picture, tmp_path / "set", progress, "webdataset").work
        task = Task(work, Shard(0, 0, 4), Shard(0, 0, 2), size=2, slot=0)
        render_chunk(task)
        assert Manifest(work.store).scan()[0] == []
        render_chunk(replace(task, chunk=Shard(0, 2, 4), slot=1))
        assert len(Manifest(work.store).scan()[0]) == 1


def test_data_without_a_record_in_the_way_are_not_written_over(task):
    place = task.work.store.root / "train/c/000000"
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match=r"could not be written to targetpath=.*not empty"):
        render_chunk(task)
    assert (place / "thesis.tex").read_text() == "mine"
    assert Manifest(task.work.store).scan() == ([], [])


@pytest.mark.parametrize("name", ["folder", "webdataset", "parquet", "lmdb"])
def test_a_signal_in_the_middle_of_any_write_stops_the_run_and_is_no_fault_of_the_disk(
    picture, tmp_path, name
):
    """At each call of a library while the shard is written, one after the other."""
    pytest.importorskip({"parquet": "pyarrow", "lmdb": "lmdb"}.get(name, "os"))

    def write(at: int) -> bool:
        """Makes a shard, with SIGTERM at call number ``at``; whether there were so many."""
        calls, target = 0, tmp_path / f"set-{at}"
        target.mkdir()

        def count(frame: object, event: str, called: object) -> None:
            nonlocal calls
            calls += event == "c_call"
            if event == "c_call" and calls == at:
                signal.raise_signal(signal.SIGTERM)

        work = kept(replace(task.work, run=str(target), store=LocalStore(target)))
        sys.setprofile(count)
        try:
            render_chunk(replace(task, work=work))
        finally:
            sys.setprofile(None)
        return calls > at  # the last call of all ends the counting itself

    with Progress(tmp_path, 2, 0, 1) as progress:
        task = _task(picture, tmp_path, progress, name)
        write(0)  # what is imported late is there
        stopped, at = 0, 1
        while True:
            try:
                with stoppable():
                    reached = write(at)
            except Stopped as signalled:
                assert signalled.status == 143
                stopped, at = stopped + 1, at + 7
            else:
                assert not reached, f"the signal at call {at} is lost"
                break
        assert stopped > 40
