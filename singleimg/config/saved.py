"""What of a configuration is kept: in the name of a dataset's folder, and beside its images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from singleimg.config import allowlist
from singleimg.config.command_line import program
from singleimg.config.former import update_former
from singleimg.config.location import CONF
from singleimg.config.paths import escaped, refers
from singleimg.config.schema import AUGMENT_KEYS, GROUPS, OF_OTHERS, ONCE, Config
from singleimg.errors import UserError
from singleimg.storage.base import Store

# Beside Hydra's choices of groups: keys that a sweep varies, whether num_imgs was said, which sweep
# this is and how many jobs it has.
SWEPT, COUNTED = "keys of this job", "num_imgs of this job"
RUN, JOBS = "run of this sweep", "jobs of this sweep"


def counted() -> bool:
    """Whether somebody said how many images: on the command line, in a preset or another file."""
    return not HydraConfig.initialized() or bool(HydraConfig.get().runtime.choices.get(COUNTED))


def differences(cfg: DictConfig, swept: Sequence[str] = ()) -> list[str]:
    """Short labels of what differs from the preset's own values: ``deg45``, ``scale100_1``.

    swept: keys that always have a label, since they tell the datasets of a sweep apart.
    """
    preset = CONF / "augment" / f"{cfg.augment.name}.yaml"
    base = OmegaConf.load(CONF / "config.yaml")
    own = OmegaConf.merge(base, OmegaConf.load(preset)) if preset.exists() else base
    keys = [*AUGMENT_KEYS, "seed"]
    labels = [
        _label(key, cfg[key]) for key in keys if key in swept or _differs(cfg[key], own.get(key))
    ]
    inner = own.get("augment") or {}
    for key, value in cfg.augment.items():
        differs = f"augment.{key}" in swept or _differs(value, inner.get(key))
        if key not in ("name", "transforms") and differs:
            labels.append(_label(key, value))
    if cfg.output._target_ != "folder" or "output" in swept:
        labels.append(cfg.output._target_.rpartition(".")[2])
    if cfg.encode._target_ != "jpeg" or "encode" in swept:
        labels.append(cfg.encode._target_.rpartition(".")[2])
    if cfg.encode.get("quality", 75) != 75 or "encode.quality" in swept:
        labels.append(f"q{cfg.encode.quality}")
    said = (*keys, "encode.quality", "img_size", "imgpath", "targetpath", *GROUPS)
    others = [key for key in swept if key not in said and not key.startswith("augment.")]
    if cfg.slice:  # the jobs of a sweep that make slices make one dataset
        others = []
    return labels + [_label(key.rpartition(".")[2], OmegaConf.select(cfg, key)) for key in others]


def _differs(value: Any, other: Any) -> bool:
    plain = [list(item) if OmegaConf.is_list(item) else item for item in (value, other)]
    return plain[0] != plain[1]


def _label(key: str, value: Any) -> str:
    if OmegaConf.is_list(value):
        return key + "_".join(f"{item:g}" for item in value)
    if isinstance(value, bool):
        return key if value else f"no{key}"
    if value is None:
        return f"{key}null"
    if isinstance(value, int | float):
        return f"{key}{value:g}"
    return key + re.sub(r"[^\w.-]+", "_", str(value))  # it stands in the name of a folder


def run_text(cfg: DictConfig) -> str:
    """The text of the ``config.yaml`` of a training, a probe or a study: every value that it ran
    with, from which the same command line runs it again; interpolations are kept for that."""
    own = cfg.copy()
    OmegaConf.set_struct(own, False)
    for key in ONCE:
        own.pop(key)
    comment = (
        "# What this was run with; it is run again by\n"
        f"#   {program()} -cp <the folder of this file> -cn <its name, without .yaml>\n"
    )
    return comment + _head() + OmegaConf.to_yaml(own)


def config_text(cfg: DictConfig) -> str:
    """The text of ``<target>/config.yaml``, from which the same command line makes the set again.

    Interpolations are kept, so that an added ``deg=45`` reaches the transforms; the schema stands
    first, so that types are checked; Hydra's own files go nowhere.
    """
    comment = (
        "# Makes these images again, to the byte (any other key may be added):\n"
        f"#   {program()} -cp <the folder of this file> -cn config targetpath=…\n"
    )
    return comment + _head() + OmegaConf.to_yaml(_for_file(cfg))


def _head() -> str:
    """What a file needs for Hydra to begin with it."""
    hydra = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml").hydra, resolve=False)
    del hydra["callbacks"]  # which a file can only have as conf/ has them
    head = {
        "defaults": [
            "base_config",
            "_self_",
            {"override hydra/job_logging": "none"},
            {"override hydra/hydra_logging": "none"},
        ],
        "hydra": hydra,
    }
    return OmegaConf.to_yaml(OmegaConf.create(head))


def resolved_text(cfg: DictConfig) -> str:
    """The text of ``<target>/config.resolved.yaml``: the same with every interpolation resolved."""
    return _resolved(_for_file(cfg))


def _resolved(cfg: DictConfig) -> str:
    values = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    return OmegaConf.to_yaml(OmegaConf.create(escaped(values)))


def is_dataset(folder: Path) -> bool:
    """Whether a folder of this machine is that of a dataset, which replays itself."""
    return (folder / "config.resolved.yaml").exists()


def load(store: Store, trusted_modules: Sequence[str] = ()) -> DictConfig:
    """``config.resolved.yaml`` of a dataset; of trust only the argument counts, not the file."""
    allowlist.check_modules(trusted_modules)
    file = store.path_of("config.resolved.yaml")
    try:
        text = _read(store, "config.resolved.yaml")
        if refers(OmegaConf.to_yaml(text)):  # a stranger's could read out our environment
            raise UserError(
                f"{file} holds a reference ${{…}}, which no run writes: type another folder."
            )
        cfg = _for_file(OmegaConf.merge(OmegaConf.structured(Config), text))
        cfg.trusted_modules = list(trusted_modules)
    except (OSError, YAMLError, OmegaConfBaseException, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file} cannot be read ({reason}): type another folder.") from None
    return cfg


def raw(store: Store) -> DictConfig:
    """``config.yaml`` of a dataset, its references kept as they are; for writing it again."""
    file = store.path_of("config.yaml")
    try:
        cfg = _read(store, "config.yaml")
        own = {key: cfg._get_node(key) for key in cfg if key not in ("defaults", "hydra")}
        return _for_file(OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(own)))
    except (OSError, YAMLError, OmegaConfBaseException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file} cannot be read ({reason}): type another folder.") from None


def _read(store: Store, name: str) -> DictConfig:
    data = store.read(name)
    if data is None:
        raise UserError(f"{store.path_of(name)} is missing: type another folder, or restore it.")
    cfg = OmegaConf.create(data.decode())
    if OmegaConf.is_dict(cfg):
        update_former(cfg)
    return cfg


def _for_file(cfg: DictConfig) -> DictConfig:
    own = cfg.copy()
    OmegaConf.set_struct(own, False)
    for key in ONCE:
        own[key] = OmegaConf.structured(Config)[key]
    for key in OF_OTHERS:
        own.pop(key, None)
    return own
