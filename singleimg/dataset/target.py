"""A dataset's folder: what may be done with it, and what is removed from it, in which order."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from singleimg.dataset.recipe import Recipe, parse_recipe
from singleimg.errors import UserError, WriteError, is_url, unwritable
from singleimg.storage.base import TEMPORARY
from singleimg.storage.local import Disk
from singleimg.storage.lock import FILES as LOCK_FILES
from singleimg.storage.manifest import Entry, Manifest, is_inside
from singleimg.storage.resolve import is_local
from singleimg.storage.shards import Shard

PARAMS = "params"
DATASET = "dataset.json"
CONFIG = "config.yaml"
RESOLVED = "config.resolved.yaml"
LOG = "run.log"
GRID = "grid.png"
RECIPE = "recipe.json"
_OVERWRITING = ".overwriting"  # the manifest of a dataset that is being removed


def params_place(shard: Shard) -> str:
    """The file of what was drawn for a shard, below the target."""
    return f"{PARAMS}/{shard.name}.jsonl"


class Target:
    """One folder that holds a dataset, or will; ``path`` may be behind a URL, with its store."""

    def __init__(self, path: Path, disk: Disk = Disk()) -> None:  # noqa: B008, it is frozen
        self.path, self.disk = path, disk
        self.manifest = Manifest(path, disk)

    @classmethod
    def at(cls, text: str, durable: bool = True) -> Target:
        """The target that ``targetpath=`` names, a folder or a URL."""
        if not is_url(text):
            return cls(Path(text.removeprefix("file://")), Disk(durable))
        from singleimg.storage.remote import Store, open_url

        return cls(open_url(text), Store())

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return is_local(self.path)

    # --- what is there ---

    def recipe(self) -> Recipe | None:
        """The recipe of the dataset that lies here."""
        file = self.path / RECIPE
        try:
            data = self.disk.read(file)
            return None if data is None else parse_recipe(data)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{file} cannot be read ({type(error).__name__}: {error}): type another "
                "targetpath, or remove that folder."
            ) from None

    def summary(self) -> dict[str, Any] | None:
        """What ``dataset.json`` says; None while images are missing, nothing when it is harmed."""
        try:
            data = self.disk.read(self.path / DATASET)
            return None if data is None else dict(json.loads(data))
        except (OSError, ValueError, TypeError):
            return {}

    def done(self, shards: Sequence[Shard], recipe: Recipe, output: Any) -> set[int]:
        """The numbers of those ``shards`` that are committed, whole and of this recipe."""
        recorded = [
            record.shard
            for record in self.manifest.scan()[0]
            if record.number < len(shards)
            and record.shard == shards[record.number]
            and record.fingerprint == recipe.fingerprint
        ]
        return output.present(self.path, recorded, self.disk)

    def bytes(self) -> int:
        """Of all images that are committed."""
        return sum(record.bytes for record in self.manifest.scan()[0])

    # --- what may be done ---

    def check(self, recipe: Recipe, num_imgs: int, if_exists: str) -> None:
        """Refuses a folder with something else in it, or with another recipe, or more of this."""
        found = self.recipe()
        if found is None:
            self._check_empty()
        elif if_exists == "error":
            raise UserError(
                f"targetpath={self.path} holds a dataset and if_exists=error: type another "
                "targetpath, if_exists=resume to go on with it, or if_exists=overwrite to replace "
                "it."
            )
        elif if_exists == "resume":
            self._check_same(found, recipe)
            self._check_not_fewer(num_imgs)

    def check_versions(self, recipe: Recipe, allowed: bool) -> None:
        """Refuses to go on with what other versions of the libraries made."""
        found = self.recipe()
        if found is None or allowed or found.made_with == recipe.made_with:
            return
        raise UserError(
            f"targetpath={self.path} was made with other versions, which may round otherwise "
            f"({'; '.join(found.differences(recipe))}): type allow_version_change=true to go on "
            "all the same, if_exists=overwrite to replace it, another targetpath, or bring the old "
            "versions back."
        )

    def _check_same(self, found: Recipe, recipe: Recipe) -> None:
        differences = found.same_versions(recipe).differences(recipe)
        if differences:
            raise UserError(
                f"targetpath={self.path} holds a dataset of another recipe "
                f"({'; '.join(differences)}): type another targetpath, if_exists=overwrite to "
                "replace it, or the old values to go on with it."
            )

    def _check_not_fewer(self, num_imgs: int) -> None:
        stop = max((record.stop for record in self.manifest.scan()[0]), default=0)
        if stop > num_imgs:
            raise UserError(
                f"targetpath={self.path} already holds {stop:,} images, more than "
                f"num_imgs={num_imgs}: type num_imgs={stop} or more, another targetpath, or "
                "if_exists=overwrite to replace it."
            )

    def _check_empty(self) -> None:
        try:
            names = sorted(self.disk.names(self.path))
        except NotADirectoryError:
            raise UserError(
                f"targetpath={self.path} is a file, not a folder: type another targetpath."
            ) from None
        except OSError as error:
            raise UserError(
                f"targetpath={self.path} cannot be read ({error.strerror}): "
                "type another targetpath, or change its permissions."
            ) from None
        strangers = [n for n in names if n not in LOCK_FILES and not n.startswith(TEMPORARY)]
        if strangers:
            raise UserError(
                f"targetpath={self.path} is not empty ({strangers[0]} lies there) and holds no "
                "dataset: type the name of a new or empty folder."
            )

    # --- changes, by the one who holds the lock ---

    def begin(self, recipe: Recipe, texts: dict[str, str], output: Any, todo: list[Shard]) -> None:
        """Takes back what is not true while ``todo`` is made, clears up, writes what lies beside.

        The recipe comes first: it is what says that the folder is ours. That of a dataset that goes
        on stays as it is: versions of its first images.
        """
        with self.errors():
            if self.disk.read(self.path / RECIPE) is None:
                self.disk.write_whole(self.path / RECIPE, recipe.text())
            self.finish_overwriting()
            for name in (DATASET, *output.closing, *output.harmed(self.path)):
                self.disk.remove(self.path / name)
            self.manifest.remove(todo)
            for damaged in self.manifest.scan()[1]:
                self.disk.remove(damaged)
            self.clear(output)
            if self.is_local:
                self.manifest.folder.mkdir(exist_ok=True)
            for name, text in texts.items():
                self.disk.write_whole(self.path / name, text)

    def finish(self, recipe: Recipe, num_imgs: int, output: Any) -> None:
        """Writes ``dataset.json``: every image is there. The same for every way of making it.

        Before it come the files that the ``output`` writes of the dataset as a whole.
        """
        with self.errors():
            for name in output.closing:
                file = self.path / name
                if self.is_local:
                    file.parent.mkdir(exist_ok=True)
                self.disk.write_whole(file, output.close_dataset(name, self.manifest))
            summary = self.summarise(recipe, output)
            records = self.manifest.scan()[0]
            there = output.present(self.path, [record.shard for record in records], self.disk)
            if len(there) < len(records):
                raise WriteError(
                    f"targetpath={self.path} misses data of {len(records) - len(there)} shards: "
                    "is another run at work there? Type the same command again."
                )
            if summary["images"] != num_imgs:
                raise WriteError(
                    f"targetpath={self.path} holds {summary['images']:,} of {num_imgs:,} images: "
                    "some shards were not committed, type the same command again."
                )
            self.disk.write_whole(self.path / DATASET, json.dumps(summary, indent=2) + "\n")

    def summarise(self, recipe: Recipe, output: Any) -> dict[str, Any]:
        """What ``dataset.json`` says of the records that are there."""
        records, _ = self.manifest.scan()
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
        data = self.disk.read(self.path / name)
        return None if data is None else sha256(data).hexdigest()

    def clear(self, output: Any) -> None:
        """Removes what a stopped run left: temporary files, and data that have no record."""
        for leftover in self._leftovers(output):
            self.disk.put_away(leftover, self.path)
        output.clear(self.path, {file.stem for file in self.manifest.files()})
        self.clear_temporary({name.rpartition("/")[0] for name in output.closing})

    def clear_temporary(self, folders: Iterable[str] = ()) -> None:
        """Removes what is half-written, in ``folders`` too; a store shows nothing of that."""
        for folder in (self.path, *map(self.path.joinpath, folders)) if self.is_local else ():
            for name in self.disk.names(folder):
                if name.startswith(TEMPORARY):
                    _remove(folder / name)

    def _leftovers(self, output: Any) -> Iterator[Path]:
        recorded = {file.stem for file in self.manifest.files()}
        for path in self._numbered(output):
            if _number(path.name) not in recorded:
                self._check_ours(path, output)
                yield path

    def _numbered(self, output: Any) -> Iterator[Path]:
        """What has the very name of a shard where this output puts shards, and parameters."""
        recipe = self.recipe()
        places = [output.place]
        if recipe is None or recipe.layout.get("save_params"):
            places.append(params_place)
        for place in places:
            folder = str(place(Shard(0, 0, 0)) or "").rpartition("/")[0]
            for name in self.disk.names(self.path / folder) if folder else ():
                number, path = _number(name), self.path / folder / name
                if not number or place(Shard(int(number), 0, 0)) != f"{folder}/{name}":
                    continue
                if self.disk.is_folder(path):
                    if self.disk.names(path):
                        yield path
                elif place is params_place or output.owns(f"{folder}/{name}"):
                    yield path

    def _check_ours(self, path: Path, output: Any) -> None:
        """Refuses to remove a folder into which somebody put a file."""
        folder = str(path)[len(str(self.path).rstrip("/")) + 1 :]
        for name in self.disk.names(path) if self.disk.is_folder(path) else ():
            inner = path / name
            if not output.owns(f"{folder}/{name}"):
                raise UserError(
                    f"{inner} is not of this dataset and lies where images are to be written: "
                    "move it away and type the same command again."
                )

    # --- overwriting ---

    def overwrite(self, recipe: Recipe, output: Any) -> None:
        """Removes the dataset: what its manifest lists, and nothing else. Crash and repeat at will.

        ``output`` is the one that wrote it.

        A record must not outlive its files, nor may the list be lost before they are gone: so the
        whole manifest changes its name first. The new ``recipe`` takes the place of the old one,
        since a folder without a recipe is not ours.
        """
        with self.errors():
            self.finish_overwriting()
            for path in self._numbered(output):
                self._check_ours(path, output)
            self.disk.remove(self.path / DATASET)
            self._take_records_back()
            self.finish_overwriting()
            self.clear(output)
            for name in (*output.closing, *output.kept, GRID, LOG, RESOLVED, CONFIG):
                self.disk.remove(self.path / name)
            if self.is_local:
                for name in (*output.closing, *output.kept):
                    _remove_empty((self.path / name).parent)
            self.disk.write_whole(self.path / RECIPE, recipe.text())

    def _take_records_back(self) -> None:
        if not self.is_local:  # nothing is renamed there: data without records are leftovers
            for file in self.manifest.files():
                self.disk.remove(file)
        elif self.manifest.folder.exists():
            self.manifest.folder.rename(self.path / _OVERWRITING)
            self.disk.sync_folder(self.path)

    def finish_overwriting(self) -> None:
        """Goes on where an overwriting run was stopped."""
        folder = self.path / _OVERWRITING
        if not (self.is_local and folder.exists()):
            return
        records = Manifest(self.path, self.disk, _OVERWRITING).files()
        parents: set[Path] = set()
        for file in records:
            for entry in _listed(file):
                path = self.path / entry.path
                path.unlink(missing_ok=True)
                parents |= set(path.relative_to(self.path).parents)
        for parent in sorted(parents - {Path(".")}, key=lambda path: -len(path.parts)):
            _remove_empty(self.path / parent)
        for file in records:
            file.unlink()
        for stranger in folder.iterdir():  # somebody put it among the records
            self.manifest.folder.mkdir(exist_ok=True)
            stranger.rename(self.manifest.folder / stranger.name)
        folder.rmdir()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns errors of the system into a sentence."""
        try:
            yield
        except OSError as error:
            raise unwritable(self.path, error) from error


def _listed(file: Path) -> Iterator[Entry]:
    """The files in a record, however damaged it is, of which each lies below the target."""
    for line in file.read_bytes().splitlines()[2:]:
        try:
            entry = Entry(*json.loads(line))
        except (ValueError, TypeError):
            continue
        if is_inside(entry.path):
            yield entry


def _number(name: str) -> str:
    """The number of a shard in the name of its file or folder; empty where there is none."""
    found = re.search(r"\d{6,}", name)
    return found[0] if found else ""


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.ENOENT: "do not move or remove the folder while a run is at work",
    errno.EACCES: "give yourself the permission to write there",
    errno.EPERM: "give yourself the permission to write there",
    errno.EROFS: "make it writable",
}


def write_error(target: Path, error: OSError, what: str) -> WriteError:
    """The sentence for an error of the system while writing ``what`` into a target."""
    remedy = _REMEDIES.get(error.errno or 0, "mend that")
    return WriteError(
        f"{what} could not be written to targetpath={target} ({error.strerror or error}): {remedy}."
    )
