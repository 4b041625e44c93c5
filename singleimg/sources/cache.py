"""Pictures that were made or fetched, kept for the next run, where they can be."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

from singleimg.system.logs import log


def cache_folder() -> Path | None:
    """$SINGLEIMG_CACHE, or a folder in the user's own place for caches; None: there is no home."""
    if own := os.environ.get("SINGLEIMG_CACHE"):
        return Path(os.path.expanduser(own))
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # as its specification says
        library = "Library/Caches" if sys.platform == "darwin" else ".cache"
        base = os.path.join(os.path.expanduser("~"), library)  # where there is none, it stays ~
    return Path(base) / "singleimg" if os.path.isabs(base) else None


def read(name: str) -> bytes | None:
    """What is kept under a name; None: nothing, or nothing that can be read."""
    folder = cache_folder()
    try:
        return (folder / name).read_bytes() if folder else None
    except OSError:
        return None


def keep(name: str, data: bytes) -> Path | None:
    """Writes a file of the cache, whole or not at all; None: it cannot be, as the log says once."""
    folder = cache_folder()
    if folder is None:
        _say("There is no home folder for a cache of pictures")
        return None
    file, temporary = folder / name, folder / f".tmp-{uuid4().hex[:12]}-{name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        _say(f"Pictures cannot be cached in {folder} ({error.strerror or error})")
        return None
    return file


@lru_cache
def _say(why: str) -> None:
    log.info("%s: type SINGLEIMG_CACHE=/another/folder before the command to have one.", why)
