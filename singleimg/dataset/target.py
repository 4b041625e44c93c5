"""A dataset's folder: what may be done with it, and what is removed from it, in which order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from typing import Any

from singleimg.dataset.recipe import Recipe, check_draws, parse_recipe
from singleimg.errors import UserError, WriteError
from singleimg.outputs.base import Output
from singleimg.storage.base import TEMPORARY, Store
from singleimg.storage.lease import FOLDER as SLICES
from singleimg.storage.lock import FILES as LOCK_FILES
from singleimg.storage.manifest import (
    FOLDER,
    Entry,
    Manifest,
    Record,
    Scan,
    is_inside,
    record_place,
)
from singleimg.storage.resolve import store_at
from singleimg.storage.shards import WHOLE, Shard, Slice

PARAMS = "params"
DATASET = "dataset.json"
CONFIG = "config.yaml"
RESOLVED = "config.resolved.yaml"
LOG = "run.log"
GRID = "grid.png"
RECIPE = "recipe.json"
PAGE = "report.html"
CARD = "README.md"
OURS = "<!-- Written by singleimg, anew when the dataset changes. Remove this line to edit it. -->"
CROISSANT = "croissant.json"
_OVERWRITING = ".overwriting"  # the manifest of a dataset that is being removed


def params_place(shard: Shard) -> str:
    """The file of what was drawn for a shard, below the target."""
    return f"{PARAMS}/{shard.name}.jsonl"


class Snapshot:
    """What lies in a target at one time, under the lock or before it.

    recipe: None where there is no dataset. summary: as of ``Target.summary``. scan: its records;
    the latter two are looked for when first asked for.
    """

    def __init__(self, recipe: Recipe | None, target: Target) -> None:
        self.recipe, self._target = recipe, target

    @cached_property
    def summary(self) -> dict[str, Any] | None:
        return self._target.summary()

    @cached_property
    def scan(self) -> Scan:
        return self._target.manifest.scan()


class Target:
    """One place that holds a dataset, or will: what may be done there, and what is removed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.manifest = Manifest(store)

    @classmethod
    def at(cls, text: str, durable: bool = True) -> Target:
        """The target that ``targetpath=`` names, a folder or a URL."""
        return cls(store_at(text, durable))

    # --- what is there ---

    def look(self) -> Snapshot:
        """What lies here now; whoever waits for the lock looks again when it has that."""
        return Snapshot(self.recipe(), self)

    def recipe(self) -> Recipe | None:
        """The recipe of the dataset that lies here."""
        try:
            data = self.store.read(RECIPE)
            return None if data is None else parse_recipe(data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.store.path_of(RECIPE)} cannot be read ({type(error).__name__}: {error}): "
                "type another targetpath, or remove that folder."
            ) from None

    def summary(self) -> dict[str, Any] | None:
        """What ``dataset.json`` says; None while images are missing, nothing when it is damaged."""
        try:
            data = self.store.read(DATASET)
            return None if data is None else dict(json.loads(data))
        except (OSError, ValueError, TypeError):
            return {}

    def done(
        self, found: Snapshot, shards: Sequence[Shard], recipe: Recipe, output: Output
    ) -> set[int]:
        """The numbers of those ``shards`` that are committed, whole and of this recipe."""
        recorded = [
            record.shard
            for record in found.scan.records
            if record.number < len(shards)
            and record.shard == shards[record.number]
            and record.fingerprint == recipe.fingerprint
        ]
        return output.present(self.store, recorded)

    def bytes(self) -> int:
        """Of all images that are committed."""
        return sum(record.bytes for record in self.manifest.scan().records)

    # --- what may be done ---

    def check(self, found: Snapshot, recipe: Recipe, num_imgs: int, if_exists: str) -> None:
        """Refuses a folder with something else in it, or with another recipe, or more of this."""
        if found.recipe is None:
            self._check_empty()
        elif if_exists == "error":
            raise UserError(
                f"targetpath={self.store} holds a dataset and if_exists=error: type another "
                "targetpath, if_exists=resume to resume it, or if_exists=overwrite to replace it."
            )
        elif if_exists == "resume":
            self._check_same(found.recipe, recipe)
            self._check_not_fewer(found, num_imgs)

    def check_versions(self, found: Snapshot, recipe: Recipe, allowed: bool) -> None:
        """Refuses to go on with what other versions of the libraries made."""
        if found.recipe is None or allowed or found.recipe.made_with == recipe.made_with:
            return
        raise UserError(
            f"targetpath={self.store} was made with other versions, which may round differently "
            f"({'; '.join(found.recipe.differences(recipe))}): type allow_version_change=true to "
            "resume it anyway, if_exists=overwrite to replace it, another targetpath, or install "
            "the old versions."
        )

    def _check_same(self, found: Recipe, recipe: Recipe) -> None:
        if found.pixels.get("draws") != recipe.pixels.get("draws"):  # an export has those of then
            check_draws(
                found,
                f"targetpath={self.store}",
                "type another targetpath, if_exists=overwrite to replace it, or use that version "
                "to resume it.",
            )
        differences = replace(found, made_with=recipe.made_with).differences(recipe)
        if differences:
            raise UserError(
                f"targetpath={self.store} holds a dataset of another recipe "
                f"({'; '.join(differences)}): type another targetpath, if_exists=overwrite to "
                "replace it, or the old values to resume it."
            )

    def _check_not_fewer(self, found: Snapshot, num_imgs: int) -> None:
        stop = max((record.stop for record in found.scan.records), default=0)
        if stop > num_imgs:
            raise UserError(
                f"targetpath={self.store} already holds {stop:,} images, more than "
                f"num_imgs={num_imgs}: type num_imgs={stop} or more, another targetpath, or "
                "if_exists=overwrite to replace it."
            )

    def _check_empty(self) -> None:
        try:
            names = sorted(self.store.names())
        except NotADirectoryError:
            raise UserError(
                f"targetpath={self.store} is a file, not a folder: type another targetpath."
            ) from None
        except OSError as error:
            raise UserError(
                f"targetpath={self.store} cannot be read ({error.strerror}): "
                "type another targetpath, or change its permissions."
            ) from None
        known = (*LOCK_FILES, SLICES)
        strangers = [n for n in names if n not in known and not n.startswith(TEMPORARY)]
        if strangers:
            raise UserError(
                f"targetpath={self.store} is not empty ({strangers[0]} is in it) and holds no "
                "dataset: type the name of a new or empty folder."
            )

    # --- changes, by the one who holds the lock ---

    def begin(
        self,
        found: Snapshot,
        recipe: Recipe,
        texts: dict[str, str],
        output: Output,
        todo: Sequence[Shard],
        mine: Slice = WHOLE,
    ) -> None:
        """Takes back what is not true while ``todo`` is made, clears up, writes what lies beside.

        Of a slice others are at work: what is not of its own shards stays. The recipe comes first:
        it is what says that the folder is ours. That of a dataset that goes on stays as it is:
        versions of its first images.
        """
        with self.store.errors():
            if found.recipe is None:
                self.store.write(RECIPE, recipe.text())
            if mine == WHOLE:
                self.finish_overwriting()
            elif self.is_overwriting():
                raise UserError(
                    f"targetpath={self.store} is only partly replaced, since that run was "
                    "stopped: type task=prepare for its slices first."
                )
            if todo or mine == WHOLE:
                for name in (DATASET, PAGE, *output.closing, *output.damaged(self.store)):
                    self.store.remove(name)
            whole = {record.number: record_place(record.shard) for record in found.scan.records}
            again = [whole.pop(shard.number) for shard in todo if shard.number in whole]
            for name in (*again, *filter(mine.owns, found.scan.damaged)):
                self.store.remove(name)
            self._clear(output, found.recipe or recipe, {f"{number:06d}" for number in whole}, mine)
            self.store.make_folder(FOLDER)
            for name, text in texts.items():
                self.store.write(name, text)

    def finish(self, recipe: Recipe, num_imgs: int, output: Output) -> None:
        """Writes ``dataset.json``: every image is there. The same for every way of making it.

        Before it come the files that the ``output`` writes of the dataset as a whole.
        """
        with self.store.errors():
            records = self.manifest.scan().records
            for name in output.closing:
                self.store.write(name, output.close_dataset(name, records, self.store))
            there = output.present(self.store, [record.shard for record in records])
            if len(there) < len(records):
                raise WriteError(
                    f"targetpath={self.store} lacks the data of {len(records) - len(there)} "
                    "shards, perhaps because another run writes there: wait until that ends, and "
                    "type the same command again."
                )
            summary = self._summary_of(records, recipe, output)
            if summary["images"] != num_imgs:
                raise WriteError(
                    f"targetpath={self.store} holds {summary['images']:,} of {num_imgs:,} images, "
                    "since some shards were not committed: type the same command again."
                )
            self.store.write(DATASET, json.dumps(summary, indent=2) + "\n")

    def summarise(self, recipe: Recipe, output: Output) -> dict[str, Any]:
        """What ``dataset.json`` says of the records that are there."""
        return self._summary_of(self.manifest.scan().records, recipe, output)

    def _summary_of(
        self, records: Sequence[Record], recipe: Recipe, output: Output
    ) -> dict[str, Any]:
        names = (RECIPE, *output.closing)
        return {
            "images": sum(len(record.shard) for record in records),
            "shards": len(records),
            "bytes": sum(record.bytes for record in records),
            "fingerprint": recipe.fingerprint,
            "digest": self.manifest.digest(),
            "files": {name: self.digest_of(name) for name in names},
        }

    def digest_of(self, name: str) -> str | None:
        """SHA-256 of one of the files that lie beside the shards; None where there is none."""
        data = self.store.read(name)
        return None if data is None else sha256(data).hexdigest()

    def clear(self, output: Output, mine: Slice = WHOLE) -> None:
        """Removes what a stopped run left: temporary files, and data that have no record."""
        recorded = {_number(name) for name in self.manifest.names()}
        self._clear(output, self.recipe(), recorded, mine)

    def _clear(
        self, output: Output, recipe: Recipe | None, recorded: set[str], mine: Slice
    ) -> None:
        for name in self._numbered(output, recipe):
            number = _number(name)
            if number not in recorded and int(number) in mine:
                self._check_ours(name, output)
                self.store.discard(name)
        output.clear(self.store, recorded)  # of those alone that slices cannot make
        self.store.clear_temporary({"", *(_folder(name) for name in output.closing)}, mine)

    def _numbered(self, output: Output, recipe: Recipe | None) -> Iterator[str]:
        """What has the very name of a shard where this output puts shards, and parameters."""
        places = [output.place]
        saved = recipe is None or recipe.layout.get("save_params")
        if saved and not output.draws_inside:
            places.append(params_place)
        for place in places:
            folder = _folder(place(Shard(0, 0, 0)) or "")
            for last, about in self.store.details(folder).items() if folder else ():
                number, name = _number(last), f"{folder}/{last}"
                if not number or place(Shard(int(number), 0, 0)) != name:
                    continue
                if about.is_folder:
                    if self.store.names(name):
                        yield name
                elif place is params_place or output.owns(name):
                    yield name

    def _check_ours(self, name: str, output: Output) -> None:
        """Refuses to remove a folder into which somebody put a file."""
        for last in self.store.names(name) if self.store.is_folder(name) else ():
            inner = f"{name}/{last}"
            if not output.owns(inner):
                raise UserError(
                    f"{self.store.path_of(inner)} does not belong to this dataset and is where "
                    "images will be written: move it away, and type the same command again."
                )

    # --- overwriting ---

    def overwrite(self, recipe: Recipe, output: Output) -> None:
        """Removes the dataset, which ``output`` wrote: what its manifest lists, and nothing else.

        A record must not outlive its files, nor may the list be lost before they are gone: so the
        whole manifest changes its name first. The new ``recipe`` takes the place of the old one,
        since a folder without a recipe is not ours.
        """
        with self.store.errors():
            self.finish_overwriting()
            for name in self._numbered(output, self.recipe()):
                self._check_ours(name, output)
            self.store.remove(DATASET)
            self._take_records_back()
            self.finish_overwriting()
            self.clear(output)
            beside = (*output.closing, *output.kept)
            if OURS.encode() in (self.store.read(CARD) or b""):  # else somebody took it over
                self.store.remove(CARD)
            for name in (*beside, PAGE, CROISSANT, GRID, LOG, RESOLVED, CONFIG):
                self.store.remove(name)
            for name in beside:
                self.store.remove_empty(_folder(name))
            self.store.write(RECIPE, recipe.text())

    def _take_records_back(self) -> None:
        if not self.store.renames:  # then data without records are leftovers
            for name in self.manifest.names():
                self.store.remove(name)
        elif self.store.exists(FOLDER):
            self.store.move(FOLDER, _OVERWRITING)

    def is_overwriting(self) -> bool:
        """Whether a run was stopped while it removed what lay here."""
        return self.store.renames and self.store.exists(_OVERWRITING)

    def finish_overwriting(self) -> None:
        """Goes on where an overwriting run was stopped."""
        if not self.is_overwriting():
            return
        records = Manifest(self.store, _OVERWRITING).names()
        folders: set[str] = set()
        for record in records:
            for entry in _listed(self.store.read(record) or b""):
                self.store.remove(entry.path, wait=False)
                folder = _folder(entry.path)
                while folder and folder not in folders:
                    folders.add(folder)
                    folder = _folder(folder)
        for folder in sorted(folders, key=lambda name: -name.count("/")):
            self.store.remove_empty(folder)
        for record in records:
            self.store.remove(record, wait=False)
        for name in self.store.names(_OVERWRITING):  # somebody put it among the records
            self.store.move(f"{_OVERWRITING}/{name}", f"{FOLDER}/{name}")
        self.store.remove_empty(_OVERWRITING)


def _listed(data: bytes) -> Iterator[Entry]:
    """The files in a record, however damaged it is, of which each lies below the target."""
    for line in data.splitlines()[2:]:
        try:
            entry = Entry(*json.loads(line))
        except (ValueError, TypeError):
            continue
        if is_inside(entry.path):
            yield entry


def _number(name: str) -> str:
    """The number of a shard in the last part of a name; empty where there is none."""
    found = re.search(r"\d{6,}", name.rpartition("/")[2])
    return found[0] if found else ""


def _folder(name: str) -> str:
    return name.rpartition("/")[0]
