"""A worker that is cut off from its cluster works on; what it made is made again: the same bytes.

Each machine of the cluster is a network namespace, so the cables between them can be pulled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL
from tests.conftest import ROOT
from tests.scenarios import Command, leftovers, records, tree_hash, wait_until
from tests.stubs import NAP

pytestmark = pytest.mark.distributed
MACHINES = ("head", "near", "far")
PORT = 8786
# Seconds without an answer, after which a connection counts as cut; half a minute else.
SOON = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s"}


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Network:
    """Three machines on a switch, which is on the first of them."""

    def __init__(self) -> None:
        self.names = {machine: f"singleimg-{os.getpid()}-{machine}" for machine in MACHINES}

    def build(self) -> None:
        for name in self.names.values():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        head = self.names["head"]
        ip("-n", head, "link", "add", "switch", "type", "bridge")
        ip("-n", head, "addr", "add", "10.77.0.1/24", "dev", "switch")
        ip("-n", head, "link", "set", "switch", "up")
        for number, machine in enumerate(MACHINES[1:], 2):
            name = self.names[machine]
            ip("-n", head, "link", "add", machine, "type", "veth", "peer", "name", "net")
            ip("-n", head, "link", "set", "net", "netns", name)
            ip("-n", head, "link", "set", machine, "master", "switch")
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "net")
            ip("-n", name, "link", "set", "net", "up")
            ip("-n", head, "link", "set", machine, "up")

    def cable(self, machine: str, state: str) -> None:
        """Pulls it (``down``), or puts it back (``up``)."""
        ip("-n", self.names["head"], "link", "set", machine, state)

    def on(self, machine: str) -> list[str]:
        """What a command begins with that is to run there."""
        return ["ip", "netns", "exec", self.names[machine]]

    def remove(self) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@pytest.fixture
def network() -> Iterator[Network]:
    if shutil.which("ip") is None:
        pytest.skip("there is no command ip here")
    one = Network()
    try:
        try:
            one.build()
        except subprocess.CalledProcessError as error:
            pytest.skip(
                f"network namespaces are not allowed here ({error.stderr.decode().strip()})"
            )
        yield one
    finally:
        one.remove()


@contextmanager
def cluster(network: Network, folder: Path) -> Iterator[str]:
    """The address of a scheduler on the first machine, with a worker on each of the others."""
    dask = [str(Path(sys.executable).with_name("dask"))]
    at = f"tcp://10.77.0.1:{PORT}"
    worker = ["worker", at, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
    commands = [
        [*network.on("head"), *dask, "scheduler", "--host", "10.77.0.1", "--port", str(PORT),
         "--no-dashboard"],
        [*network.on("near"), *dask, *worker],
        [*network.on("far"), *dask, *worker],
    ]  # fmt: skip
    environment = {**os.environ, **SOON, "PYTHONPATH": str(ROOT), NAP: "0.1"}
    processes = [
        subprocess.Popen(
            command, env=environment, cwd=folder, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]  # fmt: skip
    try:
        yield at
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(30)


def test_cut_off_in_mid_run_a_worker_works_on_and_its_shard_is_made_twice(
    network, picture, run, tmp_path
):
    pytest.importorskip("distributed", reason="distributed is not installed")
    typed = (f"imgpath={picture}", *SMALL)
    run(*typed, f"targetpath={tmp_path}/undisturbed", "backend=sequential")
    target, folder = tmp_path / "set", tmp_path / "cluster"
    folder.mkdir()
    written: dict[str, set[int]] = {}

    def look() -> dict[str, set[int]]:
        """The files that each record has been, by their inodes."""
        for file in (target / "manifest").glob("*.jsonl"):
            written.setdefault(file.name, set()).add(file.stat().st_ino)
        return written

    with cluster(network, folder) as address:
        command = Command(
            *typed, f"targetpath={target}", "backend=dask", f"backend.address={address}",
            through=network.on("head"), **SOON,
        )  # fmt: skip
        assert wait_until(lambda: len(look()) >= 2 or command.ended(), 90)
        assert not command.ended(), command.end().output
        network.cable("far", "down")
        before = records(target)
        assert wait_until(lambda: len(look()) >= before + 2 or command.ended(), 60)
        twice = wait_until(lambda: max(map(len, look().values())) > 1 or command.ended(), 60)
        network.cable("far", "up")
        result = command.end()
    assert result.status == 0, result.output
    assert twice and max(map(len, written.values())) > 1, "it was not made a second time"
    assert tree_hash(target) == tree_hash(tmp_path / "undisturbed")
    assert records(target) == 6 and leftovers(target) == []
