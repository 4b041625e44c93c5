"""A dataset cut into shards, and shards into chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shard:
    """The images ``start`` … ``stop - 1``: the unit of commit and of resume.

    A chunk, the unit of work, is one as well: a run of the images of the shard of its number.
    """

    number: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Six digits, as in the names of files and folders."""
        return f"{self.number:06d}"

    def __len__(self) -> int:
        return self.stop - self.start

    def chunks(self, size: int) -> Iterator[Shard]:
        """Its chunks of so many images; the last may be shorter."""
        for start in range(self.start, self.stop, size):
            yield Shard(self.number, start, min(start + size, self.stop))


class Shards(Sequence):
    """0 … num_imgs - 1 cut into shards of ``shard_size`` (the last may be shorter), made when asked
    for: any number of them takes no memory."""

    def __init__(self, num_imgs: int, shard_size: int) -> None:
        self.num_imgs, self.shard_size = num_imgs, shard_size

    def __len__(self) -> int:
        return -(-self.num_imgs // self.shard_size)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(number)
        start = number * self.shard_size
        return Shard(number, start, min(start + self.shard_size, self.num_imgs))
