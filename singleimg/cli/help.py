"""The help page, from the comments in conf/ and the keys of each task."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from textwrap import wrap

from omegaconf import OmegaConf

from singleimg.config.explain import comments
from singleimg.config.location import CONF
from singleimg.config.schema import GROUPS, OPTIONAL_GROUPS
from singleimg.config.tasks import TASKS
from singleimg.errors import UserError, did_you_mean

_HEAD = """\
Turns one picture into a training set of any size (Asano, Rupprecht, Vedaldi, ICLR 2020).
Image i depends on the settings and i alone: any number of workers makes the same bytes.

  python run.py num_imgs=1000                                  the picture that comes with it
  python run.py imgpath=photo.jpg augment=strong num_imgs=1M   your own picture
  python run.py debug=true                                     64 images and a grid to look at
  python run.py -m deg=0,30 'scale=[500,1],[10,1]'            one dataset for each combination
  python run.py experiment=paper_imagenet_a                    a configuration of the paper
  python run.py task=pretrain method=rotnet network=cifar_conv4 img_size=32 augment=paper
  python run.py task=probe task.checkpoint=outputs/… data=cifar10 data.path=…
"""
_FOOT = """\
--cfg job shows the composed configuration, --hydra-help the other options of Hydra.
For completion by the Tab key type one line, in bash:  eval "$(python run.py -sc install=bash)"
  zsh:   autoload -Uz bashcompinit && bashcompinit && eval "$(python run.py -sc install=zsh)"
  fish:  python run.py -sc install=fish | source"""


def help_page() -> str:
    """What this does, commands, groups and keys, from the comments in conf/."""
    groups = [
        (folder.name, " | ".join(sorted(file.stem for file in folder.glob("*.yaml"))))
        for folder in map(CONF.joinpath, (*GROUPS, *OPTIONAL_GROUPS, "experiment"))
    ]
    parts = [
        _HEAD,
        "Groups (group=choice):",
        *_table(groups),
        "",
        "Keys (key=value):",
        *_table(list(comments(CONF / "config.yaml"))),
        "",
        "Keys of one task (task.key=value):",
        *_table(list(_of_tasks())),
        "",
        "Keys of a group's choices (group.key=value; --help method=rotnet shows one alone):",
        *_table(list(_of_groups())),
        "",
        _FOOT,
    ]
    return "\n".join(parts)


def _of_tasks(names: Iterable[str] = TASKS) -> Iterator[tuple[str, str]]:
    """The keys of tasks, and which of them have it."""
    keys: dict[tuple[str, str], list[str]] = {}
    for name in names:
        own = OmegaConf.structured(TASKS[name])
        for field in fields(TASKS[name]):
            if field.metadata:
                value = json.dumps(OmegaConf.to_container(own)[field.name]).replace('"', "")
                row = f"task.{field.name}={value}", field.metadata["help"]
                keys.setdefault(row, []).append(name)
    for (key, text), tasks in keys.items():
        yield key, f"task={' and '.join(tasks)}: {text}"


def choice_page(group: str, name: str) -> str:
    """One choice of a group: what it is, and its keys. Raises UserError when there is none."""
    groups = (*GROUPS, *OPTIONAL_GROUPS, "experiment")
    file = CONF / group / f"{name}.yaml"
    choices = sorted(one.stem for one in file.parent.glob("*.yaml"))
    if group not in groups or name not in choices:
        what = f"{group}={name} is not one of {', '.join(choices)}{did_you_mean(name, choices)}"
        if group not in groups:
            what = f"{group} is not a group{did_you_mean(group, groups)}"
        raise UserError(f"{what}: type --help alone to see all that can be typed.")
    lines = file.read_text(encoding="utf-8").splitlines()
    about = [line[2:] for line in lines if re.match("# [^@]", line)]
    if group == "task":
        keys = list(_of_tasks([name]))
    else:
        keys = [(f"{key}={value}", text) for key, value, text in keys_of(group, file)]
    return "\n".join([f"{group}={name}: {about[0]}", *about[1:], "", *_table(keys)])


def _of_groups() -> Iterator[tuple[str, str]]:
    """The keys of every group's choices, each told once, with the choices that have it."""
    for group in (*GROUPS, *OPTIONAL_GROUPS):
        if group in ("task", "budget"):  # told elsewhere; one that is changed as a whole
            continue
        rows: dict[tuple[str, str], dict[str, list[str]]] = {}
        for file in sorted((CONF / group).glob("*.yaml")):
            for key, value, text in keys_of(group, file):
                if key.startswith(f"{group}."):  # a preset's other keys are top-level ones
                    rows.setdefault((key, text), {}).setdefault(value, []).append(file.stem)
        explained = {key for key, text in rows if text}
        for (key, text), values in rows.items():
            if not text and key in explained:
                continue
            names = sorted(name for one in values.values() for name in one)
            value = next(iter(values)) if len(values) == 1 else "…"
            yield f"{key}={value}", f"{text} ({', '.join(names)})".strip()


def keys_of(group: str, file: Path) -> Iterator[tuple[str, str, str]]:
    """Name, default and comment of each key of a choice, as they are typed."""
    lines = file.read_text(encoding="utf-8").splitlines()
    top = "# @package _global_" in lines[:1]
    section = ""
    for line in lines:
        found = re.match(r"( *)(\w+): *(.*?) *(?:# (.*))?$", line)
        if not found or found[2] in ("_target_", "name", "defaults", "transforms", "override"):
            continue
        inner = f"{section}." if found[1] else ""
        if not found[3]:
            section = found[2]
        elif len(found[1]) <= 2:
            yield f"{'' if top else group + '.'}{inner}{found[2]}", found[3], found[4] or ""


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = min(max((len(name) for name, _ in rows), default=0), 34) + 4
    return [
        line
        for name, text in rows
        for line in wrap(
            text,
            100,
            initial_indent=f"  {name:<{width - 4}}  ",
            subsequent_indent=" " * width,
        )
    ]
