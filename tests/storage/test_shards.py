"""Every shard is of one slice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleimg.storage.shards import WHOLE, Slice


@given(st.integers(1, 1000), st.integers(0, 10**6))
def test_every_shard_is_of_one_slice_and_so_is_what_has_its_name(count, shard):
    owners = [k for k in range(count) if shard in Slice(k, count)]
    assert owners == [shard % count]
    one = Slice(owners[0], count)
    names = [f"{shard:06d}", f".tmp-{shard:06d}-0123456789ab", f"{shard:06d}-key",
             f"manifest/{shard:06d}.jsonl"]  # fmt: skip
    assert all(map(one.owns, names))
    assert count == 1 or not any(map(Slice((owners[0] + 1) % count, count).owns, names))


@pytest.mark.parametrize("name", [".tmp-dataset.json-0000001234567890", ".tmp-0.lease-000000", "x"])
def test_what_is_of_no_shard_is_of_no_slice_but_of_the_whole(name):
    assert not any(Slice(k, 2).owns(name) for k in range(2)) and WHOLE.owns(name)


@pytest.mark.parametrize(
    "text",
    ["", "1", "8/8", "-1/8", "1/0", "0/0", "1/8/2", "a/8", "1/ 8", "٣/8", "1.0/8", "1/9999999999"],
)
def test_what_names_no_slice(text):
    with pytest.raises(ValueError):
        Slice.of(text)


def test_a_slice_is_its_text():
    assert Slice.of("3/8") == Slice(3, 8) and str(Slice(3, 8)) == "3/8"
