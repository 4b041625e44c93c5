"""The checked configuration: one clear error for each mistake in it. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from singleimg.config import allowlist
from singleimg.config.schema import (
    AUGMENT_KEYS,
    CONF,
    CORNERS,
    GROUPS,
    IF_EXISTS,
    MOST,
    OPTIONAL_GROUPS,
    Shortcut,
)
from singleimg.errors import UserError, did_you_mean, is_url

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6}


def load(cfg: DictConfig, overrides: Sequence[str] = ()) -> DictConfig:
    """A checked copy of a composed configuration, its interpolations kept, its paths absolute.

    ``overrides`` are those of this job as typed (``deg=45``): what was typed must take effect.
    Raises UserError on the first mistake.
    """
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    typed = {text.lstrip("+~").split("=")[0]: text.partition("=")[2] for text in overrides}
    allowlist.check_modules(cfg.trusted_modules)
    _check_groups(cfg)
    _check_task(cfg, typed)
    cfg.num_imgs = parse_count("num_imgs", cfg.num_imgs)
    _check_ranges(cfg)
    _select_image(cfg, typed)
    _check_effect(cfg, typed)
    if cfg.debug and "num_imgs" in typed:
        raise UserError(
            "debug=true makes 64 images and num_imgs asks for another number: leave one out."
        )
    if cfg.debug and cfg.output._target_.endswith("NoOutput"):
        raise UserError("debug=true makes a picture and output=none writes nothing: leave one out.")
    for key in ("imgpath", "targetpath", "to", "dataset"):
        if cfg[key] is not None and (key == "imgpath" or not is_url(cfg[key])):
            cfg[key] = str(Path(cfg[key]).expanduser().absolute())
    return cfg


# --- checks --------------------------------------------------------------------------------------


def parse_count(key: str, value: Any) -> int:
    """A number of images from ``1000``, ``1e6``, ``1_000_000``, ``1M``, ``50k``; 1 … MOST."""
    text = str(value).strip().lower().replace("_", "")
    number, suffix = (text[:-1], text[-1]) if text[-1:] in "km" and text else (text, "")
    try:
        count = float(number) * _SUFFIXES[suffix]
    except ValueError:
        count = -1.0
    if not 1 <= count <= MOST or count != int(count) or isinstance(value, bool):
        raise UserError(
            f"{key}={value} is not a number of images from 1 to {MOST:,}: type for example "
            f"{key}=1000, {key}=1e6 or {key}=1M."
        )
    return int(count)


def _check_groups(cfg: DictConfig) -> None:
    for group in (*GROUPS, *OPTIONAL_GROUPS):
        if isinstance(cfg[group], str):
            raise UserError(
                f"{group}={cfg[group]} names a group, and a saved configuration holds no groups to "
                "choose from: type the run anew from conf/, or change single keys of it."
            )
        absent = cfg[group] is None and group in OPTIONAL_GROUPS
        if not absent and not OmegaConf.is_dict(cfg[group]):
            raise UserError(f"{group} holds no keys: type for example {example(group)}.")


def example(group: str) -> str:
    return f"{group}={min(file.stem for file in (CONF / group).glob('*.yaml'))}"


def _check_task(cfg: DictConfig, typed: dict[str, str]) -> None:
    """What was typed must be read by the task, which says what it reads, or what it does not."""
    reads, ignores = cfg.task.get("reads"), cfg.task.get("ignores") or ()
    for key, value in typed.items():
        name = key.split(".")[0].split("@")[0].split("/")[0]
        ignored = {name, key, f"{name}.*" if "." in key else name} & {*ignores}
        if ignored or (reads is not None and name not in ("task", "hydra", *reads)):
            does = f" (it reads {', '.join(reads)})" if reads else ""
            raise UserError(
                f"{key}={value} has no effect, since task={cfg.task.name} does not read it{does}: "
                "leave it out."
            )
        for other, keys in (cfg.task.get("beside") or {}).items():
            if name in keys and cfg[other] is not None:
                raise UserError(
                    f"{key}={value} has no effect beside {other}, whose images are taken as they "
                    f"are: leave {key} or {other} out."
                )


def _check_ranges(cfg: DictConfig) -> None:
    for key, low, high, what in (
        ("img_size", 8, 4096, "a whole number of pixels"),
        ("batch_size", 1, None, "a whole number"),
        ("seed", 0, 2**63 - 1, "a whole number"),
        ("threads", 1, None, "a number of workers"),
        ("deg", 0, 180, "an angle in degrees"),
        ("shear", 0, 80, "an angle in degrees"),
        ("max_pixels", 1, None, "a number of pixels"),
        ("train.num_nodes", 1, None, "a number of machines"),
        ("train.log_every", 1, None, "a number of updates"),
        ("train.checkpoint_every", 1, None, "a number of updates"),
        *((f"shortcut.{key}", 1, None, "a whole number") for key in Shortcut.__dataclass_fields__),
    ):
        _check_range(cfg, key, low, high, what)
    if not 0 < cfg.initcrop <= 1:
        raise UserError(
            f"initcrop={cfg.initcrop:g} is not a fraction over 0 and up to 1: "
            "type for example initcrop=0.5, or cropfirst=false for no such crop."
        )
    for part in cfg.train.keep:
        if not 0 < part <= 1:
            raise UserError(
                f"train.keep={list(cfg.train.keep)} holds {part:g}, which is not a fraction over 0 "
                "and up to 1: type for example train.keep=[0.5]."
            )
    _check_choice(cfg, "corners", CORNERS, "image")
    _check_choice(cfg, "if_exists", IF_EXISTS, "resume")
    _check_scale(cfg.scale)


def _check_range(cfg: DictConfig, key: str, low: int, high: int | None, what: str) -> None:
    value = OmegaConf.select(cfg, key)
    if value is None or (low <= value and (high is None or value <= high)):
        return
    allowed = f"from {low} to {high}" if high is not None else f"of {low} or more"
    near = low if value < low else high
    raise UserError(f"{key}={value:g} is not {what} {allowed}: type for example {key}={near}.")


def _check_choice(cfg: DictConfig, key: str, choices: Sequence[str], example: str) -> None:
    if cfg[key] not in choices:
        raise UserError(
            f"{key}={cfg[key]} is not one of {', '.join(choices)}"
            f"{did_you_mean(cfg[key], choices)}: type for example {key}={example}."
        )


def _check_scale(scale: ListConfig | None) -> None:
    if scale is None:
        return
    numbers = all(type(value) in (int, float) for value in scale)
    if not numbers or len(scale) != 2 or not MOST >= scale[0] >= scale[1] >= 1:
        text = ",".join(f"{value:g}" if numbers else str(value) for value in scale)
        raise UserError(
            f"scale=[{text}] is not an inverse area range, two numbers from 1 to {MOST:,} of "
            "which the first is not the smaller: type for example scale=[500,1] for crops of 1/500 "
            "to all of the area."
        )


def _select_image(cfg: DictConfig, typed: dict[str, str]) -> None:
    """``imgpath=`` alone means ``image=file``; beside an image that does not read it, a mistake."""
    if cfg.imgpath is None or "imgpath" in _references(cfg.image):
        return
    if "image" in typed:
        raise UserError(
            f"imgpath={cfg.imgpath} and image={typed['image']} exclude each other: leave one out "
            "(imgpath alone means image=file)."
        )
    cfg.image = OmegaConf.load(CONF / "image" / "file.yaml")


def _check_effect(cfg: DictConfig, typed: dict[str, str]) -> None:
    """What was typed must take effect: a key that no transform reads is a mistake."""
    used = {
        key
        for entry in cfg.augment.transforms
        for key in _references(entry if entry.get("when", True) else {"when": _raw(entry)["when"]})
    }
    for key in AUGMENT_KEYS:
        if key in typed and key not in used:
            off = key == "initcrop" and not cfg.cropfirst
            why = "cropfirst=false" if off else f"augment={cfg.augment.name}"
            raise UserError(
                f"{key}={typed[key]} has no effect with {why}, whose transforms do not use it: "
                f"leave one of them out (the published script's keys belong to augment=script)."
            )


def _raw(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node


def _references(node: Any) -> set[str]:
    """Keys that ``${…}`` below ``node`` name."""
    return set(_REFERENCE.findall(str(_raw(node))))
