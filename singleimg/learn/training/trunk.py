"""What others read of a training: its record, its method as it was trained, its trunk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from singleimg.config.former import name_of, with_first_names
from singleimg.config.make import instantiate
from singleimg.config.paths import escaped
from singleimg.dataset.recipe import canonical, numbers_as_floats
from singleimg.errors import UserError, file_path
from singleimg.learn.methods.base import Method
from singleimg.learn.networks.base import Network, Trunk
from singleimg.learn.training import checkpoints, exported

RECORD = "pretrain.json"


def fingerprint(record: dict[str, Any]) -> str:
    """SHA-256 of what in a record decides the weights."""
    decides = numbers_as_floats(with_first_names(record["decides"]))
    return sha256(canonical(decides).encode()).hexdigest()


def load_record(folder: Path) -> dict[str, Any]:
    """The record of a training; UserError when there is none."""
    try:
        return _today(json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder} holds no training: type the folder of a task=pretrain, or one of its .pt "
            "files."
        ) from None


def _today(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as it is written today; KeyError or TypeError when it is none."""
    decides = dict(record["decides"])
    for group in ("method", "network"):
        decides[group]["_target_"] = name_of(group, decides[group]["_target_"])
    return {
        "decides": decides,
        "made_with": dict(record["made_with"]),
        "trained_on": [dict(one) for one in record.get("trained_on", ())],
        "origins": dict(record.get("origins", {})),
    }


def checkpoint_file(path: Path) -> Path:
    """The file itself, or the last state of the training in a folder."""
    if path.suffix == ".pt":
        return path
    return path / checkpoints.FOLDER / checkpoints.LAST


@dataclass(frozen=True)
class Learned:
    """What a training has left: its method in eval mode, its network's settings, its record.

    step: updates that were made. whole: False where there is only the trunk of the method.
    """

    method: Method
    network: Network
    record: dict[str, Any]
    step: int
    whole: bool = True


def load_trunk(checkpoint: str | Path, trusted_modules: Sequence[str] = ()) -> Trunk:
    """The trunk of a training, in eval mode: a module whose ``layers(images)`` gives the maps.

    checkpoint: the folder of a ``task=pretrain`` (its last state), one of its ``.pt`` files, or a
    ``.safetensors`` file of ``task=export_trunk``. trusted_modules: packages of yours whose classes
    it may name.

    Images are ``float`` B×3×S×S of 0 … 1; the trunk normalises them itself. Raises UserError when
    there is no training, or what is there cannot be read.
    """
    return load(checkpoint, trusted_modules).method.trunk


def load_method(
    checkpoint: str | Path, trusted_modules: Sequence[str] = ()
) -> tuple[Method, Network, dict[str, Any]]:
    """All that a training taught, in eval mode, its network's settings, and the record.

    With ``method=supervised`` the method, called with images, gives the scores of the classes.
    checkpoint, trusted_modules: as :func:`load_trunk` takes them; a ``.safetensors`` file holds a
    whole method where it was written with ``task.head=true``.
    """
    learned = load(checkpoint, trusted_modules)
    if not learned.whole:
        raise UserError(
            f"{checkpoint} holds a trunk alone: type the folder of its training, or write it again "
            "by task=export_trunk task.head=true."
        )
    return learned.method, learned.network, learned.record


def load(checkpoint: str | Path, trusted_modules: Sequence[str] = ()) -> Learned:
    """What :func:`load_trunk` and :func:`load_method` choose from."""
    path = Path(file_path(str(checkpoint)))
    if path.suffix == exported.SUFFIX:
        return _from_exported(path, trusted_modules)
    file = checkpoint_file(path)
    record = load_record(file.parents[1])
    method, network = _untrained(record, trusted_modules)
    state = checkpoints.load(file)
    method.load_state_dict(state["method"])
    return Learned(method, network, record, state["step"])


def _from_exported(file: Path, trusted_modules: Sequence[str]) -> Learned:
    found = exported.read(file)
    try:
        record = _today(found.record)
        method, network = _untrained(record, trusted_modules)
        for part in ("trunk", "top", "head") if found.whole else ("trunk",):
            before, module = f"{part}." if found.whole else "", getattr(method, part)
            own = module.prefix if part == "trunk" else ""
            module.load_state_dict({
                own + name.removeprefix(before): tensor
                for name, tensor in found.tensors.items()
                if name.startswith(before)
            })  # fmt: skip
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(
            f"{file} holds other weights than its record says ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:90]}): write it again by task=export_trunk."
        ) from None
    return Learned(method, network, record, found.step, found.whole)


def _untrained(record: Mapping[str, Any], trusted_modules: Sequence[str]) -> tuple[Method, Network]:
    """The method of a record, built, in eval mode, and its network."""
    decides = escaped(record["decides"])  # nothing in it is a reference
    cfg = OmegaConf.create({**decides, "trusted_modules": list(trusted_modules)})
    method, network = instantiate(cfg, "method"), instantiate(cfg, "network")
    method.build(network, decides["inputs"]["images"], decides["classes"])
    method.trunk.freeze(0)
    return method.eval(), network
