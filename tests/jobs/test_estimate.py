"""Sizes and times as people read them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from singleimg.errors import UserError
from singleimg.jobs.estimate import Estimate, check_disk, duration, estimate, size


@pytest.mark.parametrize(
    "count, text", [(5, "5 B"), (15_300, "15.3 kB"), (19_000_000_000, "19 GB"), (2e12, "2 TB")]
)
def test_sizes(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    "seconds, text", [(0.2, "1 s"), (86, "86 s"), (125, "2 min"), (13_200, "3 h 40 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_what_cannot_fit_is_refused(tmp_path):
    with pytest.raises(UserError) as caught:
        check_disk(tmp_path / "not" / "there", 10**18)
    assert str(caught.value).startswith(
        f"targetpath={tmp_path}/not/there needs about 1e+06 TB and "
    )
    assert str(caught.value).endswith(
        " are free: type a smaller num_imgs, or a targetpath on another disk."
    )
    assert check_disk(tmp_path, 1) > 0


def slow(once: dict[int, float], each: float, size: int = 5000) -> Callable[[int], bytes]:
    """Makes images of ``size`` bytes in ``each`` seconds, and some in more the first time."""
    left = dict(once)

    def make(index: int) -> bytes:
        time.sleep(each + left.pop(index, 0))
        return bytes(size)

    return make


def test_what_is_paid_once_is_not_taken_for_the_rate():
    """An 88-megapixel PNG: seconds for the first image, milliseconds for the others."""
    effort = estimate(slow({0: 0.7}, 0.005), 10_000)
    assert 50 <= effort.seconds < 100 and effort.once == 0  # it is paid already


def test_pictures_that_are_still_to_be_decoded_are_counted_once_each():
    effort = estimate(slow(dict.fromkeys(range(8), 0.05), 0.002), 10_000, pictures=100)
    assert 20 <= effort.seconds < 40 and 4 < effort.once < 7


def test_the_size_is_that_of_the_images_and_files_take_whole_blocks():
    effort = estimate(slow({}, 0, size=1300), 1000)
    assert (effort.bytes, effort.disk) == (1_300_000, 4_096_000)


def test_a_person_is_told_size_and_time():
    assert Estimate(7200, 10**9).describe(2) == "about 1 GB, 1 h 00 min"
