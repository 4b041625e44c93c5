"""The random numbers of one image: fixed for ever, even, and unrelated to their neighbours'."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from singleimg.drawing.stream import Stream, Streams

NUMBERS = st.integers(0, 2**63 - 1)


def words(seed: int, index: int, lane: int, count: int) -> list[int]:
    stream = Stream(seed, index, lane)
    return [stream.word() for _ in range(count)]


def test_the_first_words_are_what_they_always_were():
    """Anyone's BLAKE2b gives these; a change here changes every dataset ever made."""
    data = b"".join(n.to_bytes(8, "little") for n in (0, 7, 1, 0))
    digest = blake2b(data, digest_size=64, person=b"singleimg.draw.1").digest()
    expected = [int.from_bytes(digest[at : at + 8], "little") for at in range(0, 64, 8)]
    assert words(0, 7, 1, 8) == expected
    assert words(0, 0, 0, 2) == [1774156771146985805, 13071046989549866786]


@given(NUMBERS, NUMBERS, st.integers(0, 100))
def test_the_same_key_gives_the_same_words(seed, index, lane):
    assert words(seed, index, lane, 20) == words(seed, index, lane, 20)


@given(NUMBERS, NUMBERS, st.integers(0, 100))
def test_neighbours_share_no_words(seed, index, lane):
    ours = set(words(seed, index, lane, 16))
    for other in ((seed ^ 1, index, lane), (seed, index ^ 1, lane), (seed, index, lane + 1)):
        assert not ours & set(words(*other, 16))


@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=9), st.data())
def test_many_streams_give_what_each_gives_alone(seed, indices, data):
    """Whatever is taken, by whichever of them, in turn."""
    alone = [Stream(seed, index, 3) for index in indices]
    many = Streams(seed, np.array(indices), 3)
    for _ in range(data.draw(st.integers(1, 12))):
        rows = sorted(data.draw(st.sets(st.integers(0, len(indices) - 1))))
        rows = list(range(len(indices))) if data.draw(st.booleans()) else rows
        some, each = many.of(np.array(rows, int)), [alone[row] for row in rows]
        assert len(some) == len(rows)
        what = data.draw(st.sampled_from(["word", "uniform", "below", "bounds", "order", "one"]))
        if what == "word":
            assert some.words().tolist() == [one.word() for one in each]
        elif what == "uniform":
            assert some.uniform().tolist() == [one.uniform() for one in each]
        elif what == "below":
            n = data.draw(st.integers(1, 2**32 - 1))
            assert some.below(n).tolist() == [one.below(n) for one in each]
        elif what == "bounds":
            bounds = [1 + 7 * row for row in rows]
            found = some.below(np.array(bounds, int)).tolist()
            assert found == [one.below(n) for one, n in zip(each, bounds, strict=True)]
        elif what == "order":
            n = data.draw(st.integers(1, 11))
            assert some.permutation(n).tolist() == [one.permutation(n) for one in each]
        elif rows:  # one of them is handed on, to who knows streams of one image alone
            k = data.draw(st.integers(0, len(rows) - 1))
            with some.one(k) as stream:
                taken = [stream.word() for _ in range(data.draw(st.integers(0, 17)))]
            assert taken == [each[k].word() for _ in taken]


def test_seed_plus_one_is_not_the_next_image():
    assert words(0, 1, 1, 8) != words(1, 0, 1, 8)


def test_uniforms_are_even_over_images_and_within_one():
    across = np.array([Stream(0, index, 1).uniform() for index in range(20_000)])
    stream = Stream(0, 0, 1)
    within = np.array([stream.uniform() for _ in range(20_000)])
    for values in (across, within):
        assert values.min() >= 0 and values.max() < 1
        counts, _ = np.histogram(values, bins=50, range=(0, 1))
        chi_square = ((counts - 400) ** 2 / 400).sum()
        assert chi_square < 85.4  # 99.9 % point of chi-square with 49 degrees of freedom


@given(NUMBERS, st.integers(1, 2**53))
def test_below_stays_below(index, n):
    assert 0 <= Stream(0, index).below(n) < n


@given(NUMBERS, st.integers(0, 60))
def test_a_permutation_holds_everything_once(index, n):
    assert sorted(Stream(0, index).permutation(n)) == list(range(n))


def test_every_order_of_four_is_as_likely():
    seen: dict[tuple, int] = {}
    for index in range(12_000):
        order = tuple(Stream(0, index).permutation(4))
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 24
    assert sum((count - 500) ** 2 / 500 for count in seen.values()) < 49.7  # 99.9 %, 23 degrees
