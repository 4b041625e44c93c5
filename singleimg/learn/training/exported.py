"""Weights in one safetensors file, by the names that others know them by, and what they are.

The file holds a trunk; or of a method that learns classes all of it, below ``trunk.``, ``top.`` and
``head.``. Its metadata are texts: ``record`` is the record of the training (JSON), ``fingerprint``
its SHA-256, ``step`` the updates that were made, ``holds`` what is in the file, ``input`` what the
tensors are weights for, with ``mean``, ``std`` and ``size``, ``sha256`` the digest of the tensors;
a network may add its own (``Network.about``). Reading such a file runs no code of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from singleimg.errors import UserError
from singleimg.learn.training.checkpoints import write_whole
from singleimg.system.extras import install
from singleimg.version import __version__

SUFFIX = ".safetensors"
TRUNK, WHOLE = "trunk", "trunk, top, head"


@dataclass(frozen=True)
class Exported:
    """What a file holds: all of a method (``whole``) or its trunk alone, after ``step`` updates,
    and the record of the training."""

    tensors: Mapping[str, Tensor]
    record: dict[str, Any]
    step: int
    whole: bool


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values, in the order of names."""
    found = sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def write(file: Path, exported: Exported, about: Mapping[str, str]) -> None:
    """Writes ``file`` whole, or not at all, in the place of one that is there; the same bytes each
    time. ``about``: what else its metadata say. OSError when it cannot.
    """
    tensors = {name: one.detach().cpu().contiguous() for name, one in exported.tensors.items()}
    metadata = {
        **about,
        "format": "pt",
        "singleimg": __version__,
        "holds": WHOLE if exported.whole else TRUNK,
        "record": json.dumps(exported.record),
        "step": str(exported.step),
        "sha256": digest(tensors),
    }
    data = _library().save(tensors)
    # The library would say the metadata in another order each time.
    length = int.from_bytes(data[:8], "little")
    places = json.loads(data[8 : 8 + length])
    head = json.dumps({"__metadata__": dict(sorted(metadata.items())), **places})
    head += " " * (-len(head) % 8)  # tensors begin at multiples of 8
    whole = b"".join((len(head).to_bytes(8, "little"), head.encode(), data[8 + length :]))
    write_whole(file, lambda stream: stream.write(whole))


def read(file: Path) -> Exported:
    """What such a file holds; UserError when it cannot be read, or is none of ours."""
    library = _library()
    try:
        with library.safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(
            f"{file} does not exist: type a file that task=export_trunk has written."
        ) from None
    except Exception as error:  # of bytes that are no such file, the library says anything
        reason = " ".join(str(error).split())[:90]
        raise UserError(
            f"{file} cannot be read as safetensors ({reason}): write it again by task=export_trunk."
        ) from None
    try:
        record, step = json.loads(metadata["record"]), int(metadata["step"])
        whole = {TRUNK: False, WHOLE: True}[metadata["holds"]]
        expected = metadata["sha256"]
    except (KeyError, ValueError):
        raise UserError(
            f"{file} holds no trunk of ours: type a file that task=export_trunk has written."
        ) from None
    if digest(tensors) != expected:
        raise UserError(
            f"{file} is corrupted, since its tensors are not those that were written: write it "
            "again by task=export_trunk."
        )
    return Exported(tensors, record, step, whole)


def _library() -> ModuleType:
    """safetensors for torch; UserError when it is not installed."""
    try:
        import safetensors.torch
    except ModuleNotFoundError:
        raise UserError(
            "files of weights need the module safetensors, which is not installed: type "
            f"{install('train')}."
        ) from None
    return safetensors.torch
