"""``backend=dask`` and ``backend=ray``: the same bytes, whatever dies, and nothing is left."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import SMALL
from tests.conftest import ROOT
from tests.scenarios import Command, Result, leftovers, records, tree_hash, wait_until
from tests.stores import free_port
from tests.stubs import NAP

ENGINES = ("dask", "ray")
MODULES = {"dask": "distributed", "ray": "ray"}
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "x" * 40}  # which all of a cluster must have
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def typed(engine: str, picture: Path, target: Path, *more: str) -> tuple[str, ...]:
    pytest.importorskip(MODULES[engine], reason=f"{MODULES[engine]} is not installed")
    return (f"imgpath={picture}", *SMALL, f"targetpath={target}", f"backend={engine}",
            "threads=2", *more)  # fmt: skip


def family(command: Command) -> list[psutil.Process]:
    """All processes that a command has started, and theirs."""
    try:
        return psutil.Process(command.process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def working(command: Command, engine: str) -> list[psutil.Process]:
    """Its processes that make images."""
    found = []
    for process in family(command):
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if engine == "ray" and line.startswith("ray::_call"):
            found.append(process)
        if engine == "dask" and "multiprocessing-fork" in line:
            found.append(process)
    return found


def listening(processes: list[psutil.Process]) -> set[str]:
    """The addresses at which they wait for connections."""
    found = set()
    for process in processes:
        try:
            connections = process.net_connections()
        except psutil.Error:
            continue
        found |= {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}
    return found


@dataclass
class Watched:
    """A command, what it listened to and what it had started, as it was seen while it ran."""

    command: Command
    addresses: set[str] = field(default_factory=set)
    started: set[psutil.Process] = field(default_factory=set)

    def look(self) -> None:
        processes = [psutil.Process(self.command.process.pid), *family(self.command)]
        self.started |= set(processes)
        self.addresses |= listening(processes)

    def until(self, what: Callable[[], bool]) -> None:
        """Looks until ``what()`` is true."""

        def done() -> bool:
            self.look()
            return what() or self.command.ended()

        assert wait_until(done), "it did not come so far"

    def end(self) -> Result:
        result = self.command.end()
        gone = lambda: not [p for p in self.started if p.is_running() and p.status() != "zombie"]  # noqa: E731
        assert wait_until(gone, 15), [p.cmdline() for p in self.started if p.is_running()]
        return result


@pytest.fixture(scope="module")
def undisturbed(run, picture, tmp_path_factory) -> str:
    """The hash of what one process makes."""
    target = tmp_path_factory.mktemp("undisturbed") / "set"
    run(f"imgpath={picture}", *SMALL, f"targetpath={target}", "backend=sequential")
    return tree_hash(target)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_worker_is_killed_and_the_bytes_are_the_same(engine, picture, tmp_path, undisturbed):
    target = tmp_path / "set"
    one = Watched(Command(*typed(engine, picture, target), **{NAP: "0.05"}))
    one.until(lambda: records(target) > 0)
    time.sleep(0.4)
    working(one.command, engine)[0].kill()
    result = one.end()
    assert result.status == 0, result.output
    assert tree_hash(target) == undisturbed and leftovers(target) == []
    assert "Traceback" not in result.output
    assert one.addresses <= LOOPBACK


@pytest.mark.distributed
@pytest.mark.parametrize("engine", ENGINES)
def test_eight_workers_are_killed_and_the_bytes_are_the_same(engine, picture, tmp_path, run):
    many = ("num_imgs=1500", "output.shard_size=30")  # fifty shards
    run(f"imgpath={picture}", *SMALL, *many, f"targetpath={tmp_path}/whole", "backend=sequential")
    target = tmp_path / "set"
    one = Watched(Command(*typed(engine, picture, target, *many), **{NAP: "0.03"}))
    for kill in range(8):
        # By then each worker has begun another shard: three deaths of one would be its own fault.
        one.until(lambda kill=kill: records(target) >= 1 + 4 * kill)
        assert wait_until(lambda: one.command.ended() or working(one.command, engine), 30)
        assert not one.command.ended(), one.end().output
        working(one.command, engine)[kill % 2 - 1].kill()
    result = one.end()
    assert result.status == 0, result.output
    assert tree_hash(target) == tree_hash(tmp_path / "whole") and leftovers(target) == []


@pytest.mark.distributed
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                            (signal.SIGKILL, -9)])  # fmt: skip
def test_a_signal_leaves_no_process_and_the_command_goes_on(
    engine, number, status, picture, tmp_path, undisturbed, run
):
    target = tmp_path / "set"
    one = Watched(Command(*typed(engine, picture, target), **{NAP: "0.1"}))
    one.until(lambda: records(target) > 0)
    one.command.signal(number, everyone=number == signal.SIGINT)
    result = one.end()
    assert result.status == status, result.output
    assert "Traceback" not in result.output
    if status > 0:
        assert result.output.splitlines()[-1] == "Stopped: type the same command again to resume."
        assert leftovers(target) == []
    run(*typed(engine, picture, target)[:-2], "backend=sequential")
    assert tree_hash(target) == undisturbed


@pytest.mark.distributed
@pytest.mark.parametrize("engine", ENGINES)
def test_a_shard_that_ends_each_worker_is_named(engine, picture, tmp_path):
    target = tmp_path / "set"
    command = Command(*typed(engine, picture, target, "engine._target_=tests.stubs.DeadlyEngine"))
    result = Watched(command).end()
    assert result.status == 1
    assert re.search(
        r"^shard 000002 \(images 60 … 89\) ended every worker that made it, most likely because "
        r"memory ran out: type a smaller output\.shard_size or give workers more memory, then type "
        r"the same command again to resume\.$",
        result.output,
        re.M,
    ), result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("engine, address", [("dask", "tcp://127.0.0.1:9"), ("ray", "127.0.0.1:9")])
def test_an_address_where_nobody_is(engine, address, picture, tmp_path, run):
    said = run(*typed(engine, picture, tmp_path / "set", f"backend.address={address}"), code=1)
    assert f"backend.address={address} does not answer as" in said.stderr
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_one_file_is_not_shared_by_machines(engine, picture, tmp_path, run):
    at = ("output=lmdb", "backend.address=127.0.0.1:9")
    said = run(*typed(engine, picture, tmp_path / "set", *at), code=1)
    assert said.stderr == (
        "output=lmdb writes all shards into one file, which only processes of one machine can "
        "share: type output=webdataset or output=parquet, or leave backend.address out.\n"
    )
    assert not (tmp_path / "set").exists()


@pytest.mark.distributed
@pytest.mark.parametrize("engine", ENGINES)
def test_one_process_may_run_several(engine, picture, tmp_path, undisturbed):
    """The jobs of a sweep do."""
    result = Command("-m", *typed(engine, picture, tmp_path / "sets"), "seed=0,1").end()
    assert result.status == 0, result.output
    first, second = sorted((tmp_path / "sets").iterdir())
    assert tree_hash(first) == undisturbed
    assert records(second) == records(first) > 0


# --- clusters that are there already -------------------------------------------------------------


@contextmanager
def scheduler_of_dask(folder: Path) -> Iterator[str]:
    """The address of a scheduler on loopback, with two workers that begun before the run."""
    port = free_port()
    address, environment = f"tcp://127.0.0.1:{port}", {**os.environ, "PYTHONPATH": str(ROOT)}
    own = ("--host", "127.0.0.1", "--no-dashboard")
    commands = [("scheduler", *own, "--port", str(port))]
    commands += [("worker", address, *own, "--nthreads", "1", "--local-directory", folder)] * 2
    processes = [
        subprocess.Popen(
            ["dask", *map(str, command)], env=environment, cwd=folder, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]  # fmt: skip
    try:
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(30)


@contextmanager
def head_of_ray(folder: Path) -> Iterator[str]:
    """The address of a cluster of one node on loopback."""
    port = free_port()
    environment = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
                   "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT), **TOKEN}  # fmt: skip
    process = subprocess.Popen(
        ["ray", "start", "--head", "--block", "--num-cpus", "2", "--node-ip-address", "127.0.0.1",
         "--port", str(port), "--include-dashboard", "false", "--temp-dir", str(folder),
         "--object-store-memory", "100000000"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield f"127.0.0.1:{port}"
    finally:
        started = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(60)
        for one in started:
            with suppress(psutil.Error):
                one.kill()


CLUSTERS = {"dask": scheduler_of_dask, "ray": head_of_ray}


@pytest.mark.parametrize("engine", ["dask", pytest.param("ray", marks=pytest.mark.distributed)])
def test_a_cluster_goes_on_when_a_run_is_stopped_there(
    engine, picture, tmp_path, undisturbed, tmp_path_factory
):
    with CLUSTERS[engine](tmp_path_factory.mktemp("c")) as address:
        target, at = tmp_path / "set", f"backend.address={address}"
        arguments = typed(engine, picture, target, at)
        wait_until(lambda: _listens(address), 30)
        environment = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", NAP: "0.1", **TOKEN}
        stopped = Command(*arguments, **environment)
        assert wait_until(lambda: records(target) > 0 or stopped.ended(), 90)
        stopped.signal(signal.SIGTERM, everyone=False)
        result = stopped.end()
        assert result.status == 143, result.output
        assert leftovers(target) == [] and 0 < records(target) < 6
        result = Command(*arguments, **environment).end()
        assert result.status == 0, result.output
    assert tree_hash(target) == undisturbed and leftovers(target) == []


@pytest.mark.distributed
def test_a_scheduler_that_is_gone_for_good_is_said_in_a_sentence(picture, tmp_path):
    with scheduler_of_dask(tmp_path) as address:
        wait_until(lambda: _listens(address), 30)
        target = tmp_path / "set"
        one = Command(*typed("dask", picture, target, f"backend.address={address}"), **{NAP: "0.2"})
        assert wait_until(lambda: records(target) > 0 or one.ended(), 90)
    result = one.end()
    assert result.status == 1, result.output
    assert re.search(
        r"^dask\.distributed failed \(.*\): check that all of it is running, then "
        r"type the same command again to resume\.$",
        result.output,
        re.M,
    ), result.output
    assert "Traceback" not in result.output and leftovers(target) == []


def _listens(address: str) -> bool:
    try:
        port = int(address.rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
