"""The checked configuration: one clear error for each mistake in it. Imports no torch."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
import hydra.utils
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig, ListConfig, OmegaConf

from singleimg import trust
from singleimg.errors import UserError, did_you_mean, is_url
from singleimg.schema import (
    AUGMENT_KEYS,
    CONF,
    CORNERS,
    GROUPS,
    IF_EXISTS,
    MOST,
    OPTIONAL_GROUPS,
    Shortcut,
)

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")
_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6}


def compose(*overrides: str) -> DictConfig:
    """The checked configuration that ``python run.py`` would have with these arguments.

    >>> singleimg.compose("imgpath=photo.jpg", "augment=strong", "num_imgs=1M")
    """
    # Within an application of Hydra's that one steps aside: Hydra composes one at a time.
    other, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return load(hydra.compose("config", list(overrides)), overrides)
    finally:
        GlobalHydra.instance().hydra = other


def load(cfg: DictConfig, overrides: Sequence[str] = ()) -> DictConfig:
    """A checked copy of a composed configuration, its interpolations kept, its paths absolute.

    ``overrides`` are those of this job as typed (``deg=45``): what was typed must take effect.
    Raises UserError on the first mistake.
    """
    cfg = cfg.copy()
    OmegaConf.set_struct(cfg, False)
    typed = {text.lstrip("+~").split("=")[0]: text.partition("=")[2] for text in overrides}
    trust.check_modules(cfg.trusted_modules)
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
            raise UserError(f"{group} holds no keys: type for example {_example(group)}.")


def _example(group: str) -> str:
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


# --- transforms ----------------------------------------------------------------------------------


def resolved_transforms(cfg: DictConfig) -> list[dict[str, Any]]:
    """The transforms as plain dicts: values resolved, those with a false ``when`` left out."""
    entries = cfg.augment.get("transforms")
    if not OmegaConf.is_list(entries):
        raise UserError("augment.transforms is not a list: see conf/augment/script.yaml for one.")
    resolved = []
    for place, entry in enumerate(entries):
        if not OmegaConf.is_dict(entry) or "_target_" not in entry:
            raise UserError(
                f"augment.transforms[{place}] has no _target_: type the dotted path of a "
                "transform, such as torchvision.transforms.v2.RandomHorizontalFlip."
            )
        if entry.get("when", True):
            plain = trust.plain(entry, f"augment.transforms[{place}]")
            resolved.append({key: value for key, value in plain.items() if key != "when"})
    return resolved


def instantiate_transforms(cfg: DictConfig) -> list[Callable]:
    """The transforms themselves; UserError names the one that cannot be made, and its place."""
    place = _allowed(cfg, "augment")
    entries = {
        f"augment.transforms[{number}]": entry
        for number, entry in enumerate(resolved_transforms(cfg))
    }
    for key, entry in entries.items():  # all of them are checked before the first is made
        trust.check_objects(entry, key, place)
    return [_make(entry, key, place) for key, entry in entries.items()]


def instantiate(cfg: DictConfig, group: str) -> Any:
    """What the top-level key ``group`` (``image``, ``output``, …) of ``cfg`` describes.

    Its ``_target_`` and those within it are called; UserError when one is not trusted, or says no.
    """
    node = trust.plain(cfg[group], group)
    if not isinstance(node, dict) or trust.TARGET not in node:
        raise UserError(f"{group} has no _target_: type for example {_example(group)}.")
    return _make(node, group, _allowed(cfg, group))


def task(cfg: DictConfig) -> Callable[[DictConfig], None]:
    """The function that ``task._target_`` names: one of conf/task, or of what the user trusts."""
    target = str(cfg.task.get(trust.TARGET))
    function = trust.find(target, "task._target_", _allowed(cfg, "task"))
    files = sorted((CONF / "task").glob("*.yaml"))
    known = target in [OmegaConf.load(file)[trust.TARGET] for file in files]
    if not known and not trust.Allowed((), tuple(cfg.trusted_modules)).has(target):
        raise UserError(
            f"task._target_={target} is no task: type one of "
            f"{', '.join(f'task={file.stem}' for file in files)}."
        )
    return function


def _allowed(cfg: DictConfig, group: str) -> trust.Allowed:
    return trust.allowed(group, cfg.get("trusted_modules") or ())


def _make(node: dict[str, Any], key: str, place: trust.Allowed) -> Any:
    trust.check_objects(node, key, place)
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        if cause is not None:
            raise cause from None
        raise UserError(_instantiation_message(node, key, place, error)) from error


def _instantiation_message(
    node: dict[str, Any], key: str, place: trust.Allowed, error: Exception
) -> str:
    target, cause = node[trust.TARGET], error.__cause__
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(cause))
    if isinstance(cause, TypeError) and unknown:
        known = inspect.signature(trust.find(target, key, place)).parameters
        return (
            f"{key}: {target} has no argument {unknown[1]}{did_you_mean(unknown[1], known)}: type "
            "one that it has, or leave it out."
        )
    reason = f"{type(cause).__name__}: {cause}" if cause else " ".join(str(error).split())
    return f"{key}: {target} cannot be made: {cause if isinstance(cause, TypeError) else reason}."
