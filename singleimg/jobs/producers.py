"""Where the bytes of images come from: rendered by the recipe, or stored already in a dataset."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from singleimg.config.command_line import command, typed
from singleimg.dataset.target import Target
from singleimg.drawing.columns import Columns
from singleimg.drawing.draws import Sample
from singleimg.encoders.base import Encoder
from singleimg.engines.picture import Few, Pictures
from singleimg.errors import UserError
from singleimg.images import SingleImage
from singleimg.storage.base import DamagedFile, Store
from singleimg.storage.manifest import DamagedRecord, Manifest, Record
from singleimg.storage.reader import Reader
from singleimg.storage.shards import Shard, Shards

# What a reader raises of bytes that are not those that were committed, or not there.
_DAMAGES = (DamagedFile, FileNotFoundError, IsADirectoryError, NotADirectoryError)
_AT_ONCE = 250  # images that are drawn, or read, at once: of more none would be cheaper by much
_READ = 16e6  # bytes that are read at once, or one image
Publish = Callable[[np.ndarray], Callable[[], np.ndarray]]  # as ``Cluster.publish``
Made = tuple[bytes, Sample | None]  # an image file, and what was drawn for it if that is kept


class Producer(ABC):
    """Where the bytes of images come from: rendered, or stored already. Built once, pickled.

    columns: what is drawn for each image, as columns; None when draws are not kept. pictures: those
    that images are made of; None: nothing is decoded.
    """

    columns: Columns | None = None
    pictures: Pictures | None = None

    @abstractmethod
    def images(self, shard: Shard) -> Iterator[Made]:
        """The images of a shard, in the order of their indices."""

    def set_up_process(self) -> None:  # noqa: B027, not everyone has something to set up
        """Called once in each process, before the first image."""

    def load(self, picture: int) -> int:
        """Has a picture decoded and prepared, which is then kept for a while; its pixels' bytes."""
        return 0

    def few(self, numbers: Sequence[int]) -> Producer:
        """Who makes images of some of the pictures alone, in the same time each."""
        return self

    def made_with(self, shard: Shard) -> dict[str, str]:
        """Versions of libraries that made images before; others are those of the run."""
        return {}

    def global_draws(self) -> list[str]:
        """Names of transforms seen to draw from generators that threads share."""
        return []

    def slow(self) -> dict[str, str]:
        """Transforms that the engine has no kernel for, and who renders them."""
        return {}

    def kernel(self) -> str:
        """Which of several instruction sets the engine uses; empty: there is no choice."""
        return ""

    def share(self, folder: Path) -> Producer:
        """Puts what workers would each have to make into ``folder``; a producer that uses it."""
        return self

    def sent(self, publish: Publish) -> Producer:
        """A producer for workers on other machines, which may not have the pictures."""
        return self


def _batches(shard: Shard, size: int = _AT_ONCE) -> Iterator[range]:
    """The indices of a shard, so many at once."""
    for start in range(shard.start, shard.stop, size):
        yield range(start, min(start + size, shard.stop))


class Rendered(Producer):
    """Images as the recipe makes them, which is ``single``; ``draws``: whether what was drawn is
    kept."""

    def __init__(self, single: SingleImage, encoder: Encoder, draws: bool) -> None:
        self.single, self._encoder, self._draws = single, encoder, draws
        self.columns = single.columns() if draws else None

    @property
    def pictures(self) -> Pictures:
        return self.single.pictures

    def load(self, picture: int) -> int:
        loaded = self.pictures.load(picture)
        self.single.renderer.prepare(loaded)
        return loaded.pixels.nbytes

    def few(self, numbers: Sequence[int]) -> Rendered:
        return self._of(Few(self.pictures, numbers))

    def images(self, shard: Shard) -> Iterator[Made]:
        for indices in _batches(shard):
            draws = self.single.draw_many(indices)
            samples = draws.samples if self._draws else repeat(None)
            for pixels, sample in zip(self.single.render_drawn(draws), samples, strict=False):
                yield self._encoder.file(pixels), sample

    def set_up_process(self) -> None:
        self.single.set_up_process()
        self.pictures.set_up_process(self.single.renderer.prepare)

    def global_draws(self) -> list[str]:
        return self.single.pipeline.global_draws()

    def slow(self) -> dict[str, str]:
        return self.single.renderer.slow

    def kernel(self) -> str:
        return self.single.renderer.kernel

    def share(self, folder: Path) -> Rendered:
        self.pictures.share(folder, self.single.renderer.prepare)
        return self._of(self.pictures.shared_in(folder))

    def sent(self, publish: Publish) -> Rendered:
        return self._of(self.pictures.sent(publish))

    def _of(self, pictures: Pictures | Few) -> Rendered:
        """The same with other pictures."""
        other = copy.copy(self)
        other.single = self.single.of(pictures)
        return other

    def grid(self, count: int) -> list:
        """The pixels of the first ``count`` images, each ``uint8`` H×W×3."""
        return [self.single.render(index) for index in range(count)]


