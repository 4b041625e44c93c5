"""Targets behind URLs, ``s3://bucket/name`` and whatever else fsspec knows.

A store has no rename and no lock, and shows an object whole or not at all. So a shard is written on
this machine and uploaded, its record after it; nothing keeps two runs off one target. Credentials
come from where the store's library looks for them in the environment, and from nowhere else.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from singleimg.errors import UserError, WriteError
from singleimg.storage.integrity import compare
from singleimg.storage.manifest import Entry
from singleimg.storage.reader import whole_part
from singleimg.storage.shards import Shard

T = TypeVar("T")

_TRIES = 3  # of an upload as a whole; each of its requests is tried more often by the library
_REQUESTS = 8  # tries of one request, with growing pauses: about half a minute
_PAUSE = 1.0  # seconds before the second try of an upload; doubled for the third
_CHUNK = 8 << 20  # bytes
_PACKAGES = {"s3": "s3"}  # protocols that have an extra of ours
_NAMES = {"s3a": "s3"}  # other names of the same


def open_url(url: str) -> Any:
    """A path-like object for ``url``; UserError when its protocol needs what is not installed."""
    protocol, _, rest = url.partition("://")
    protocol, rest = _NAMES.get(protocol, protocol), rest.rstrip("/")
    extra = _PACKAGES.get(protocol, "remote")
    try:
        from upath import UPath

        if "//" in rest:
            raise ValueError("a part of it is empty")
        path = UPath(f"{protocol}://{rest}", use_listings_cache=False, **_options(protocol))
        path.fs  # noqa: B018, imports what the protocol needs
        if not path.path.strip("/"):
            raise ValueError("it names no bucket")
        path / "x"  # refuses what has a name, and no bucket
    except ImportError as error:
        raise UserError(
            f"targetpath={url} needs a package that cannot be imported here ({error}): type pip "
            f'install "singleimg[{extra}]" (in a checkout: pip install -e ".[{extra}]").'
        ) from None
    except ValueError as error:
        raise UserError(
            f"targetpath={url} cannot be opened ({error}): type a folder, or a URL such as "
            "s3://bucket/name."
        ) from None
    return path


def _options(protocol: str) -> dict[str, Any]:
    if protocol != "s3" or "AWS_MAX_ATTEMPTS" in os.environ:
        return {}
    return {"config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": _REQUESTS}}}


@dataclass(frozen=True)
class Store:
    """How files reach a store; has what ``durable.Disk`` has."""

    durable: bool = True
    folder: Path | None = None  # of a run, for what is on its way

    def within(self, folder: Path) -> Store:
        """The same, in a run that has ``folder`` for what it does not keep."""
        return replace(self, folder=folder)

    def names(self, folder: Any) -> list[str]:
        """What lies in a folder; nothing where there is none."""
        with _said(folder):
            fs = file_system(folder)
            try:
                found = fs.ls(_path(folder), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
            own = _path(folder).rstrip("/")  # S3's console makes an object of that name
            paths = [path.rstrip("/") for path in found]
            return [path.rpartition("/")[2] for path in paths if path != own]

    def exists(self, path: Any) -> bool:
        """Whether an object or folder is there."""
        with _said(path):
            return file_system(path).exists(_path(path))

    def is_folder(self, path: Any) -> bool:
        """Whether objects lie below a path."""
        with _said(path):
            return file_system(path).isdir(_path(path))

    def read(self, file: Any) -> bytes | None:
        """The bytes of a file; None where there is none."""
        with _said(file):
            try:
                return file_system(file).cat_file(_path(file))
            except FileNotFoundError:
                return None

    def read_all(self, files: Sequence[Any]) -> Iterator[bytes | None]:
        """The bytes of each file, fetched at once; None where there is none.

        What cannot be read for another reason must not count as missing, or it would be removed.
        """
        if not files:
            return
        paths = [_path(file) for file in files]
        with _said(files[0]):
            found = file_system(files[0]).cat_ranges(paths, None, None, on_error="return")
        for file, data in zip(files, found, strict=True):
            if isinstance(data, BaseException) and not isinstance(data, FileNotFoundError):
                with _said(file):
                    raise data
            yield data if isinstance(data, bytes) else None

    def staging(self, target: Any) -> Path:
        """The folder on this machine in which shards are written before their upload."""
        return self.folder or Path(tempfile.gettempdir())

    @contextmanager
    def syncing(self, folder: Path) -> Iterator[Callable[[], None]]:
        """Nothing is to be waited for: what a store has taken it keeps."""
        yield lambda: None

    def put(self, staged: Path, target: Any, place: str) -> None:
        """Uploads a file, or all files of a folder, to ``place`` in ``target``."""
        files = sorted(staged.rglob("*")) if staged.is_dir() else [staged]
        for file in files:
            final = target / place / file.relative_to(staged) if file != staged else target / place
            if file.is_file():
                self._upload(file, final, target)

    def _upload(self, file: Path, final: Any, target: Any) -> None:
        patiently(lambda: file_system(final).put_file(str(file), _path(final)), target)

    def move(self, path: Any, place: Any) -> None:
        """Moves an object or a folder of them."""

        def moved() -> None:
            for fs, file in _below(path):
                fs.cp_file(file, _path(place) + file.removeprefix(_path(path)))
                fs.rm_file(file)

        patiently(moved, path)

    def put_away(self, leftover: Any, target: Any) -> None:
        """Removes what a stopped run left."""

        def gone() -> None:
            for fs, file in _below(leftover):
                fs.rm_file(file)

        patiently(gone, target)

    def write_whole(self, path: Any, text: str | Iterable[str]) -> None:
        """Writes a text file; a reader sees the old one or the new one, never a part."""
        data = (text if isinstance(text, str) else "".join(text)).encode()
        patiently(lambda: file_system(path).pipe_file(_path(path), data), path)

    def remove(self, path: Any) -> None:
        """Removes a file that may be missing."""

        def gone() -> None:
            try:
                file_system(path).rm_file(_path(path))
            except FileNotFoundError:
                return

        patiently(gone, path)


@dataclass(frozen=True)
class StoreFiles:
    """Compares the objects of a store with the records of a dataset."""

    target: Any

    def exists(self, place: str | None) -> bool:
        """Whether an object or folder is there."""
        return Store().exists(self.target / str(place))

    def names(self, place: str | None) -> list[str]:
        """What lies in a folder; nothing when it is none."""
        folder = self.target / str(place)
        return sorted(Store().names(folder)) if Store().is_folder(folder) else []

    def difference(self, entry: Entry) -> str | None:
        """How an object, or an image in it, differs from its entry."""
        path = _path(self.target / entry.path)
        with _said(self.target):
            try:
                if entry.offset is not None:
                    end = entry.offset + entry.bytes
                    data = file_system(self.target).cat_file(path, start=entry.offset, end=end)
                    return compare([data], entry)
                with file_system(self.target).open(path, "rb", block_size=_CHUNK) as file:
                    return compare(iter(lambda: file.read(_CHUNK), b""), entry)
            except FileNotFoundError:
                return "is missing"

    def shard_difference(self, shard: Shard) -> str | None:
        """Nothing: objects are all that there is."""
        return None


def ranges(target: Any, places: Sequence[tuple[str, int, int]]) -> list[bytes]:
    """Parts of files, fetched at once: path below ``target``, offset and size of each."""
    paths = [_path(target / path) for path, _, _ in places]
    starts = [offset for _, offset, _ in places]
    ends = [offset + size for _, offset, size in places]
    with _said(target):
        found = file_system(target).cat_ranges(paths, starts, ends, on_error="raise")
    return [whole_part(d, path, size) for d, (path, _, size) in zip(found, places, strict=True)]


# --- the store's library -------------------------------------------------------------------------


def file_system(path: Any) -> Any:
    """The fsspec file system of a path, one for each process: none of them survives a fork."""
    return _file_system(os.getpid(), path.protocol, json.dumps(dict(path.storage_options)))


@lru_cache(maxsize=16)
def _file_system(process: int, protocol: str, options: str) -> Any:
    import fsspec

    fs = fsspec.filesystem(protocol, **json.loads(options))
    if fs.async_impl:
        # Of what a broken connection leaves behind; what a request met, the request says itself.
        fs.loop.set_exception_handler(lambda loop, context: None)
    return fs


def _path(path: Any) -> str:
    return path.path


def _below(path: Any) -> list[tuple[Any, str]]:
    """The files that lie at a path or below it, with their file system.

    By their very names: what fsspec does to several at once takes ``[`` and ``*`` for patterns.
    """
    fs = file_system(path)
    return [(fs, file) for file in fs.find(_path(path))]


def patiently(act: Callable[[], T], target: Any) -> T:
    """Does ``act``, a few times if faults of the network hinder it; then raises WriteError."""
    pause = _PAUSE
    for _ in range(_TRIES - 1):
        try:
            return _once(act, target)
        except WriteError:
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause *= 2
    return _once(act, target)


def _once(act: Callable[[], T], target: Any) -> T:
    with _said(target, "written"):
        return act()


@contextmanager
def _said(target: Any, done: str = "read") -> Iterator[None]:
    """Turns errors of a store into sentences: UserError, or WriteError if it may pass."""
    try:
        yield
    except PermissionError as error:
        raise UserError(
            f"{target} cannot be {done} ({_reason(error)}): check the credentials in the "
            "environment, and what they allow there."
        ) from error
    except FileNotFoundError as error:
        remedy = "see whether it is still there"
        if done == "written":
            remedy = "make the bucket first, or type another targetpath"
        raise UserError(f"{target} cannot be {done} ({_reason(error)}): {remedy}.") from error
    except NotImplementedError as error:
        raise UserError(
            f"{target} cannot be {done} (fsspec does not do that there): type another targetpath."
        ) from error
    except Exception as error:
        if "Credentials" in type(error).__name__:
            raise UserError(
                f"{target} cannot be {done} ({_reason(error)}): put credentials into the "
                "environment (for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)."
            ) from error
        if not isinstance(error, OSError) and _origin(error) in ("builtins", "singleimg"):
            raise  # a mistake in the program; those of the network come from packages of theirs
        raise WriteError(
            f"{target} cannot be {done} ({_reason(error)}): see whether the store can be reached."
        ) from error


def _origin(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
