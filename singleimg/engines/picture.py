"""A decoded source as engines read it, and the same pixels for every process of a run."""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image

from singleimg.engines.raster.call import Levels, Raster
from singleimg.engines.raster.pyramid import level_sizes, levels_of
from singleimg.errors import UserError
from singleimg.sources.base import Source, pixel_hash
from singleimg.system.tempdir import shared_folder

_LEVELS = 2  # times as large as a picture are all its levels together
_FORM = "levels 1"  # of what lies in a file that versions of this program share
_MAPPED = 100  # pictures, each an open file, of which a process may have 256


class Picture:
    """One source image: ``pixels``, ``uint8`` H×W×3, and its levels made when asked for.

    ``smaller``: the levels over 0, if somebody made them before.
    """

    def __init__(self, pixels: np.ndarray, smaller: Sequence[np.ndarray] | None = None) -> None:
        self.pixels = pixels
        self._lock = Lock()
        self._levels = None if smaller is None else Levels([pixels, *smaller])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.pixels.shape[:2]

    @cached_property
    def image(self) -> Image.Image:
        """The same as a Pillow image."""
        return Image.fromarray(self.pixels)

    def levels(self, raster: Raster) -> Levels:
        """The sizes that the raster reads, made once."""
        if self._levels is None:
            with self._lock:
                if self._levels is None:
                    self._levels = Levels(levels_of(self.pixels, raster))
        return self._levels

    def smaller(self) -> Sequence[np.ndarray]:
        """The levels over 0 that were made, if any were."""
        return () if self._levels is None else self._levels.pixels[1:]

    @property
    def nbytes(self) -> int:
        """Of the pixels, and of the levels that were made."""
        return self.pixels.nbytes + sum(level.nbytes for level in self.smaller())

    def write(self, file: Path) -> None:
        """Its size, its pixels, and those of the levels that were made, one after the other."""
        temporary = file.with_name(f".tmp-{file.name}")
        with open(temporary, "wb") as stream:
            stream.write(np.array(self.size))
            for pixels in (self.pixels, *self.smaller()):
                stream.write(np.ascontiguousarray(pixels))
        temporary.rename(file)  # who finds it finds it whole

    @classmethod
    def mapped(cls, file: Path) -> Picture:
        """What :meth:`write` wrote, in memory that all processes share."""
        # Copy-on-write: nobody writes, and torch would warn of an array that it could not.
        memory, levels = np.memmap(file, np.uint8, "c").view(np.ndarray), []
        size, memory = np.split(memory, [np.array((0, 0)).nbytes])
        for height, width in level_sizes(*size.view(int).tolist()):
            level, memory = np.split(memory, [height * width * 3])
            levels.append(level.reshape(height, width, 3))
            if not memory.size:
                break
        return cls(levels[0], levels[1:] or None)


