"""The random numbers of images: a pure function of (seed, index, lane).

Word ``8 * block + j`` is the ``j``-th little-endian 64-bit word of

    BLAKE2b-512(seed, index, lane, block as little-endian int64; person = b"singleimg.draw.1")

so that images, lanes and seeds are unrelated however close their numbers are, nothing has to be
kept between images, and the numbers are the same on every processor and in every language that
has BLAKE2b (RFC 7693). Lane 0 draws the source, lane ``2k + 1`` the parameters of transform ``k``,
lane ``2k + 2`` whatever transform ``k`` still draws while it renders: a change to one transform
leaves the draws of the others alone.

:class:`Streams` are those of many images side by side, :class:`Stream` is that of one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

_EMPTY = blake2b(digest_size=64, person=b"singleimg.draw.1")  # copied: quicker than a new one
_WORDS = struct.Struct("<8Q")
_KEY = struct.Struct("<4q")
_LOW = np.uint64(2**32 - 1)
_HALF, _UNUSED = np.uint64(32), np.uint64(11)  # bits: of half a word; of a word that no float holds


class Stream:
    """A sequence of random 64-bit words for one (seed, index, lane), each 0 … 2**63 - 1.

    ``taken``: how many of its words were taken already.
    """

    __slots__ = ("_key", "_words", "taken")

    def __init__(self, seed: int, index: int, lane: int = 0, taken: int = 0) -> None:
        self._key = (seed, index, lane)
        self._words: tuple[int, ...] = ()
        self.taken = taken

    def word(self) -> int:
        """The next word, 0 … 2**64 - 1."""
        block, place = divmod(self.taken, 8)
        if place == 0 or not self._words:
            state = _EMPTY.copy()
            state.update(_KEY.pack(*self._key, block))
            self._words = _WORDS.unpack(state.digest())
        self.taken += 1
        return self._words[place]

    def uniform(self) -> float:
        """A float in [0, 1) with 53 random bits."""
        return (self.word() >> 11) * 2.0**-53

    def below(self, n: int) -> int:
        """An integer in 0 … n - 1 (n ≤ 2**53; its bias, n / 2**64, cannot be measured)."""
        return (self.word() * n) >> 64

    def permutation(self, n: int) -> list[int]:
        """A random order of 0 … n - 1 (Fisher-Yates)."""
        order = list(range(n))
        for last in range(n - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def alone(self) -> Streams:
        """The same as streams of one image, from their beginning."""
        seed, index, lane = self._key
        return Streams(seed, np.array([index]), lane)


@dataclass
class _Progress:
    """How far the streams of many images are.

    taken: how many words of each, one number as long as that is the same for all. words: the block
    in which each of them is, uint64 n×8.
    """

    seed: int
    indices: np.ndarray
    lane: int
    words: np.ndarray
    taken: int | np.ndarray = 0
    floats: np.ndarray | None = None  # of all words, once one is asked for as long as all are even

    def blocks(self, rows: np.ndarray | slice, block: int | np.ndarray) -> np.ndarray:
        """The blocks of these images: uint64, rows × 8."""
        indices = self.indices[rows]
        keys = np.empty((len(indices), 4), "<i8")
        keys[:, 0], keys[:, 1], keys[:, 2], keys[:, 3] = self.seed, indices, self.lane, block
        new, digests = _EMPTY.copy, []
        for key in keys.view("V32").ravel().tolist():
            state = new()
            state.update(key)
            digests.append(state.digest())
        return np.frombuffer(b"".join(digests), "<u8").reshape(-1, 8)


def _uniforms(words: np.ndarray) -> np.ndarray:
    return (words >> _UNUSED) * 2.0**-53


class Streams:
    """The streams of many images, of each one number at a time: arrays of as many as images.

    indices: int64, n. Each image is at a place of its own in its stream: some may draw more than
    others, see :meth:`of`.
    """

    def __init__(self, seed: int, indices: np.ndarray, lane: int = 0) -> None:
        self._rows: np.ndarray | None = None  # which of the images; None: all of them
        self._progress = _Progress(seed, indices, lane, np.empty((0, 8), np.uint64))

    def __len__(self) -> int:
        return len(self._progress.indices if self._rows is None else self._rows)

    def of(self, rows: np.ndarray) -> Streams:
        """The same streams of some of these images, by their places among them (int64)."""
        if len(rows) == len(self):
            return self
        some = copy(self)
        some._rows = rows if self._rows is None else self._rows[rows]
        return some

    def words(self) -> np.ndarray:
        """The next word of each: uint64, 0 … 2**64 - 1; not to be written to."""
        now, place = self._progress, self._next_together()
        if place is not None:
            return now.words[:, place]
        rows = self._apart()
        taken = now.taken[rows]
        place = taken & 7
        fresh = rows[place == 0]
        if len(fresh):
            now.words[fresh] = now.blocks(fresh, now.taken[fresh] >> 3)
        now.taken[rows] = taken + 1
        return now.words.ravel()[rows * 8 + place]

    def uniform(self) -> np.ndarray:
        """Floats in [0, 1) with 53 random bits; not to be written to."""
        now, place = self._progress, self._next_together()
        if place is None:
            return _uniforms(self.words())
        if now.floats is None:
            now.floats = _uniforms(now.words)
        return now.floats[:, place]

    def _next_together(self) -> int | None:
        """Where in its block the next word of every image is; None where that differs."""
        now = self._progress
        if self._rows is not None or not isinstance(now.taken, int):
            return None
        block, place = divmod(now.taken, 8)
        if place == 0:
            now.words, now.floats = now.blocks(slice(None), block), None
        now.taken += 1
        return place

    def below(self, n: int | np.ndarray) -> np.ndarray:
        """Integers in 0 … n - 1, int64 (n < 2**32, one for all or one for each)."""
        word, n = self.words(), np.uint64(n)
        # The upper half of a product of 128 bits, from two of 64; the sum does not overflow.
        return (((word >> _HALF) * n + ((word & _LOW) * n >> _HALF)) >> _HALF).astype(np.int64)

    def permutation(self, n: int) -> np.ndarray:
        """Random orders of 0 … n - 1: int64, a row for each image (Fisher-Yates)."""
        order, row = np.tile(np.arange(n), (len(self), 1)), np.arange(len(self))
        for last in range(n - 1, 0, -1):
            other = self.below(last + 1)
            moved = order[:, last].copy()
            order[:, last] = order[row, other]
            order[row, other] = moved
        return order

    @contextmanager
    def one(self, k: int) -> Iterator[Stream]:
        """The stream of the ``k``-th of these images; it goes on here where that was left."""
        now, row = self._progress, self._apart()[k]
        stream = Stream(now.seed, int(now.indices[row]), now.lane, int(now.taken[row]))
        yield stream
        now.taken[row] = stream.taken
        if stream.taken % 8:
            now.words[row] = now.blocks(slice(row, row + 1), stream.taken >> 3)

    def _apart(self) -> np.ndarray:
        """The rows of these images, of which each now has a place of its own."""
        now, count = self._progress, len(self._progress.indices)
        if isinstance(now.taken, int):
            words = now.words if now.taken else np.empty((count, 8), np.uint64)
            now.words, now.taken = words.copy(), np.full(count, now.taken)
        return np.arange(count) if self._rows is None else self._rows
