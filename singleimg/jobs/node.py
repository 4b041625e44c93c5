"""What a worker on another machine looks at before its first image, and where it puts things."""

from __future__ import annotations

import atexit
import socket
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path

from singleimg.dataset.recipe import versions
from singleimg.dataset.target import RECIPE
from singleimg.errors import UserError
from singleimg.jobs.work import Work
from singleimg.system.tempdir import scratch


@cache
def own_folder() -> Path:
    """A folder of this process, for what is on its way to a store; it goes when that ends."""
    lasting = ExitStack()
    atexit.register(lasting.close)
    return lasting.enter_context(scratch())


def settled(work: Work) -> Work:
    """The same for this machine, with a folder of its own.

    Raises UserError where images would be others, or would go where nobody looks for them.
    """
    here, host = versions(work.versions), socket.gethostname()
    other = [name for name in here if here[name] != work.versions[name]]
    if other:
        has, owed = (", ".join(f"{n} {v[n]}" for n in other) for v in (here, work.versions))
        raise UserError(
            f"a worker on {host} has {has}, and this run was started with {owed}, which may round "
            "differently: install the same on all machines."
        )
    folder, writes = work.store.local_path, work.output.layout() is not None
    if writes and folder and work.fingerprint.encode() not in (work.store.read(RECIPE) or b""):
        raise UserError(
            f"targetpath={folder} is another folder on {host}, where a worker is: type a folder "
            "that all machines share, or a URL such as s3://bucket/name."
        )
    return replace(work, folder=own_folder(), store=work.store.within(own_folder()))