class Pictures:
    """The pictures of a source; ``folder`` is where :meth:`share` put them, if it did.

    ``expected`` are their hashes (``source.hashes``), if known: a picture that was replaced after a
    dataset was begun must not come into it, so that :meth:`load` raises UserError. sizes: heights
    and widths of those that somebody looked at. kept: bytes that a process keeps at hand of what it
    has decoded, one picture at least. room: bytes that are shared, at most.
    """

    kept, room = 400_000_000, 4_000_000_000

    def __init__(
        self, source: Source, folder: Path | None = None, expected: Sequence[str] | None = None
    ) -> None:
        self.source, self.folder, self.expected = source, folder, expected
        self.sizes: dict[int, tuple[int, int]] = {}
        self._decoded, self._mapped = _Recent(self.kept), _Recent(_MAPPED)

    def __reduce__(self) -> tuple[type[Pictures], tuple, dict[str, Any]]:
        return Pictures, (self.source, self.folder, self.expected), {"sizes": self.sizes}

    def __len__(self) -> int:
        return len(self.source)

    def size_of(self, k: int) -> tuple[int, int]:
        """Height and width of picture ``k``."""
        if k not in self.sizes:  # many are asked for, of which few are kept
            self.load(k)
        return self.sizes[k]

    def load(self, k: int) -> Picture:
        """Picture ``k``, which is kept for a while."""
        picture = self._mapped.get(k) or self._decoded.get(k)
        if picture is None:
            picture = self._map(k)
            if picture is not None and picture.smaller():
                self._mapped.put(k, picture, 1)
            else:  # who reads no levels makes copies of its own
                picture = picture or self._decode(k)
                self._decoded.put(k, picture, _LEVELS * picture.pixels.nbytes)
            self.sizes[k] = picture.size
        return picture

    def keeps(self, nbytes: float) -> int:
        """How many decoded pictures of so many bytes, without levels, are at hand at a time."""
        return max(1, int(self.kept / (_LEVELS * nbytes)))

    def shares(self, nbytes: float, folder: Path) -> int:
        """How many such pictures have room in ``folder``: 4 GB, half of the free disk."""
        return int(self._room_in(folder) / (_LEVELS * nbytes))

    def _room_in(self, folder: Path) -> int:
        return min(self.room, shutil.disk_usage(folder).free // 2)

    def set_up_process(self, prepare: Callable[[Picture], None]) -> None:
        """Called once in each process that makes images; ``prepare`` makes the levels of one."""

    def sent(self, publish: Callable[[np.ndarray], Callable[[], np.ndarray]]) -> SentPictures:
        """The same for workers on other machines, to which ``publish`` sends pixels; of many only
        as many as have room (4 GB) are sent."""
        sent, room = {}, self.room
        for k in range(len(self) if self.expected is not None else 0):
            pixels = self.load(k).pixels
            room -= pixels.nbytes
            if room < 0:
                break
            sent[k] = publish(pixels)
        pictures = SentPictures(self.source, self.expected, sent)
        pictures.sizes = self.sizes
        return pictures

    def _map(self, k: int) -> Picture | None:
        file = None if self.folder is None else self.folder / f"{k}.raw"
        return Picture.mapped(file) if file is not None and file.exists() else None

    def _decode(self, k: int) -> Picture:
        pixels = self.source.decoded(k).pixels
        if self.expected is not None and pixel_hash(pixels) != self.expected[k]:
            # It may be of a dataset from before profiles were read.
            pixels = self.source.decoded(k, convert=False).pixels
            if pixel_hash(pixels) != self.expected[k]:
                raise UserError(
                    f"{self.source.where(k)} has changed since this dataset was started: restore "
                    "the old picture, or type another targetpath."
                )
        return Picture(pixels)

    def shared_in(self, folder: Path) -> Pictures:
        """The same pictures, where :meth:`share` put them."""
        shared = Pictures(self.source, folder, self.expected)
        shared.sizes = self.sizes
        return shared

    def share(
        self, folder: Path, prepare: Callable[[Picture], None] = lambda picture: None
    ) -> None:
        """Puts decoded pictures, and the levels that ``prepare`` makes of them, into ``folder``,
        which other processes then map into memory.

        What does not fit (4 GB, half of the free disk) every process decodes for itself.
        """
        room = self._room_in(folder)
        for k in range(len(self)):
            picture = self.load(k)
            prepare(picture)
            room -= picture.nbytes
            if room < 0:
                return
            picture.write(folder / f"{k}.raw")


class SentPictures(Pictures):
    """Pictures as a worker on another machine has them: of those that were sent, each machine gets
    each once and keeps it in a file for all its processes; others it decodes as anybody does.

    expected: their hashes, by which the files are named. sent: what gives the pixels of each.
    """

    def __init__(
        self,
        source: Source,
        expected: Sequence[str] | None,
        sent: dict[int, Callable[[], np.ndarray]],
    ) -> None:
        super().__init__(source, expected=expected)
        self._sent = sent
        self._prepare: Callable[[Picture], None] = lambda picture: None

    def __reduce__(self) -> tuple[type[Pictures], tuple, dict[str, Any]]:
        return SentPictures, (self.source, self.expected, self._sent), {"sizes": self.sizes}

    def set_up_process(self, prepare: Callable[[Picture], None]) -> None:
        self._prepare = prepare

    def _map(self, k: int) -> Picture | None:
        if k not in self._sent:
            return None
        if self.folder is None:
            about = " ".join([_FORM, *self.expected])
            self.folder = shared_folder(sha256(about.encode()).hexdigest()[:32])
        file = self.folder / f"{k}.raw"
        with FileLock(file.with_suffix(".lock")):
            if not file.exists():
                picture = Picture(self._sent[k]())
                self._prepare(picture)
                picture.write(file)
        return Picture.mapped(file)


class Few:
    """Some of a source's pictures as if they were all; kept and decoded by the whole."""

    def __init__(self, pictures: Pictures, numbers: Sequence[int]) -> None:
        self._pictures, self._numbers = pictures, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def size_of(self, k: int) -> tuple[int, int]:
        """Height and width of the k-th of them."""
        return self._pictures.size_of(self._numbers[k])

    def load(self, k: int) -> Picture:
        """The k-th of them."""
        return self._pictures.load(self._numbers[k])


class _Recent:
    """The pictures that were asked for last; they weigh ``most`` together, or are one.

    Has no lock, which Ctrl-C could leave closed: threads that meet decode a picture twice at worst.
    """

    def __init__(self, most: float) -> None:
        self._most, self._total = most, 0.0
        self._items: OrderedDict[int, tuple[Picture, float]] = OrderedDict()

    def get(self, k: int) -> Picture | None:
        try:
            self._items.move_to_end(k)
            return self._items[k][0]
        except KeyError:
            return None

    def put(self, k: int, picture: Picture, weight: float) -> None:
        _, before = self._items.pop(k, (picture, 0.0))
        self._items[k] = picture, weight
        self._total += weight - before
        while self._total > self._most and len(self._items) > 1:
            _, (_, oldest) = self._items.popitem(last=False)
            self._total -= oldest
