"""The checked configuration: one clear error for each mistake in it. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf

from singleimg.config import allowlist, paths, schema
from singleimg.config.location import CONF
from singleimg.config.ranges import parse_count
from singleimg.config.schema import AUGMENT_KEYS, GROUPS, OPTIONAL_GROUPS
from singleimg.config.tasks import TASKS, Task
from singleimg.errors import UserError, did_you_mean

_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


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
    _type_task(cfg)
    _check_task(cfg, typed)
    keys = dict(schema.typed_keys(TASKS.get(cfg.task.name)))
    for key, field in keys.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and field.metadata.get("check"):
            field.metadata["check"].check(key, value)
    for key, what in (("num_imgs", "images"), ("max_pixels", "pixels")):
        if cfg[key] is not None:
            cfg[key] = parse_count(key, cfg[key], what)
    _select_image(cfg, typed)
    _check_effect(cfg, typed)
    _check_reader(cfg, typed)
    if cfg.debug and "num_imgs" in typed:
        raise UserError(
            f"debug=true makes 64 images, not num_imgs={typed['num_imgs']}: leave one of them out."
        )
    if cfg.debug and cfg.output._target_ == "none":
        raise UserError(
            "debug=true makes a picture, and output=none writes nothing: leave one of them out."
        )
    _make_absolute(cfg)
    return cfg


def _make_absolute(cfg: DictConfig) -> None:
    """Paths in full, wherever they come from; what refers to another key goes on doing so."""
    for key in paths.PATHS:
        group, _, name = key.rpartition(".")
        node = OmegaConf.select(cfg, group) if group else cfg
        if not OmegaConf.is_dict(node) or name not in node or OmegaConf.is_missing(node, name):
            continue
        if group and paths.refers(str(node._get_node(name)._value())):
            continue
        value = node[name]
        if value is not None:
            named = value if OmegaConf.is_list(value) else [value]
            full = [paths.escape(paths.absolute(key, str(one))) for one in named]
            node[name] = full if OmegaConf.is_list(value) else full[0]


def _check_groups(cfg: DictConfig) -> None:
    for group in (*GROUPS, *OPTIONAL_GROUPS):
        if isinstance(cfg[group], str):
            raise UserError(
                f"{group}={cfg[group]} names a group, and a saved configuration has no groups to "
                "choose from: type single keys of it, or leave -cp and -cn out to choose groups."
            )
        absent = cfg[group] is None and group in OPTIONAL_GROUPS
        if not absent and not OmegaConf.is_dict(cfg[group]):
            raise UserError(f"{group} is not a group of keys: type for example {example(group)}.")


def example(group: str) -> str:
    return f"{group}={min(file.stem for file in (CONF / group).glob('*.yaml'))}"


def _type_task(cfg: DictConfig) -> None:
    """A saved configuration holds of its task what it was when it was saved."""
    kind = TASKS.get(cfg.task.get("name"))
    if kind is not None and OmegaConf.get_type(cfg.task) is not kind:
        own = {field.name for field in fields(kind)} & set(cfg.task)
        cfg.task = OmegaConf.merge(OmegaConf.structured(kind), {k: cfg.task[k] for k in own})


def _check_task(cfg: DictConfig, typed: dict[str, str]) -> None:
    """What was typed must be read by the task, which names what it reads."""
    task = TASKS.get(cfg.task.name)
    if task is None:  # of a user's own
        return
    for key, value in typed.items():
        places = _places(key)
        if not places & {"task", "hydra", "trusted_modules", *task.reads}:
            does = "" if "source" in task.reads else f" (it reads {', '.join(_read_by(task))})"
            raise UserError(
                f"{key}={value} has no effect, since task={cfg.task.name} does not read it{does}: "
                "leave it out."
            )
        for other, unread in task.beside.items():
            if places & set(unread) and OmegaConf.select(cfg, other) is not None:
                raise UserError(
                    f"{key}={value} has no effect with {other}, whose images are taken as they "
                    f"are: leave {key} or {other} out."
                )


def _places(key: str) -> set[str]:
    """The names by which a task may say that it reads ``key``: its own, its group's, its section's.

    A key that is none of ours may be meant for a preset, as an experiment is.
    """
    name = key.split("@")[0].replace("/", ".")
    top = name.partition(".")[0]
    if name.startswith("augment."):  # the group is one thing, what its preset does another
        return {"augmentation"}
    keys = dict(schema.typed_keys(None))
    if top not in ("hydra", *keys):
        return {"experiment"}
    field = keys.get(name) or keys.get(top)
    return {name, top, field.metadata["section"] if field else top}


def _read_by(task: type[Task]) -> list[str]:
    keys = [key for key, _ in schema.typed_keys(task) if key.startswith("task.")]
    shared = [key for key, _ in schema.typed_keys(None) if "." not in key]
    return [*keys, *(key for key in shared if _places(key) & {"trusted_modules", *task.reads})]


def _select_image(cfg: DictConfig, typed: dict[str, str]) -> None:
    """``imgpath=`` alone means ``image=file``; beside an image that does not read it, a mistake."""
    if cfg.imgpath is None or "imgpath" in _references(cfg.image):
        return
    if "image" in typed:
        raise UserError(
            f"imgpath={cfg.imgpath} and image={typed['image']} exclude each other: leave one of "
            "them out (imgpath alone means image=file)."
        )
    image = OmegaConf.load(CONF / "image" / "file.yaml")
    for key in (one.removeprefix("image.") for one in typed if one.startswith("image.")):
        if key in image:  # of every image, so that it was taken for one of the default's
            image[key] = cfg.image[key]
    cfg.image = image


def _check_effect(cfg: DictConfig, typed: dict[str, str]) -> None:
    """What was typed must take effect: a key that no transform reads is a mistake."""
    entries = cfg.augment.get("transforms")
    if not OmegaConf.is_list(entries):
        raise UserError("augment.transforms is not a list: see conf/augment/script.yaml for one.")
    used = {
        key
        for entry in filter(OmegaConf.is_dict, entries)
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


def _check_reader(cfg: DictConfig, typed: dict[str, str]) -> None:
    """What was typed must be read by something: a key of one's own by a reference to it."""
    known = {key for key, _ in schema.typed_keys(None)}
    read = {name for text in _ANY_REFERENCE.findall(str(_raw(cfg))) for name in _NAME.findall(text)}
    for key, value in typed.items():
        name = key.split("@")[0].replace("/", ".")
        top, _, rest = name.partition(".")
        own = top not in (*known, "hydra") and top in cfg  # else it chose a group's file, whole
        if own or (top == "augment" and rest and not rest.startswith(("transforms", "name"))):
            pairs = ((f"{name}.", f"{one}.") for one in read)
            if not any(ours.startswith(other) or other.startswith(ours) for ours, other in pairs):
                hint = "" if rest else did_you_mean(name, known)
                raise UserError(
                    f"{key}={value} has no effect, since nothing reads {name}{hint}: leave it "
                    f"out, or refer to it (${{{name}}})."
                )
    for key in ("targetpath", "save_params", "report"):
        if key in typed and cfg.task.name == "generate" and cfg.output._target_ == "none":
            raise UserError(
                f"{key}={typed[key]} has no effect with output=none, which writes nothing: leave "
                "one of them out."
            )


_ANY_REFERENCE, _NAME = re.compile(r"\$\{[^}]*\}"), re.compile(r"[A-Za-z_][\w.]*")


def _raw(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node


def _references(node: Any) -> set[str]:
    """Keys that ``${…}`` below ``node`` name."""
    return set(_REFERENCE.findall(str(_raw(node))))
