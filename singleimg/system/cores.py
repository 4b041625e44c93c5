"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cores(root: Path = Path("/")) -> int:
    """Cores that this process may use, 1 or more: by its affinity and by the quota of its cgroups.

    SLURM and cpusets grant cores by affinity; ``docker --cpus``, Kubernetes and systemd by quota,
    which may be a fraction: it is rounded up. ``OMP_NUM_THREADS`` is a word to libraries about the
    threads within one process, and not asked. ``root``: where ``proc`` and ``sys`` lie.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min([cores, *map(math.ceil, _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Cores by each quota above this process, from its own cgroups up to where they are mounted.

    Those of version 1 have a hierarchy for ``cpu``; that of version 2 (``0::``) serves for all.
    Source: the manual pages cgroups(7) and proc_pid_mountinfo(5).
    """
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError):  # no Linux, or nothing that we could read
        return
    paths = {kind: path for _, kinds, path in (line.split(":", 2) for line in groups)
             for kind in kinds.split(",")}  # fmt: skip
    for line in mounts:
        about, _, more = line.partition(" - ")
        base, point = (part.replace("\\040", " ") for part in about.split(" ")[3:5])
        system, *_, options = more.split(" ")
        first = system == "cgroup" and "cpu" in options.split(",")
        path = paths.get("cpu" if first else "") if first or system == "cgroup2" else None
        if path is None:
            continue
        # Mounted may be a part alone, and a container may see itself as the top: then that is ours.
        own, top = PurePosixPath(path), root / point.lstrip("/")
        below = own.relative_to(base) if own.is_relative_to(base) else PurePosixPath()
        folder = top if ".." in below.parts else top / below
        for level in (folder, *folder.parents):
            if level.is_relative_to(top):
                yield from _quota(level)


def _quota(group: Path) -> Iterator[float]:
    """The quota of one cgroup, in cores, where it has one."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        else:
            quota, period = (
                (group / f"cpu.cfs_{name}_us").read_text(encoding="utf-8")
                for name in ("quota", "period")
            )
        if quota != "max" and int(quota) > 0:
            yield int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return
