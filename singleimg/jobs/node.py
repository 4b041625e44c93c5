"""What a worker on another machine looks at before its first image, and where it puts things."""

from __future__ import annotations

import atexit
import socket
from contextlib import ExitStack
from dataclasses import replace

from singleimg.dataset.recipe import versions
from singleimg.dataset.target import RECIPE
from singleimg.errors import UserError
from singleimg.jobs.work import Work
from singleimg.system.tempdir import scratch

_folders = ExitStack()  # of this process, for the run that it is at work for
atexit.register(_folders.close)


def settled(work: Work) -> Work:
    """The same for this machine, with a folder of its own.

    Raises UserError where images would be others, or would go where nobody looks for them.
    """
    here, host = versions(work.versions), socket.gethostname()
    other = [name for name in here if here[name] != work.versions[name]]
    if other:
        named = lambda v: ", ".join(f"{name} {v[name]}" for name in other)  # noqa: E731
        raise UserError(
            f"a worker on {host} has {named(here)}, and this run was begun with "
            f"{named(work.versions)}, which may round otherwise: install the same on all machines."
        )
    folder, writes = work.store.local_path, work.output.layout() is not None
    if writes and folder and work.fingerprint.encode() not in (work.store.read(RECIPE) or b""):
        raise UserError(
            f"targetpath={folder} is another folder on {host}, where a worker is: type a folder "
            "that all machines share, or a URL such as s3://bucket/name."
        )
    _folders.close()
    own = _folders.enter_context(scratch())
    return replace(work, folder=own, store=work.store.within(own))
