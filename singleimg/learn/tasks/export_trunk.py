"""``task=export_trunk``: what a training learned, in one safetensors file that others can read."""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import DictConfig
from torch import Tensor

from singleimg.errors import UserError, file_path, is_url
from singleimg.learn.methods.classifier import Classifier
from singleimg.learn.training import exported
from singleimg.learn.training.trunk import Learned, fingerprint, load
from singleimg.system.figures import size
from singleimg.system.logs import log, logging_to_console


def export_trunk(cfg: DictConfig) -> None:
    """Writes the trunk of ``task.checkpoint`` to ``task.to``; with ``task.head`` all of a method
    that learns classes. A file that is there is replaced."""
    with logging_to_console():
        if cfg.task.checkpoint is None:
            raise UserError(
                "task.checkpoint is missing: type task.checkpoint=<folder of a task=pretrain>."
            )
        file = _file(cfg.task.to)
        learned = load(cfg.task.checkpoint, cfg.trusted_modules)
        tensors = _whole(learned) if cfg.task.head else _trunk(learned)
        record = {key: value for key, value in learned.record.items() if key != "origins"}  # paths
        about = {
            **learned.network.about(),
            "fingerprint": fingerprint(record),
            "size": str(learned.network.size),
            "input": "float B×3×size×size, (RGB levels of 0 … 1 - mean) / std",
            "mean": _levels(learned.method.trunk.mean),
            "std": _levels(learned.method.trunk.deviation),
        }
        try:
            whole = bool(cfg.task.head)
            exported.write(file, exported.Exported(tensors, record, learned.step, whole), about)
        except OSError as error:
            raise UserError(
                f"task.to={file} cannot be written ({error.strerror or error}): type another file, "
                "make room, or change its permissions."
            ) from None
        log.info(
            "%s after %s updates, %d tensors, %s: %s", learned.record["decides"]["method"]["name"],
            f"{learned.step:,}", len(tensors), size(file.stat().st_size), file,
        )  # fmt: skip
        log.info("Load:    trunk = singleimg.load_trunk(%r)", str(file))


def _file(to: str | None) -> Path:
    if to is None:
        raise UserError("task=export_trunk needs a file to write: type task.to=trunk.safetensors.")
    if is_url(to) or not to.endswith(exported.SUFFIX):
        raise UserError(
            f"task.to={to} is not a file of this machine that ends in {exported.SUFFIX}: type for "
            "example task.to=trunk.safetensors."
        )
    return Path(file_path(to))


def _trunk(learned: Learned) -> dict[str, Tensor]:
    """The weights of the trunk, by the names that others know them by."""
    trunk = learned.method.trunk
    return {name.removeprefix(trunk.prefix): one for name, one in trunk.state_dict().items()}


def _whole(learned: Learned) -> dict[str, Tensor]:
    """Those of trunk, top and head."""
    method = learned.method
    if not isinstance(method, Classifier) or not learned.whole:
        raise UserError(
            f"task.head=true writes the head that was trained with a trunk, and here is none "
            f"(method={method.name}): leave it out, or type the folder of a method=supervised."
        )
    parts = {"trunk": _trunk(learned), "top": method.top.state_dict(),
             "head": method.head.state_dict()}  # fmt: skip
    return {f"{part}.{name}": one for part, own in parts.items() for name, one in own.items()}


def _levels(values: Tensor) -> str:
    return json.dumps([round(value, 6) for value in values.flatten().tolist()])
