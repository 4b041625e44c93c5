"""The same bytes on any backend and any number of workers."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr

import psutil
import pytest

from singleimg.backends.base import WorkerLost
from singleimg.backends.joblib import JoblibBackend
from singleimg.config.make import instantiate
from singleimg.dataset.open import from_config
from singleimg.jobs.producers import Rendered
from singleimg.jobs.progress import Progress
from singleimg.jobs.work import Task, Work
from singleimg.jobs.worker import render_in_worker
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import Manifest
from singleimg.storage.shards import Shards
from tests.config.test_checks import loaded
from tests.conftest import ROOT, images_of

NUM_IMGS = 120


def made(picture, target, backend: str, workers: int, engine: str) -> dict[str, str]:
    cfg = loaded(f"imgpath={picture}", "img_size=32", "output.class_name=c", "save_params=true",
                 "output.shard_size=10", "augment=strong", f"engine={engine}")  # fmt: skip
    output = instantiate(cfg, "output")
    producer = Rendered(from_config(cfg), instantiate(cfg, "encode"), draws=True)
    target.mkdir()
    shards = Shards(NUM_IMGS, 10)
    folder = target.with_name(target.name + "-counts")
    folder.mkdir()
    with Progress(folder, NUM_IMGS, 0, len(shards)) as progress:
        if workers > 1:
            producer = producer.share(folder)
        run = f"{target} {backend} {workers}"
        store = LocalStore(target)
        work = Work(run, producer, output, store, "f", {}, True, 32, progress.counts, folder)
        tasks = [Task(work, one, one, 10, slot) for slot, one in enumerate(shards)]
        list(JoblibBackend(backend).run(render_in_worker, tasks, workers))
        assert progress.counted == NUM_IMGS and progress.in_hand() == []
        size = progress.bytes
    records, damaged = Manifest(LocalStore(target)).scan()
    assert [one.shard for one in records] == list(shards) and damaged == []
    assert sum(one.bytes for one in records) == size
    params = [file.read_text() for file in sorted((target / "params").iterdir())]
    return {**images_of(target), "params": "".join(params)}


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_the_same_bytes_everywhere(picture, tmp_path, engine):
    alone = made(picture, tmp_path / "alone", "sequential", 1, engine)
    assert len(alone) == NUM_IMGS + 1
    for backend, workers in (("loky", 1), ("loky", 2), ("loky", 3), ("threading", 4)):
        target = tmp_path / f"{backend}{workers}"
        assert made(picture, target, backend, workers, engine) == alone


def _nested(_: int) -> int:
    return JoblibBackend("loky").workers(8)


def test_inside_a_worker_of_joblib_nothing_is_started():
    assert set(JoblibBackend("loky").run(_nested, [1, 2], 2)) == {1}


def _says(number: int) -> int:
    import logging
    import warnings

    print(f"a print of {number}")
    warnings.warn(f"a warning of {number}", stacklevel=1)
    logging.getLogger("singleimg").warning("a word of the log, of %d", number)
    return number


def test_what_workers_print_is_printed_by_the_driver(capfd):
    """By themselves they would print into the driver's bar."""
    words = io.StringIO()
    with redirect_stderr(words):
        assert set(JoblibBackend("loky").run(_says, [1, 2], 2)) == {1, 2}
    for number in (1, 2):
        for what in ("print", "warning", "word of the log,"):
            assert f"a {what} of {number}\n" in words.getvalue()
    assert "of 1" not in "".join(capfd.readouterr())


def _killed(number: int) -> None:
    import os
    import signal

    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_noticed():
    with pytest.raises(WorkerLost):
        list(JoblibBackend("loky").run(_killed, [0, 1, 2, 3], 2))


DRIVER = """
import os, time
from singleimg.backends.joblib import JoblibBackend
def pid(_): return os.getpid()
print(*set(JoblibBackend("loky").run(pid, range(20), 2)), flush=True)
time.sleep(60)
"""


def test_a_worker_that_waits_for_its_next_task_ends_with_its_driver():
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, cwd=ROOT)
    workers = [psutil.Process(int(pid)) for pid in driver.stdout.readline().split()]
    assert workers and all(one.is_running() for one in workers)
    driver.kill()
    driver.wait()
    driver.stdout.close()
    assert psutil.wait_procs(workers, 10)[1] == []


def _blocked(_: int) -> set[int]:
    return {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])}


def test_workers_hear_no_signal_from_their_start_and_the_driver_does_again():
    """Ctrl-C reaches all of a terminal's processes, also those that are just importing."""
    before = _blocked(0)
    for blocked in JoblibBackend("loky").run(_blocked, [1, 2, 3, 4], 2):
        assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= blocked
    assert _blocked(0) == before


def test_the_number_of_workers():
    assert JoblibBackend("loky").workers(3) == 3
    assert JoblibBackend("loky").workers(None) >= 1
    assert JoblibBackend("sequential").workers(3) == 1


def hold(seconds: float) -> int:
    """Keeps 400 MB from now on; what a worker maps counts in the same way."""
    hold.memory = b"x" * 400_000_000
    time.sleep(seconds)
    return os.getpid()


def test_a_worker_that_holds_much_is_not_replaced():
    """loky looks every second, and takes 300 MB more than in the beginning for a leak."""
    backend = JoblibBackend("loky")
    try:
        first = list(backend.run(time.sleep, [0.1] * 4, 2))
        assert len(set(backend.run(hold, [1.1] * 6, 2))) == 2 and first == [None] * 4
    finally:
        backend.stop()
