"""The trainings that another one begins with: ``method.init``, and settings like it.

Their weights decide what comes out, the places where they lie do not: one that was moved is the
same, and what has begun resumes from its own checkpoint when they are gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from singleimg.errors import UserError, file_path
from singleimg.learn.methods.base import Method
from singleimg.learn.networks.base import Trunk
from singleimg.learn.training.exported import digest
from singleimg.learn.training.trunk import checkpoint_file, load, load_record

DIGEST = "sha256:"  # before a digest, where a path was typed
# Settings of a network that its weights do not depend on.
_NOT_OF_WEIGHTS = ("_target_", "name", "size", "crop", "pretrained")


@dataclass(frozen=True)
class Origin:
    """path: where it lies, in full. digest: of the weights of its trunk. trunk: with these weights,
    decides: of its record; None and empty once it is gone."""

    path: str
    digest: str
    trunk: Trunk | None = None
    decides: Mapping[str, Any] = field(default_factory=dict)


def find_origins(cfg: DictConfig, method: Method) -> dict[str, Origin]:
    """By the settings of ``method`` that name one; UserError for what is none."""
    named = {key: getattr(method, key) for key in method.takes}
    return {key: _find(cfg, key, path) for key, path in named.items() if path is not None}


def _find(cfg: DictConfig, key: str, path: str) -> Origin:
    known = _recorded(cfg, key, path)
    if known is not None and not Path(file_path(path)).exists():
        return Origin(path, known)
    try:
        found = load(path, cfg.trusted_modules)
    except UserError as error:
        raise UserError(f"method.{key}={path} cannot be used: {error}") from None
    trunk = found.method.trunk
    return Origin(path, digest(trunk.state_dict()), trunk, found.record["decides"])


def _recorded(cfg: DictConfig, key: str, path: str) -> str | None:
    """What stands for ``path`` in the record of a training in targetpath that will resume."""
    folder = Path(cfg.targetpath or "")
    resumes = cfg.task.resume != "never" and checkpoint_file(folder).exists()
    if cfg.targetpath is None or not resumes:
        return None
    record = load_record(folder)
    known = str(record["decides"]["method"].get(key)).removeprefix(DIGEST)
    return known if record["origins"].get(key) == path else None


def recorded(settings: Mapping[str, Any], method: Method, origins: Mapping[str, Origin]) -> dict:
    """The settings of a method as its record says them: what decides the weights."""
    digests = {key: f"{DIGEST}{origin.digest}" for key, origin in origins.items()}
    said = {**settings, **digests}
    return {
        key: value
        for key, value in said.items()
        if key not in method.added or value != method.added[key]
    }


def take_over(method: Method, network: Mapping[str, Any], origins: Mapping[str, Origin]) -> None:
    """Lets a method that was built on ``network`` begin with them; UserError where one has another
    network."""
    trunks = {key: one.trunk for key, one in origins.items() if one.trunk is not None}
    for key, trunk in trunks.items():
        if _shapes(trunk) != _shapes(method.trunk):
            path, other = origins[key].path, origins[key].decides["network"]
            both = [_called(one, than) for one, than in ((other, network), (network, other))]
            if both[0] == both[1]:
                other_method = origins[key].decides["method"]["name"]
                raise UserError(
                    f"method.{key}={path} holds the trunk of {both[0]} that method={other_method} "
                    "trains, whose layers differ from those of this training (BatchNorm): type "
                    "another training."
                )
            raise UserError(
                f"method.{key}={path} holds the trunk of {both[0]}, and this training has "
                f"{both[1]}: type the same network for both."
            )
    method.begin(trunks)


def _shapes(trunk: Trunk) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in trunk.state_dict().items()}


def _called(network: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """``network=timm (network.model=resnet18)``: its name, and what the other has otherwise."""
    name = f"network={network.get('name') or network['_target_']}"
    if network["_target_"] != other["_target_"]:
        return name
    said = [
        f"network.{key}={value if isinstance(value, str) else json.dumps(value)}".replace(" ", "")
        for key, value in network.items()
        if key not in _NOT_OF_WEIGHTS and value != other.get(key)
    ]
    return f"{name} with {' '.join(said)}" if said else name
