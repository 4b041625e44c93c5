"""Datasets behind URLs, ``s3://bucket/name`` and whatever else fsspec knows.

A store has no rename and no lock, and shows an object whole or not at all. So a shard is written on
this machine and uploaded, its record after it; nothing keeps two runs off one target. Credentials
come from where the store's library looks for them in the environment, and from nowhere else.
"""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from singleimg.errors import UserError
from singleimg.storage.base import TEMPORARY, Details, NotExclusive, Range, Store, whole_part
from singleimg.storage.faults import patiently, said
from singleimg.storage.shards import WHOLE, Slice
from singleimg.system.extras import install
from singleimg.system.tempdir import temporary_errors

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")

_REQUESTS = 8  # tries of one request, with growing pauses: about half a minute
_CHUNK = 8 << 20  # bytes
_STALE = timedelta(days=1)  # since an upload was begun, that somebody may still be at
_GAP = 64 << 10  # bytes that nobody wants, between two parts that are asked for at once
_AT_ONCE = 256  # files that are asked for, and held in memory, at once
_PACKAGES = {"s3": "s3"}  # protocols that have an extra of ours
_CREATE = ("s3", "gs", "gcs", "az", "abfs")  # protocols of stores that can create exclusively
_NAMES = {"s3a": "s3"}  # other names of the same
_CACHE = "it is a cache of another place"
# Protocols of fsspec where nothing stays once the run has ended, or that stand for another place.
_NO_PLACE = {
    "memory": "its files are lost when the run ends", "data": "it is a text, not a place",
    "pyscript": "its files are lost when the page is closed",
    "simplecache": _CACHE, "filecache": _CACHE, "blockcache": _CACHE, "cached": _CACHE,
    "local": "type its path instead", "dir": "it is a part of another place",
}  # fmt: skip
# What a listing says of an object that another one in its place has not, by protocol.
_VERSIONS = ("ETag", "etag", "md5Hash", "generation", "content_md5", "LastModified",
             "last_modified", "updated", "mtime", "created")  # fmt: skip


