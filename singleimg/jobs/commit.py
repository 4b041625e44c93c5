"""How a shard is written and committed, wherever its images come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from singleimg.dataset.target import params_place
from singleimg.errors import UserError, misfit
from singleimg.jobs.parts import Image
from singleimg.jobs.work import Work
from singleimg.outputs.base import Writer
from singleimg.storage.local import HashedFile
from singleimg.storage.manifest import Entry, Record
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging


def write_shard(
    work: Work, shard: Shard, images: Iterable[Image], check: Callable[[], None]
) -> None:
    """Writes the images of a shard, and commits it; ``check`` may raise what stops that."""
    output, size = work.output, 0
    with Staging(work.store, shard) as staging:
        writer = open_writer(work, staging, shard)
        beside = Beside(work, staging, shard)
        for index, (data, drawn) in enumerate(images, shard.start):
            writer.write(index, data, drawn)
            beside.write(drawn)
            size += len(data)
            check()
        entries = listed(writer, shard)
        place = output.place(shard)
        if place is not None and not staging.has(place):
            raise UserError(
                f"{type(writer).__name__} wrote no {place}, where {type(output).__name__}.place "
                "says that the shard lies: docs/extending.md shows one that does."
            )
        check()
        commit(work, staging, shard, [*entries, *beside.close()], size)


def open_writer(work: Work, staging: Staging, shard: Shard) -> Writer:
    """The output's writer of a shard, or of a chunk of it."""
    writer = work.output.open(staging, shard, work.producer.columns)
    if not (hasattr(writer, "write") and hasattr(writer, "close")):
        owed = "a writer with write and close"
        raise misfit(f"{type(work.output).__name__}.open", writer, owed)
    return writer


def listed(writer: Writer, shard: Shard) -> list[Entry]:
    """What a writer's ``close`` gives; UserError unless it lists every image of the shard once."""
    entries = writer.close()
    name, owed = f"{type(writer).__name__}.close", "a list of Entry, one for each image,"
    if not isinstance(entries, list) or not all(isinstance(one, Entry) for one in entries):
        raise misfit(name, entries, owed)
    indices = [one.index for one in entries if one.index is not None]
    if sorted(indices) != list(range(shard.start, shard.stop)):
        raise UserError(
            f"{name} lists {len(set(indices))} of the {len(shard)} images of shard {shard.name}, "
            f"and {owed} is needed: docs/extending.md shows one."
        )
    return entries


class Beside:
    """The file of what was drawn for a shard, a line an image, if that lies beside the images."""

    def __init__(self, work: Work, staging: Staging, shard: Shard) -> None:
        self._place, self._file = params_place(shard), None
        if work.save_params and not work.output.draws_inside:
            self._file = HashedFile(staging.path(self._place))

    def write(self, drawn: str | None) -> None:
        if self._file is not None and drawn is not None:
            self._file.write(f"{drawn}\n".encode())

    def close(self) -> list[Entry]:
        """Its entry, if there is one."""
        return [] if self._file is None else [Entry(None, self._place, *self._file.close())]


def commit(work: Work, staging: Staging, shard: Shard, entries: list[Entry], size: int) -> None:
    """Commits a shard of ``size`` bytes of images with its record."""
    # What the recipe says of all, but for images that were made before.
    own = work.producer.made_with(shard)
    made_with = {name: own.get(name, version) for name, version in work.made_with.items()}
    record = Record(shard.number, shard.start, shard.stop, size, work.fingerprint, made_with)
    staging.commit(record, entries)
