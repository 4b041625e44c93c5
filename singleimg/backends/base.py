"""What every backend owes, and what it says when a worker is gone."""

from __future__ import annotations

import os


class WorkerLost(Exception):
    """A worker process ended in the middle of its work, killed from outside."""


def available_cores() -> int:
    """Cores that this process may use (an affinity mask or SLURM may grant fewer than all)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