@dataclass(frozen=True)
class RemoteStore(Store):
    """What lies behind a URL; ``open_url`` makes one.

    protocol, path, options: as fsspec takes them, the options as a text of JSON. folder: that of a
    run, for what is on its way.
    """

    url: str
    protocol: str
    path: str
    options: str
    folder: Path | None = None

    renames = False
    durable = True  # what a store has taken it keeps

    def __str__(self) -> str:
        return self.url

    @property
    def file_system(self) -> AbstractFileSystem:
        """The one of fsspec; each process has its own, since none of them survives a fork."""
        return _file_system(os.getpid(), self.protocol, self.options)

    def _key(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path

    # --- what is there ---

    def names(self, folder: str = "") -> list[str]:
        return [path.rpartition("/")[2] for path in self._listing(folder, detail=False)]

    def details(self, folder: str = "") -> dict[str, Details]:
        return {
            path.rpartition("/")[2]: Details(
                about["type"] == "directory", _version(about), about.get("size")
            )
            for path, about in self._listing(folder, detail=True).items()
        }

    def _listing(self, folder: str, detail: bool) -> dict[str, dict[str, Any]]:
        """What lies in a folder, by its path; with what is told of it if that is wanted."""
        with said(self.path_of(folder)):
            try:
                found = self.file_system.ls(self._key(folder), detail=detail)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            listed = found if detail else [{"name": path} for path in found]
            paths = {one["name"].rstrip("/"): one for one in listed}
            paths.pop(self._key(folder).rstrip("/"), None)  # S3's console makes one of that name
            return paths

    @property
    def _in_one_request(self) -> dict[str, int]:
        """For whole small files: s3fs would ask for the size of each first, to get it in parts."""
        return {"max_concurrency": 1} if self.protocol == "s3" else {}

    def exists(self, name: str) -> bool:
        with said(self.path_of(name)):
            return self.file_system.exists(self._key(name))

    def is_folder(self, name: str) -> bool:
        with said(self.path_of(name)):
            return self.file_system.isdir(self._key(name))

    def read(self, name: str) -> bytes | None:
        with said(self.path_of(name)):
            try:
                return self.file_system.cat_file(self._key(name), **self._in_one_request)
            except FileNotFoundError:
                return None

    def read_all(self, names: Sequence[str], most: int | None = None) -> Iterator[bytes | None]:
        start = None if most is None else 0
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            keys = [self._key(name) for name in some]
            with said(self.path_of(some[0])):
                found = self.file_system.cat_ranges(
                    keys, start, most, on_error="return", **self._in_one_request
                )
            for name, data in zip(some, found, strict=True):
                if isinstance(data, BaseException) and not isinstance(data, FileNotFoundError):
                    data = self.read(name)  # says what is wrong; an empty file has no part
                yield data if isinstance(data, bytes) else None

    def chunks(self, name: str, part: tuple[int, int] | None = None) -> Iterator[bytes]:
        key = self._key(name)
        with said(str(self)):
            try:
                if part is not None:
                    offset, size = part
                    yield self.file_system.cat_file(key, start=offset, end=offset + size)
                    return
                with self.file_system.open(key, "rb", block_size=_CHUNK) as file:
                    yield from iter(lambda: file.read(_CHUNK), b"")
                return
            except FileNotFoundError:
                pass
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path_of(name))

    def open_ranges(self) -> Callable[[Sequence[Range]], list[bytes]]:
        return self._ranges

    def _ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        pieces = list(_pieces(ranges))
        keys = [self._key(piece.name) for piece, _ in pieces]
        starts = [piece.offset for piece, _ in pieces]
        ends = [piece.offset + piece.size for piece, _ in pieces]
        with said(str(self)):
            read = self.file_system.cat_ranges(keys, starts, ends, on_error="raise")
        found = [b""] * len(ranges)
        for data, (piece, places) in zip(read, pieces, strict=True):
            for place in places:
                name, offset, size = ranges[place]
                begin = offset - piece.offset
                part = data[begin : begin + size]
                found[place] = whole_part(part, name, size)
        return found

    # --- changes ---

    def write(self, name: str, text: str | Iterable[str]) -> None:
        data = (text if isinstance(text, str) else "".join(text)).encode()
        patiently(lambda: self.file_system.pipe_file(self._key(name), data), self.path_of(name))

    def create(self, name: str, text: str) -> None:
        probe = f"{TEMPORARY}{uuid4().hex}"
        try:
            for one in "12" if self.protocol in _CREATE else "":
                self._create(probe, one)
            if self.read(probe) != b"1":  # others do not know the word, or write over what is there
                raise NotExclusive(self.protocol)
        finally:
            self.remove(probe)
        self._create(name, text)

    def _create(self, name: str, text: str) -> None:
        def created() -> None:
            try:
                self.file_system.pipe_file(self._key(name), text.encode(), mode="create")
            except FileExistsError:
                return
            except OSError as error:
                if error.errno != errno.ENOSYS:
                    raise

        patiently(created, self.path_of(name))

    def put(self, staged: Path, name: str) -> None:
        files = sorted(staged.rglob("*")) if staged.is_dir() else [staged]
        for file in files:
            final = f"{name}/{file.relative_to(staged).as_posix()}" if file != staged else name
            if file.is_file():
                patiently(
                    partial(self.file_system.put_file, str(file), self._key(final)), str(self)
                )

    def move(self, name: str, to: str) -> None:
        def moved() -> None:
            for key in self._below(name):
                final = self._key(to) + key.removeprefix(self._key(name))
                self.file_system.cp_file(key, final)
                self.file_system.rm_file(key)

        patiently(moved, self.path_of(name))

    def remove(self, name: str, *, wait: bool = True) -> None:
        def gone() -> None:
            try:
                self.file_system.rm_file(self._key(name))
            except FileNotFoundError:
                return

        patiently(gone, self.path_of(name))

    def discard(self, name: str) -> None:
        def gone() -> None:
            for key in self._below(name):
                self.file_system.rm_file(key)

        patiently(gone, self.path_of(name))

    def _below(self, name: str) -> list[str]:
        """The files that lie at a name or below it.

        By their very names: what fsspec does to several at once takes ``[`` and ``*`` for patterns.
        """
        return self.file_system.find(self._key(name))

    def make_folder(self, name: str) -> None:
        """Folders are but parts of names: nothing is to be made."""

    def remove_empty(self, name: str) -> None:
        """No folder is empty: nothing is to be removed."""

    def clear_temporary(self, folders: Iterable[str] = ("",), of: Slice = WHOLE) -> None:
        """An object is whole or not there. But S3 keeps, and charges for, what a killed run had
        sent of a large one, and shows it in no listing: it goes after a day, since another run may
        be at work. Who may not end such uploads leaves them.
        """
        if self.protocol != "s3":
            return
        bucket, _, prefix = self.path.partition("/")
        call, more, truncated = self.file_system.call_s3, {}, True
        with suppress(UserError), said(str(self), "cleared"):
            while truncated:
                found = call("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/", **more)
                for one in found.get("Uploads", ()):
                    if datetime.now(UTC) - one["Initiated"] < _STALE:
                        continue
                    with suppress(FileNotFoundError):
                        ids = {"Key": one["Key"], "UploadId": one["UploadId"]}
                        call("abort_multipart_upload", Bucket=bucket, **ids)
                truncated = found.get("IsTruncated")
                more = {
                    "KeyMarker": found.get("NextKeyMarker"),
                    "UploadIdMarker": found.get("NextUploadIdMarker"),
                }

    # --- a shard on its way ---

    @property
    def staging(self) -> Path:
        return self.folder or Path(tempfile.gettempdir())

    def within(self, folder: Path) -> RemoteStore:
        return replace(self, folder=folder)

    @contextmanager
    def syncing(self, folder: Path) -> Iterator[Callable[[], None]]:
        yield lambda: None

    def writing(self, what: str) -> AbstractContextManager[None]:
        return temporary_errors()  # those of the store are sentences already


