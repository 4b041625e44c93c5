"""A dataset cut into slices, shards and chunks."""

from __future__ import annotations

import re
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


@dataclass(frozen=True, slots=True)
class Slice:
    """One of ``count`` slices of a dataset: the shards whose number leaves ``number`` when it is
    divided by that. ``3/8`` is the fourth of eight; ``WHOLE`` the only one of one."""

    number: int
    count: int

    @classmethod
    def of(cls, text: str) -> Slice:
        """What ``k/n`` names; ValueError where it names none."""
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
        if not found or int(found[1]) >= int(found[2]):
            raise ValueError(text)
        return cls(int(found[1]), int(found[2]))

    def __contains__(self, shard: int) -> bool:
        return shard % self.count == self.number

    def owns(self, name: str) -> bool:
        """Whether a name begins with the number of a shard of this slice, as those do that only
        whoever makes the shard may remove; of the whole every name."""
        found = re.match(r"(?:\.tmp-)?(\d{6,})(?!\d)", name.rpartition("/")[2])
        return self == WHOLE or (found is not None and int(found[1]) in self)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


WHOLE = Slice(0, 1)
