"""What others read of a training: its record, and its trunk."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from singleimg.config.former import name_of, with_first_names
from singleimg.config.make import instantiate
from singleimg.dataset.recipe import canonical, numbers_as_floats
from singleimg.errors import UserError
from singleimg.learn.networks.base import Network, Trunk
from singleimg.learn.training import checkpoints

RECORD = "pretrain.json"


def fingerprint(record: dict[str, Any]) -> str:
    """SHA-256 of what in a record decides the weights."""
    decides = numbers_as_floats(with_first_names(record["decides"]))
    return sha256(canonical(decides).encode()).hexdigest()


def load_record(folder: Path) -> dict[str, Any]:
    """The record of a training; UserError when there is none."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        decides = dict(record["decides"])
        for group in ("method", "network"):
            decides[group]["_target_"] = name_of(group, decides[group]["_target_"])
        trained_on = [dict(one) for one in record.get("trained_on", ())]
        return {
            "decides": decides,
            "made_with": dict(record["made_with"]),
            "trained_on": trained_on,
        }
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder} holds no training: type the folder of a task=pretrain as task.checkpoint=…."
        ) from None


def checkpoint_file(path: Path) -> Path:
    """The file itself, or the last state of the training in a folder."""
    if path.suffix == ".pt":
        return path
    return path / checkpoints.FOLDER / checkpoints.LAST


def load_trunk(
    checkpoint: str | Path, trusted_modules: tuple[str, ...] = ()
) -> tuple[Trunk, Network, dict[str, Any]]:
    """The trunk of a training, in eval mode, its network's settings, and the record.

    checkpoint: the folder of a ``task=pretrain`` (its last state), or one of its ``.pt`` files.
    """
    file = checkpoint_file(Path(checkpoint))
    record = load_record(file.parents[1])
    decides = record["decides"]
    cfg = OmegaConf.create({**decides, "trusted_modules": list(trusted_modules)})
    method, network = instantiate(cfg, "method"), instantiate(cfg, "network")
    method.build(network, decides["inputs"]["images"], decides["classes"])
    method.load_state_dict(checkpoints.load(file)["method"])
    return method.trunk.eval(), network, record