class Replayed(Producer):
    """Images that another producer has ``made`` already: image i is the i-th of them."""

    def __init__(self, producer: Producer, made: Sequence[Made]) -> None:
        self._made, self.columns = made, producer.columns

    def images(self, shard: Shard) -> Iterator[Made]:
        return iter(self._made[shard.start : shard.stop])


class Stored(Producer):
    """Images as they lie in a dataset: checked against their records, nothing is rendered.

    reader: of the ``target``, which has these ``shards``. images: who draws again what the
    new format holds beside them; None: nothing.
    """

    def __init__(
        self, target: Target, reader: Reader, shards: Shards, images: SingleImage | None
    ) -> None:
        self._target, self._reader, self._shards, self._images = target, reader, shards, images
        if images is not None:
            self.columns = images.columns()

    def images(self, shard: Shard) -> Iterator[Made]:
        draws = self._images
        for indices in _batches(shard, self._at_once(shard)):
            drawn = repeat(None) if draws is None else draws.draw_many(indices).samples
            yield from zip(self._files(indices), drawn, strict=False)

    def _at_once(self, shard: Shard) -> int:
        """How many images of a shard are read at once, by the mean size of those that were made."""
        first = self._shards[shard.start // self._shards.shard_size]
        try:
            record = _record(self._target.store, first).record
        except DamagedRecord:
            return 1
        return max(1, min(_AT_ONCE, int(_READ * len(first) / max(record.bytes, 1))))

    def _files(self, indices: Sequence[int]) -> list[bytes]:
        """The files of images, those that lie side by side read at once."""
        try:
            files = self._reader.read_all(indices)
            if all(map(self._is_whole, indices, files)):
                return files
        except (DamagedRecord, OSError):
            pass
        return [self._file(index) for index in indices]  # says which

    def _is_whole(self, index: int, data: bytes) -> bool:
        shard = self._shards[index // self._shards.shard_size]
        return sha256(data).hexdigest() == _record(self._target.store, shard).digests.get(index)

    def _file(self, index: int) -> bytes:
        try:
            data = self._reader.read(index)
            whole = self._is_whole(index, data)
        except (DamagedRecord, *_DAMAGES):
            whole = False
        except OSError as error:  # of the files that are read, not of those written
            raise UserError(
                f"image {index} of targetpath={self._target.store} cannot be read "
                f"({error.strerror or error}): fix that, and type the same command again."
            ) from error
        if not whole:
            raise UserError(
                f"image {index} of targetpath={self._target.store} is not as it was committed: "
                f"type {command('task=verify', typed('targetpath', self._target.store))} to see "
                "what is wrong."
            )
        return data

    def made_with(self, shard: Shard) -> dict[str, str]:
        """Versions that made the images of a shard, by the records of those that they come from."""
        size = self._shards.shard_size
        found: dict[str, list[str]] = {}
        for number in range(shard.start // size, (shard.stop - 1) // size + 1):
            record = _record(self._target.store, self._shards[number]).record
            for name, version in record.made_with.items():
                found.setdefault(name, []).append(version)
        return {name: ", ".join(dict.fromkeys(each)) for name, each in found.items()}


class _Recorded(NamedTuple):
    """The record of a shard, and the SHA-256 of each image."""

    record: Record
    digests: dict[int, str]


@lru_cache(maxsize=64)
def _record(store: Store, shard: Shard) -> _Recorded:
    record, entries = Manifest(store).load(shard)
    return _Recorded(record, {e.index: e.sha256 for e in entries if e.index is not None})
