"""How shards are checked: on the backends, in any order, told in order of the shards."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from singleimg.backends.joblib import JoblibBackend
from singleimg.errors import UserError
from singleimg.jobs import existing, inspection
from singleimg.storage.integrity import Check
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import Record, record_place, record_text
from singleimg.storage.shards import Shards
from tests.config.test_checks import loaded


@dataclass(frozen=True)
class Missing:
    """Files of which none is there; one that is looked for may end the process that looks."""

    store: LocalStore
    kills: bool = False

    def exists(self, place: str | None) -> bool:
        if self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        return False


def checks(target: Path, kills: bool = False) -> list[Check]:
    store = LocalStore(target)
    (target / "manifest").mkdir(exist_ok=True)
    for shard in Shards(60, 10):
        record = Record(shard.number, shard.start, shard.stop, 0, "f", {})
        (target / record_place(shard)).write_text(record_text(record, []))
    files = Missing(store, kills)
    return [Check(files, shard, f"train/{shard.name}", "f") for shard in Shards(60, 10)]


@pytest.mark.parametrize("name, workers", [("sequential", 1), ("loky", 2), ("threading", 3)])
def test_problems_come_in_the_order_of_the_shards(tmp_path, name, workers):
    found = inspection.check_all(checks(tmp_path), JoblibBackend(name), workers)
    assert [problem.path for problem in found] == [f"train/{number:06d}" for number in range(6)]


def test_a_killed_worker_gets_its_sentence(tmp_path):
    with pytest.raises(UserError) as caught:
        inspection.check_all(checks(tmp_path, kills=True), JoblibBackend("loky"), 2)
    assert str(caught.value) == (
        "a process that verified was killed, most likely because memory ran out: type fewer "
        "workers (threads=1)."
    )


class Stopping:
    """A backend whose first result is a signal."""

    stopped = False

    def started(self, workers: int) -> AbstractContextManager[None]:
        return nullcontext()

    def run(self, *_: object) -> Iterator[object]:
        raise KeyboardInterrupt
        yield

    def stop(self) -> None:
        self.stopped = True


def test_a_signal_ends_the_workers(tmp_path):
    backend = Stopping()
    with pytest.raises(KeyboardInterrupt):
        inspection.check_all(checks(tmp_path), backend, 2)
    assert backend.stopped


@pytest.mark.parametrize(
    "from_seconds, remote, ran",
    [
        (10, False, ("loky", 1)),
        (None, False, ("loky", 1)),
        (0, False, ("loky", 5)),
        (10, True, ("threading", 8)),
    ],
)
def test_few_workers_for_little_and_threads_for_a_store(
    picture, tmp_path, run, monkeypatch, from_seconds, remote, ran
):
    run(f"imgpath={picture}", "num_imgs=3", "img_size=32", f"targetpath={tmp_path / 'set'}")
    used = []
    monkeypatch.setattr(
        inspection,
        "check_all",
        lambda _, backend, workers: used.append((backend.name, workers)) or [],
    )
    if remote:
        monkeypatch.setattr(LocalStore, "local_path", None)
    monkeypatch.setattr(inspection, "foreign", lambda dataset: [])
    monkeypatch.setattr(inspection, "summary_problems", lambda dataset, problems: [])
    cfg = loaded("task=verify", f"targetpath={tmp_path / 'set'}")
    dataset = existing.open_dataset(cfg, existing.find_target(cfg))
    inspection.compare(dataset, JoblibBackend("loky", from_seconds), 5)
    assert used == [ran]


def test_machines_of_a_cluster_are_not_asked_what_lies_in_a_folder(monkeypatch):
    """One that has another folder of that name would miss everything, and repair would make it."""
    asked = []
    cfg = loaded("task=verify", "targetpath=x", "backend=dask", "backend.address=tcp://10.0.0.1:1")
    monkeypatch.setattr(
        inspection, "compare", lambda one, backend, n: asked.append(backend) or ([], 0)
    )
    assert inspection.inspect(cfg, None) == ([], 0)
    assert [backend.name for backend in asked] == ["loky"]
