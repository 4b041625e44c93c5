"""The help page, from the comments in conf/ and the keys of each task."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from textwrap import wrap

from omegaconf import OmegaConf

from singleimg.config.location import CONF
from singleimg.config.schema import GROUPS, OPTIONAL_GROUPS
from singleimg.config.tasks import TASKS

_HEAD = """\
Turns one picture into a training set of any size (Asano, Rupprecht, Vedaldi, ICLR 2020).
Image i depends on the settings and i alone: any number of workers makes the same bytes.

  python run.py num_imgs=1000                                  a picture that ships with us
  python run.py imgpath=photo.jpg augment=strong num_imgs=1M   your own picture
  python run.py debug=true                                     64 images and a grid to look at
  python run.py -m deg=0,30 scale=[500,1],[100,1]              one dataset for each combination
  python run.py experiment=paper_imagenet_a                    a configuration of the paper
  python run.py task=pretrain method=rotnet network=cifar_conv4 img_size=32 augment=paper
  python run.py task=probe task.checkpoint=outputs/… data=cifar10 data.path=…
"""
_FOOT = "--cfg job shows the composed settings, --hydra-help what else Hydra offers."


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
        "Output (output.key=value):",
        *_table(list(comments(CONF / "output" / "folder.yaml"))),
        "",
        _FOOT,
    ]
    return "\n".join(parts)


def _of_tasks() -> Iterator[tuple[str, str]]:
    """The keys of each task, and the tasks that have it."""
    keys: dict[str, tuple[list[str], str]] = {}
    for name, kind in TASKS.items():
        own = OmegaConf.structured(kind)
        for field in fields(kind):
            if field.metadata:
                value = json.dumps(OmegaConf.to_container(own)[field.name]).replace('"', "")
                row = keys.setdefault(f"task.{field.name}={value}", ([], field.metadata["help"]))
                row[0].append(name)
    for key, (tasks, text) in keys.items():
        yield key, f"task={' and '.join(tasks)}: {text}"


def comments(file: Path) -> Iterator[tuple[str, str]]:
    """``key=default`` and its comment for each key of a YAML file: ``train.devices``, too."""
    section = ""
    for line in file.read_text().splitlines():
        if head := re.match(r"(\w+):\s*(?:#.*)?$", line):
            section = head[1]
        found = re.match(r"( *)(\w+): +(.*?) +# (.*)$", line)
        if found and found[3] and not found[2].startswith("_"):
            yield f"{section + '.' if found[1] else ''}{found[2]}={found[3]}", found[4]


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows) + 4
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
