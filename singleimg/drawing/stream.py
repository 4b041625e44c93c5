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


class Streams:
    """The streams of many images, of each one number at a time: arrays of as many as images.

    indices: int64, n. Each image is at a place of its own in its stream: some may draw more than
    others, see :meth:`of`.
    """

    def __init__(self, seed: int, indices: np.ndarray, lane: int = 0) -> None:
        self._seed, self._indices, self._lane = seed, indices, lane
        self._taken = np.zeros(len(indices), np.int64)
        self._words = np.empty((len(indices), 8), np.uint64)  # the block in which each image is
        self._rows = np.arange(len(indices))

    def __len__(self) -> int:
        return len(self._rows)

    def of(self, rows: np.ndarray) -> Streams:
        """The same streams of some of these images, by their places among them (int64)."""
        if len(rows) == len(self._rows):
            return self
        some = object.__new__(Streams)
        some.__dict__ = {**self.__dict__, "_rows": self._rows[rows]}
        return some

    @contextmanager
    def one(self, k: int) -> Iterator[Stream]:
        """The stream of the ``k``-th of these images; it goes on here where that was left."""
        row = self._rows[k : k + 1]
        taken = int(self._taken[row[0]])
        stream = Stream(self._seed, int(self._indices[row[0]]), self._lane, taken)
        yield stream
        self._taken[row] = stream.taken
        if stream.taken % 8:
            self._words[row] = self._blocks(row)

    def words(self) -> np.ndarray:
        """The next word of each: uint64, 0 … 2**64 - 1."""
        taken = self._taken[self._rows]
        place = taken & 7
        fresh = self._rows[place == 0]
        if len(fresh):
            self._words[fresh] = self._blocks(fresh)
        self._taken[self._rows] = taken + 1
        return self._words.ravel()[self._rows * 8 + place]

    def uniform(self) -> np.ndarray:
        """Floats in [0, 1) with 53 random bits."""
        return (self.words() >> _UNUSED) * 2.0**-53

    def below(self, n: int | np.ndarray) -> np.ndarray:
        """Integers in 0 … n - 1, int64 (n ≤ 2**53, one for all or one for each)."""
        word, n = self.words(), np.asarray(n).astype(np.uint64)
        high, low, n_high, n_low = word >> _HALF, word & _LOW, n >> _HALF, n & _LOW
        # The upper half of a product of 128 bits, from four of 64; none of the sums overflows.
        middle = high * n_low + (low * n_low >> _HALF)
        other = low * n_high + (middle & _LOW)
        return (high * n_high + (middle >> _HALF) + (other >> _HALF)).astype(np.int64)

    def permutation(self, n: int) -> np.ndarray:
        """Random orders of 0 … n - 1: int64, a row for each image (Fisher-Yates)."""
        order, row = np.tile(np.arange(n), (len(self), 1)), np.arange(len(self))
        for last in range(n - 1, 0, -1):
            other = self.below(last + 1)
            moved = order[:, last].copy()
            order[:, last] = order[row, other]
            order[row, other] = moved
        return order

    def _blocks(self, rows: np.ndarray) -> np.ndarray:
        """The blocks in which these rows are: uint64, rows × 8."""
        keys = np.empty((len(rows), 4), "<i8")
        keys[:, 0], keys[:, 1], keys[:, 2] = self._seed, self._indices[rows], self._lane
        keys[:, 3] = self._taken[rows] >> 3
        copy, digests = _EMPTY.copy, []
        for key in keys.view("V32").ravel().tolist():
            state = copy()
            state.update(key)
            digests.append(state.digest())
        return np.frombuffer(b"".join(digests), "<u8").reshape(-1, 8)