def check_keeps(url: str) -> None:
    """Raises UserError for a URL at which nothing would stay."""
    if why := _NO_PLACE.get(re.split("[:+]", url)[0].lower()):
        raise UserError(
            f"targetpath={url} cannot hold a dataset ({why}): type a folder, or a URL such as "
            "s3://bucket/name."
        )


def open_url(url: str) -> RemoteStore:
    """The store behind a URL; UserError when its protocol needs what is not installed."""
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
            f"targetpath={url} needs a package that cannot be imported here ({error}): type "
            f"{install(extra)}."
        ) from None
    except ValueError as error:
        raise UserError(
            f"targetpath={url} cannot be opened ({error}): type a folder, or a URL such as "
            "s3://bucket/name."
        ) from None
    options = json.dumps(dict(path.storage_options))
    return RemoteStore(str(path), path.protocol, path.path, options)


def _options(protocol: str) -> dict[str, Any]:
    if protocol != "s3" or "AWS_MAX_ATTEMPTS" in os.environ:
        return {}
    return {"config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": _REQUESTS}}}


# --- the store's library -------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _file_system(process: int, protocol: str, options: str) -> AbstractFileSystem:
    import fsspec

    fs = fsspec.filesystem(protocol, **json.loads(options))
    if fs.async_impl:
        # Of what a broken connection leaves behind; what a request met, the request says itself.
        fs.loop.set_exception_handler(lambda loop, context: None)
    return fs


def _pieces(ranges: Sequence[Range]) -> Iterator[tuple[Range, list[int]]]:
    """Parts of files that hold these ``ranges``, and the places of those that each holds: what lies
    side by side is asked for at once."""
    piece, places = Range("", 0, 0), []
    for place in sorted(range(len(ranges)), key=lambda place: ranges[place]):
        name, offset, size = ranges[place]
        length = max(piece.size, offset + size - piece.offset)
        gap = offset - piece.offset - piece.size
        if places and name == piece.name and gap <= _GAP and length <= _CHUNK:
            piece = piece._replace(size=length)
            places.append(place)
            continue
        if places:
            yield piece, places
        piece, places = ranges[place], [place]
    if places:
        yield piece, places


def _version(about: dict[str, Any]) -> str | None:
    marks = {key: str(about[key]) for key in _VERSIONS if about.get(key)}
    return json.dumps([about.get("size"), marks]) if marks else None
