"""What is committed, and what is left to do.

Order of a commit: the shard's files appear in their place by one rename, then its record appears in
``manifest/`` by one rename, and ``dataset.json`` comes last. A record therefore never speaks of
files that are not whole, and files without a record are rendered again.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from singleimg.errors import UserError
from singleimg.recipe import Recipe, read_recipe


@dataclass(frozen=True)
class Shard:
    """The images ``start`` … ``stop - 1``: the unit of work, of commit and of resume."""

    number: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Six digits, as in the names of files and folders."""
        return f"{self.number:06d}"

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Record:
    """What was committed of one shard: its range, bytes of images, SHA-256 of each in order."""

    number: int
    start: int
    stop: int
    bytes: int
    sha256: list[str]

    @property
    def shard(self) -> Shard:
        return Shard(self.number, self.start, self.stop)


def plan(num_imgs: int, shard_size: int) -> list[Shard]:
    """Cuts 0 … num_imgs - 1 into shards of ``shard_size``; the last may be shorter."""
    starts = range(0, num_imgs, shard_size)
    return [
        Shard(number, start, min(start + shard_size, num_imgs))
        for number, start in enumerate(starts)
    ]


class Manifest:
    """The records below one target folder."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.records_folder = target / "manifest"
        self.dataset_file = target / "dataset.json"
        self.recipe_file = target / "recipe.json"

    def check(self, recipe: Recipe, num_imgs: int) -> None:
        """Refuses a target that holds something else than this recipe, or more of it."""
        if not self.recipe_file.exists():
            self._check_empty()
            return
        found = _read(self.recipe_file, read_recipe).differences(recipe)
        if found:
            raise UserError(
                f"targetpath={self.target} holds a dataset of another recipe ({'; '.join(found)}): "
                "type another targetpath, or the old values."
            )
        stop = max((record.stop for record in self.records()), default=0)
        if stop > num_imgs:
            raise UserError(
                f"targetpath={self.target} already holds {stop:,} images, more than "
                f"num_imgs={num_imgs}: type num_imgs={stop} or more, or another targetpath."
            )

    def _check_empty(self) -> None:
        try:
            strangers = sorted(path.name for path in self.target.iterdir())
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise UserError(
                f"targetpath={self.target} is a file, not a folder: type another targetpath."
            ) from None
        except OSError as error:
            raise UserError(
                f"targetpath={self.target} cannot be read ({error.strerror}): "
                "type another targetpath, or change its permissions."
            ) from None
        if strangers:
            raise UserError(
                f"targetpath={self.target} is not empty ({strangers[0]} lies there) and holds no "
                "dataset: type the name of a new or empty folder."
            )

    def records(self) -> list[Record]:
        """The records of all committed shards, in order."""
        files = sorted(self.records_folder.glob("[0-9]*.json"))
        return [_read(file, lambda path: Record(**json.loads(path.read_text()))) for file in files]

    def begin(self, recipe: Recipe, texts: dict[str, str]) -> None:
        """Makes the target, writes the recipe and ``texts`` beside it, removes old leftovers."""
        try:
            self.records_folder.mkdir(parents=True, exist_ok=True)
            self.clean()
            for name, text in {**texts, "recipe.json": recipe.text()}.items():
                write_whole(self.target / name, text)
        except OSError as error:
            raise UserError(
                f"targetpath={self.target} cannot be written ({error.strerror}): "
                "type another targetpath, or change its permissions."
            ) from None

    def reopen(self, shards: list[Shard]) -> None:
        """Takes back what will not be true while ``shards`` are made: dataset.json first."""
        self.dataset_file.unlink(missing_ok=True)
        for shard in shards:
            self._record_file(shard).unlink(missing_ok=True)

    def commit(self, record: Record) -> None:
        """Writes the record of a shard whose files are in place."""
        write_whole(self._record_file(record.shard), json.dumps(asdict(record)) + "\n")

    def finish(self, summary: dict[str, Any]) -> None:
        """Writes ``dataset.json``: every image is there."""
        write_whole(self.dataset_file, json.dumps(summary, indent=2) + "\n")

    def clean(self) -> None:
        """Removes what a stopped run left half-written."""
        for leftover in self.target.glob(".tmp-*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)

    def _record_file(self, shard: Shard) -> Path:
        return self.records_folder / f"{shard.name}.json"


def write_whole(path: Path, text: str) -> None:
    """Writes a text file so that a reader sees the old one or the new one, never a part."""
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def _read(path: Path, reader: Any) -> Any:
    try:
        return reader(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({type(error).__name__}: {error}): type another targetpath, "
            "or remove that folder."
        ) from None
