"""Checkpoints: all that a run needs to go on, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from singleimg.errors import UserError, unwritable
from singleimg.storage.local import LocalStore
from singleimg.system.signals import deferred

LAST, BEST = "last.pt", "best.pt"
FOLDER = "checkpoints"
_RENAMED = {"judge": "discriminator"}  # names in checkpoints of older versions: BiGAN's


def save(file: Path, state: dict[str, Any]) -> None:
    """Writes a checkpoint as :func:`write_whole` does; UserError when it cannot."""
    try:
        write_whole(file, lambda stream: torch.save(state, stream))
    except (OSError, RuntimeError) as error:  # torch says RuntimeError of a full disk
        reason = error if isinstance(error, OSError) else OSError(0, str(error).splitlines()[0])
        raise unwritable(file.parents[1], reason) from None


def write_whole(file: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes beside ``file`` first, waits for the disk, and renames; makes its folder.

    A signal that comes meanwhile is answered when the file is whole.
    """
    temporary = file.with_name(f".tmp-{file.name}")
    with deferred():  # torch would make a RuntimeError of it, which a full disk gives as well
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(file)
            LocalStore(file.parent).sync_folder()
        finally:
            temporary.unlink(missing_ok=True)


def load(file: Path) -> dict[str, Any]:
    """Tensors and plain values only: a file cannot run code. UserError when it is none of ours."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{file} does not exist: type the folder of a task=pretrain.") from None
    except Exception as error:  # of bytes that are no checkpoint, torch says anything
        reason = " ".join(str(error).split())[:90]
        raise UserError(
            f"{file} cannot be read as a checkpoint ({reason}): remove it, or type "
            "task.resume=never to start again."
        ) from None
    if not isinstance(state, dict) or not {"fingerprint", "method", "step"} <= set(state):
        raise UserError(f"{file} is not a checkpoint of task=pretrain: type the folder of one.")
    parts = [state["method"], state.get("optimizers"), state.get("metrics")]
    parts.append((state.get("epoch") or {}).get("sums"))
    for names in parts:
        if isinstance(names, dict):
            _rename(names)
    return state


def _rename(names: dict[str, Any]) -> None:
    """Gives parameters, optimisers and metrics of older versions their names of today."""
    entries = list(names.items())
    names.clear()  # in place, and in order: what torch keeps beside a state_dict stays
    for name, value in entries:
        first, dot, rest = name.partition(".")
        names[_RENAMED.get(first, first) + dot + rest] = value


def name_at(fraction: float) -> str:
    """The name of the checkpoint that stays from this fraction of the training."""
    return f"at-{round(100 * fraction):02d}.pt"
