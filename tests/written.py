"""Datasets and trainings that an earlier version wrote, laid out as if they had been made here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from singleimg.dataset.recipe import versions
from tests.fixtures.make import PICTURE, PLACE, WRITTEN


def lay_out(name: str, folder: Path) -> Path:
    """A copy in ``folder`` of what was written, its picture beside it, where its paths name them.

    Moving a dataset is just this; nothing else is edited.
    """
    shutil.copy(PICTURE, folder)
    target = shutil.copytree(WRITTEN / name, folder / name)
    for file in target.glob("config*.yaml"):
        file.write_text(file.read_text().replace(str(PLACE), str(folder)))
    return target


def recipe_of(dataset: Path) -> dict[str, Any]:
    """The content of ``recipe.json``."""
    return json.loads((dataset / "recipe.json").read_text())


def digests_of(dataset: Path) -> dict[int, str]:
    """SHA-256 of each image that its records list, by index."""
    rows = [
        json.loads(line)
        for file in sorted((dataset / "manifest").glob("*.jsonl"))
        for line in file.read_text().splitlines()[2:]
    ]
    return {row[0]: row[3] for row in rows if row[0] is not None}


def others(made_with: dict[str, str]) -> set[str]:
    """What is of another version here, the kind of processor among it.

    Where there is any, going on is refused; where there is more than ``singleimg`` itself, bytes
    may be others.
    """
    own = {"singleimg", "processor"}
    here = versions([name for name in made_with if name not in own])
    return {name for name, version in made_with.items() if here.get(name) != version}


def same_bytes(made_with: dict[str, str]) -> bool:
    """Whether rendering here gives the bytes that were written."""
    return others(made_with) <= {"singleimg"}
