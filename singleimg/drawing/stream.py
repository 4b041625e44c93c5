"""The random numbers of one image: a pure function of (seed, index, lane).

Word ``8 * block + j`` is the ``j``-th little-endian 64-bit word of

    BLAKE2b-512(seed, index, lane, block as little-endian int64; person = b"singleimg.draw.1")

so that images, lanes and seeds are unrelated however close their numbers are, nothing has to be
kept between images, and the numbers are the same on every processor and in every language that
has BLAKE2b (RFC 7693). Lane 0 draws the source, lane ``2k + 1`` the parameters of transform ``k``,
lane ``2k + 2`` whatever transform ``k`` still draws while it renders: a change to one transform
leaves the draws of the others alone.
"""

from __future__ import annotations

import struct
from hashlib import blake2b

_PERSON = b"singleimg.draw.1"
_WORDS = struct.Struct("<8Q")
_KEY = struct.Struct("<4q")


class Stream:
    """A sequence of random 64-bit words for one (seed, index, lane), each 0 … 2**63 - 1."""

    __slots__ = ("_block", "_key", "_words")

    def __init__(self, seed: int, index: int, lane: int = 0) -> None:
        self._key = (seed, index, lane)
        self._block = 0
        self._words: list[int] = []

    def word(self) -> int:
        """The next word, 0 … 2**64 - 1."""
        if not self._words:
            data = _KEY.pack(*self._key, self._block)
            digest = blake2b(data, digest_size=64, person=_PERSON).digest()
            self._words = list(reversed(_WORDS.unpack(digest)))
            self._block += 1
        return self._words.pop()

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
