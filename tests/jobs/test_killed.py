"""Killed at any place where parts are made and used: the same command goes on, nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from singleimg import compose
from singleimg.config import make
from singleimg.jobs import driver, plan
from singleimg.jobs.parts import FOLDER
from singleimg.jobs.producers import Made, Rendered
from singleimg.storage.shards import Shard
from tests.killing import PLACES, armed, killed
from tests.scenarios import Command, false_records, leftovers, tree_hash
from tests.stubs import NAP

IMAGES, SHARD, CHUNK = 60, 24, 5  # in three shards: of five chunks, five and three
THREADS = ("backend=threading", "threads=2", "backend.from_seconds=0")
ALONE = ("backend=sequential",)


def settings(picture: Path, output: str) -> list[str]:
    return [f"imgpath={picture}", f"num_imgs={IMAGES}", "img_size=32", f"output={output}",
            f"output.shard_size={SHARD}", "save_params=true",
            "engine._target_=tests.stubs.SlowEngine", "trusted_modules=[tests.stubs]"]  # fmt: skip


def make_it(typed: list[str], target: Path, *more: str) -> None:
    cfg = compose(*typed, f"targetpath={target}", *more)
    make.task(cfg)(cfg)


@pytest.fixture(scope="module")
def undisturbed(picture, tmp_path_factory) -> Callable[[str], str]:
    """The hash of the tree that one worker makes of whole shards, by the name of the output."""
    known: dict[str, str] = {}

    def of_output(name: str) -> str:
        if name not in known:
            target = tmp_path_factory.mktemp("undisturbed") / "set"
            make_it(settings(picture, name), target, *ALONE)
            known[name] = tree_hash(target)
        return known[name]

    return of_output


def kill_and_go_on(picture, tmp_path, monkeypatch, undisturbed, place, output, times) -> None:
    typed = settings(picture, output)
    monkeypatch.setattr(plan, "CHUNK", CHUNK)
    for time in times:
        target = tmp_path / f"{time}"
        most = {"in assembly": IMAGES, "before parts are removed": 3}.get(place, 13)
        at = 1 + (7 * time) % most
        assert killed(place, at, CHUNK, lambda to=target: make_it(typed, to, *THREADS)), (place, at)
        assert false_records(target) == []
        make_it(typed, target, *(THREADS if time % 2 else ALONE))
        assert tree_hash(target) == undisturbed(output), (place, at)
        assert leftovers(target) == []
        shutil.rmtree(target)


@pytest.mark.parametrize("place", PLACES)
def test_killed_there_twice(picture, tmp_path, monkeypatch, undisturbed, place):
    arguments = (picture, tmp_path, monkeypatch, undisturbed, place)
    kill_and_go_on(*arguments, "webdataset", range(2))


@pytest.mark.slow
@pytest.mark.parametrize("output", ["webdataset", "parquet", "lmdb", "folder"])
@pytest.mark.parametrize("place", PLACES)
def test_killed_there_twenty_times(picture, tmp_path, monkeypatch, undisturbed, place, output):
    pytest.importorskip({"parquet": "pyarrow", "lmdb": "lmdb"}.get(output, "os"))
    if output == "folder" and place == PLACES[3]:
        pytest.skip("what lies in the hidden folder goes with it")
    kill_and_go_on(picture, tmp_path, monkeypatch, undisturbed, place, output, range(20))


@pytest.mark.parametrize("more", [ALONE, THREADS], ids=["one", "two"])
def test_what_was_made_is_not_made_again(picture, tmp_path, monkeypatch, undisturbed, more):
    """The parts of unfinished shards, whoever goes on with them."""
    typed, target = settings(picture, "webdataset"), tmp_path / "set"
    assert killed("before its rename", 7, CHUNK, lambda: make_it(typed, target, *THREADS))
    parts = [file.stem.split("-") for file in (target / FOLDER).rglob("*.part")]
    kept = {index for start, stop in parts for index in range(int(start), int(stop))}
    done = [int(file.stem) for file in (target / "manifest").iterdir()]
    committed = {index for index in range(IMAGES) if index // SHARD in done}
    assert kept - committed
    made, images, run_chunks = [], Rendered.images, driver.run_chunks

    def counted(producer: Rendered, chunk: Shard) -> Iterator[Made]:
        made.extend(range(chunk.start, chunk.stop))
        return images(producer, chunk)

    monkeypatch.setattr(plan, "CHUNK", CHUNK)
    monkeypatch.setattr(Rendered, "images", counted)
    # From then on: images that are tried out do not count.
    monkeypatch.setattr(driver, "run_chunks", lambda *a, **k: made.clear() or run_chunks(*a, **k))
    make_it(typed, target, *more)
    assert sorted(made) == sorted(set(range(IMAGES)) - kept - committed)
    assert tree_hash(target) == undisturbed("webdataset") and leftovers(target) == []


WORKERS = ("threads=2", "backend.from_seconds=0")


@pytest.mark.parametrize(
    "place", [pytest.param(p, marks=[] if p == "in assembly" else pytest.mark.slow) for p in PLACES]
)
def test_what_a_killed_worker_had_in_hand_is_made_by_others(picture, tmp_path, undisturbed, place):
    """The real command, of which one worker process is killed; the run goes on by itself."""
    typed, target, told = settings(picture, "webdataset"), tmp_path / "set", tmp_path / "told"
    command = Command(*typed, *WORKERS, f"targetpath={target}",
                      **armed(place, 1, told, CHUNK), **{NAP: "0.03"})  # fmt: skip
    result = command.end()
    assert result.status == 0 and told.exists(), result.output
    assert "A worker process was killed, most likely because memory ran out" in result.output
    assert tree_hash(target) == undisturbed("webdataset") and leftovers(target) == []
