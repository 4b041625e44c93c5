"""The cores that a process may use, in trees of files like those of the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from singleimg.backends.joblib import JoblibBackend
from singleimg.system.cores import available_cores
from tests.conftest import ROOT

V2 = "31 23 0:28 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = """\
40 31 0:29 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
41 31 0:30 {root} /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct"""
SYSTEMD = "/user.slice/user-1000.slice/run.scope"
DOCKER = "/docker/1f2e"


@pytest.fixture(autouse=True)
def sixty_four_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


def machine(root: Path, cgroup: str, mounts: str, files: dict[str, str]) -> Path:
    """A folder with such files of ``proc``, and of ``sys/fs/cgroup``."""
    for place, text in {
        "proc/self/cgroup": cgroup,
        "proc/self/mountinfo": mounts,
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text + "\n" * bool(text))
    return root


def v1(quota: int, below: str = "") -> dict[str, str]:
    folder = f"cpu,cpuacct{below}"
    return {f"{folder}/cpu.cfs_quota_us": str(quota), f"{folder}/cpu.cfs_period_us": "100000"}


MACHINES = {
    "no quota": (64, "0::/", V2, {"cpu.max": "max 100000"}),
    "docker --cpus=4, version 2": (4, "0::/", V2, {"cpu.max": "400000 100000"}),
    "docker --cpus=1.5": (2, "0::/", V2, {"cpu.max": "150000 100000"}),
    "docker --cpus=0.5": (1, "0::/", V2, {"cpu.max": "50000 100000"}),
    "more than there are": (64, "0::/", V2, {"cpu.max": "9900000 100000"}),
    "docker --cpus=4, version 1": (4, "4:cpu,cpuacct:/\n3:memory:/", V1, v1(400000)),
    "docker of version 1, which shows the host's path": (
        4, f"4:cpu,cpuacct:{DOCKER}\n3:memory:{DOCKER}", V1.replace("{root}", DOCKER), v1(400000)),
    "version 1 without a quota": (64, "4:cpu,cpuacct:/", V1, v1(-1)),
    "a service with CPUQuota=300%": (
        3, f"0::{SYSTEMD}", V2, {f"{SYSTEMD[1:]}/cpu.max": "300000 100000"}),
    "a quota two levels above": (
        2, f"0::{SYSTEMD}", V2,
        {f"{SYSTEMD[1:]}/cpu.max": "max 100000", "user.slice/cpu.max": "200000 100000"}),
    "the smallest of several": (
        3, f"0::{SYSTEMD}", V2,
        {f"{SYSTEMD[1:]}/cpu.max": "300000 100000", "user.slice/cpu.max": "800000 100000"}),
    "nested, version 1": (2, "4:cpu,cpuacct:/a/b", V1, {**v1(-1, "/a/b"), **v1(200000, "/a")}),
    "both versions, cpu in the first": (
        5, "4:cpu,cpuacct:/\n0::/", V1 + "\n" + V2.replace("/cgroup rw", "/cgroup/unified rw"),
        v1(500000)),
    "a group outside of what is mounted": (
        4, "0::/../other", V2, {"cpu.max": "400000 100000"}),
    "nonsense": (64, "0::/", V2, {"cpu.max": "many"}),
    "no cgroups": (64, "", "", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", MACHINES)
def test_quotas_of_cgroups_count(tmp_path, name):
    cores, cgroup, mounts, files = MACHINES[name]
    mounts = mounts.replace("{root}", "/")
    assert available_cores(machine(tmp_path, cgroup, mounts, files)) == cores


def test_affinity_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    root = machine(tmp_path, "0::/", V2.format(root="/"), {"cpu.max": "400000 100000"})
    assert available_cores(root) == 2


def test_threads_of_libraries_do_not(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert available_cores(tmp_path) == 64


def test_without_proc_there_are_those_of_the_machine(tmp_path):
    assert available_cores(tmp_path) == 64


def test_workers_are_as_many(monkeypatch):
    monkeypatch.setattr("singleimg.backends.joblib.available_cores", lambda: 7)
    assert JoblibBackend("loky").workers(None) == 7


QUOTA = """
import os, sys
open(f"{sys.argv[1]}/below/tasks", "w").write(str(os.getpid()))
os.sched_getaffinity = lambda _: set(range(64))
from singleimg.system.cores import available_cores
print(available_cores())
"""


def test_the_kernel_means_the_same():
    """A cgroup of version 1 with a quota, and one below it, which the process is in."""
    group = Path(f"/sys/fs/cgroup/cpu/singleimg-test-{os.getpid()}")
    try:
        (group / "below").mkdir(parents=True)
        (group / "cpu.cfs_quota_us").write_text("250000")
    except OSError:
        pytest.skip("cgroups cannot be made here")
    try:
        asked = [sys.executable, "-c", QUOTA, str(group)]
        found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    finally:
        (group / "below").rmdir()
        group.rmdir()
    assert found.stdout == "3\n"
