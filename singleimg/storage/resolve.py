"""Which store a target is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from singleimg.storage.local import Disk


def is_local(path: Path) -> bool:
    """Whether a path is one of this machine's, not a URL."""
    return isinstance(path, Path)


def disk_of(path: Path) -> Any:
    """Who reads and writes at a path, which may be a URL: a ``Disk``, or what has its methods."""
    if is_local(path):
        return Disk()
    from singleimg.storage.remote import Store

    return Store()
