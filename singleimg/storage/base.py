"""What every store owes: reading, writing and listing below one root, by relative names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar, NamedTuple

from singleimg.errors import unwritable
from singleimg.storage.shards import WHOLE, Slice

TEMPORARY = ".tmp-"  # how every name begins that a stopped run may leave


class Details(NamedTuple):
    """What a listing tells of a name.

    version: another text when the file was written anew. size: bytes of a file. None where that
    cannot be told.
    """

    is_folder: bool
    version: str | None
    size: int | None = None


class Range(NamedTuple):
    """A part of a file: where it begins, and how long it is, in bytes."""

    name: str
    offset: int
    size: int


class NotExclusive(Exception):
    """A store in which a file that is created takes the place of one that is there."""


class DamagedFile(OSError):
    """A file that can be read, and is not what was written."""


class Store(ABC):
    """Where a dataset lies: a folder of this machine, or what is behind a URL.

    It is bound to its root, and ``str(store)`` is that root as people type it. Names are relative
    to the root, with ``/`` between their parts; ``""`` is the root itself, which is not made here.
    A store is small to pickle, equal to another one of the same root, and may be used after a fork.

    Errors of a folder are those of the system (OSError, see ``errors`` and ``writing``); those of
    what is behind a URL are sentences already: WriteError for what may pass, else UserError.

    local_path: the root, if it is a folder of this machine. Only there are a lock, a log that
    grows, memory maps, and free space that can be told.
    renames: whether ``move`` is one step, and moves a whole folder in it.
    durable: whether what is written stays after a power cut; False leaves the moment to the
    operating system.
    """

    renames: ClassVar[bool]
    durable: bool

    @property
    def local_path(self) -> Path | None:
        return None

    def path_of(self, name: str) -> str:
        """The whole path or URL of a name, for people and for libraries that open it."""
        return f"{self}/{name}" if name else str(self)

    # --- what is there ---

    @abstractmethod
    def names(self, folder: str = "") -> list[str]:
        """Names in a folder, in no order; none where there is no folder."""

    @abstractmethod
    def details(self, folder: str = "") -> dict[str, Details]:
        """The same names with what a listing tells of each: one request, no file is opened."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether a file or folder is there."""

    @abstractmethod
    def is_folder(self, name: str) -> bool:
        """Whether a folder is there."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """The bytes of a file; None where there is none."""

    @abstractmethod
    def read_all(self, names: Sequence[str], most: int | None = None) -> Iterator[bytes | None]:
        """The bytes of each file, or the first ``most`` of them, in order; None where there is no
        such file. Many are asked for at once.

        A file that cannot be read for another reason is an error, not None.
        """

    @abstractmethod
    def chunks(self, name: str, part: tuple[int, int] | None = None) -> Iterator[bytes]:
        """The bytes of a file in pieces; of a ``part`` (offset, size) only, fewer at its end.

        Raises FileNotFoundError where there is no file.
        """

    @abstractmethod
    def open_ranges(self) -> Callable[[Sequence[Range]], list[bytes]]:
        """A function that reads parts of files, and keeps some files open for as long as it lives.

        It raises DamagedFile where a file is shorter, and FileNotFoundError (or a sentence) where
        there is none. Not to be pickled.
        """

    # --- changes ---

    @abstractmethod
    def write(self, name: str, text: str | Iterable[str]) -> None:
        """Writes a text file, UTF-8: a reader sees the old one or the new one, never a part."""

    @abstractmethod
    def create(self, name: str, text: str) -> None:
        """Writes a text file unless one is there: of several that try at once one does.

        Raises NotExclusive where the last one would.
        """

    @abstractmethod
    def put(self, staged: Path, name: str) -> None:
        """Has a local file or folder, written below ``staging``, appear at a name.

        A folder of this machine shows it whole or not at all; of several files of a folder behind a
        URL each one is.
        """

    @abstractmethod
    def move(self, name: str, to: str) -> None:
        """Moves a file or folder to a name that is free."""

    @abstractmethod
    def remove(self, name: str, *, wait: bool = True) -> None:
        """Removes a file that may be missing; ``wait``: until that is durable."""

    @abstractmethod
    def discard(self, name: str) -> None:
        """Removes a file or a folder with all that is in it, at once for those who look."""

    @abstractmethod
    def make_folder(self, name: str) -> None:
        """Makes a folder, and those above it, below a root that exists; it may be there already."""

    @abstractmethod
    def remove_empty(self, name: str) -> None:
        """Removes a folder if nothing is in it."""

    @abstractmethod
    def clear_temporary(self, folders: Iterable[str] = ("",), of: Slice = WHOLE) -> None:
        """Removes what stopped runs left half-written in these folders; of a slice what it owns."""

    # --- a shard on its way ---

    @property
    @abstractmethod
    def staging(self) -> Path:
        """The folder of this machine in which shards are written before they are ``put``."""

    @abstractmethod
    def within(self, folder: Path) -> Store:
        """The same store, in a run that has ``folder`` for what it does not keep."""

    @abstractmethod
    def syncing(self, folder: Path) -> AbstractContextManager[Callable[[], None]]:
        """Gives a function that makes durable what was written below a staged folder since now."""

    # --- errors ---

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns errors of the system into a sentence about the root."""
        try:
            yield
        except OSError as error:
            raise unwritable(str(self), error) from error

    @abstractmethod
    def writing(self, what: str) -> AbstractContextManager[None]:
        """Turns errors of the system while ``what`` is written into sentences."""


def whole_part(data: bytes, path: str, size: int) -> bytes:
    """``data``, if they are as long as their record says; DamagedFile otherwise."""
    if len(data) != size:
        raise DamagedFile(f"{path} is shorter than its record says")
    return data
