"""One run at a time on a dataset: who holds it, and how a dead holder is followed.

The kernel holds the lock of a process and drops it when that ends, however it ends. A file beside
it says who it is, for people, and for other hosts, whose kernels may not know of each other. Slices
of one dataset have leases instead (``lease.py``), and each of both kinds looks for the other.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from singleimg.errors import UserError, unwritable
from singleimg.storage.base import Store
from singleimg.storage.lease import forget_slices, lives

_LOCK, _HOLDER = ".lock", ".lock.json"
FILES = (_LOCK, _HOLDER)


@contextmanager
def hold(store: Store) -> Iterator[None]:
    """Holds a dataset's folder (made when missing), or says who does. Behind a URL is no lock.

    Raises UserError when another run holds it, or slices of it are at work, or when the folder
    cannot be made or written.
    """
    target = store.local_path
    if target is None:
        _forget_slices(store)
        yield
        return
    lock = FileLock(target / _LOCK)
    try:
        made = [path for path in (target, *target.parents) if not path.exists()]
        target.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise UserError(_held(target, _holder(target))) from None
    except OSError as error:
        raise unwritable(target, error) from None
    try:
        _take(target)
        _forget_slices(store)
        yield
    finally:
        _let_go(target, lock)
        for path in made:  # nothing was written: nothing stays
            try:
                path.rmdir()
            except OSError:
                break


def refuse_held(store: Store) -> None:
    """Raises UserError when a run holds a dataset's folder; takes nothing."""
    target = store.local_path
    holder = {} if target is None else _holder(target)
    if not holder:
        return
    _refuse_other_host(target, holder)
    if lives(holder.get("pid", 0)):
        raise UserError(_held(target, holder))


def _refuse_other_host(target: Path, holder: dict[str, Any]) -> None:
    if holder.get("host") != socket.gethostname():
        raise UserError(
            f"{_held(target, holder)[:-1]} (if that run has ended, remove {target / _HOLDER})."
        )


def _forget_slices(store: Store) -> None:
    if leases := forget_slices(store):
        raise UserError(
            f"targetpath={store} is made in slices, and {leases[0]}: wait until it ends, or type "
            "another targetpath."
        )


def _take(target: Path) -> None:
    holder = _holder(target)
    if holder:
        _refuse_other_host(target, holder)
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    who = {"host": socket.gethostname(), "pid": os.getpid(), "since": now}
    try:
        (target / _HOLDER).write_text(json.dumps(who) + "\n", encoding="utf-8")
    except OSError as error:
        raise unwritable(target, error) from None


def _let_go(target: Path, lock: FileLock) -> None:
    holder = _holder(target)
    mine = holder.get("pid") == os.getpid() and holder.get("host") == socket.gethostname()
    with suppress(OSError):  # the folder may be removed or sealed meanwhile
        if mine or not holder:
            (target / _HOLDER).unlink(missing_ok=True)
            # While it is held: whoever opened it before sees that it has no name, and starts over.
            (target / _LOCK).unlink(missing_ok=True)
    lock.release()


def _holder(target: Path) -> dict[str, Any]:
    try:
        holder = json.loads((target / _HOLDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _held(target: Path, holder: dict[str, Any]) -> str:
    who = "another run"
    if holder:
        who = f"a run on {holder.get('host')} (process {holder.get('pid')}) since "
        who += f"{holder.get('since')}"
    return (
        f"targetpath={target} is held by {who}: wait until that ends, or type another targetpath."
    )
