"""What workers tell the driver, and its word to stop."""

from __future__ import annotations

import os
import threading

import pytest

from singleimg.backends.cluster import Channel
from singleimg.jobs.progress import Counter, Dropped, Progress, SentCounts


@pytest.fixture
def progress(tmp_path):
    with Progress(tmp_path, 100, 0, 3) as one:
        yield one


def counter(progress: Progress, slot: int, every: int = 2) -> Counter:
    return Counter(progress.counts, slot, every)


def test_images_and_bytes_are_added_up(progress):
    for slot in (0, 2):
        with counter(progress, slot) as one:
            for _ in range(5):
                one.step(10)
            assert progress.in_hand() == [slot]
            one.flush()
    assert (progress.counted, progress.bytes, progress.in_hand()) == (10, 100, [])
    assert progress.ended(0, 5) and not progress.ended(0, 6) and not progress.ended(1, 5)
    progress.forget([2])
    assert progress.counted == 5


def test_a_shard_that_is_counted_and_still_in_hand_has_not_ended(progress):
    with counter(progress, 1) as one:
        one.step(1)
        one.flush()
        assert not progress.ended(1, 1)
    assert progress.ended(1, 1)


def test_a_shard_whose_commit_fails_has_not_ended(progress):
    with pytest.raises(OSError), counter(progress, 1) as one:
        one.step(1)
        one.flush()
        raise OSError
    assert not progress.ended(1, 1) and progress.in_hand() == [] and progress.counted == 0


def test_the_word_to_stop_reaches_a_thread_before_its_next_image(progress):
    started, dropped = threading.Event(), []

    def work() -> None:
        try:
            with counter(progress, 0) as one:
                while True:
                    one.step(1)
                    started.set()
        except Dropped:
            dropped.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    progress.stop(5)
    assert progress.in_hand() == []
    thread.join()
    assert dropped == [True]


def test_the_counters_take_their_room_at_once(progress):
    """A hole in the file would end the process when the disk is full."""
    assert os.stat(progress.counts.file).st_size == 4 * 3 * 8
    assert os.stat(progress.counts.file).st_blocks * 512 >= 4 * 3 * 8


class Line(Channel):
    """Hands on what is sent at once."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.sent, self.over = progress, [], False

    def send(self, *numbers: int) -> None:
        self.sent.append(numbers)
        self.progress.hear(*numbers)

    def stopped(self) -> bool:
        return self.over


def test_workers_elsewhere_send_their_rows(progress):
    line = Line(progress)
    counts = SentCounts(line)
    counts.put_begun()
    assert progress.begun and progress.counted == 0
    with Counter(counts, 1, every=1) as one:
        assert progress.in_hand() == [1]
        for _ in range(1000):
            one.step(10)
    assert (progress.counted, progress.bytes, progress.in_hand()) == (1000, 10_000, [])
    assert len(line.sent) < 20  # a thousand workers may send them


def test_what_is_heard_late_of_a_chunk_that_is_made_changes_nothing(progress):
    progress.end(2, 30, 900)
    progress.hear(2, 7, 4711, 100)
    assert (progress.counted, progress.bytes, progress.in_hand()) == (30, 900, [])


def test_a_worker_elsewhere_drops_its_chunk_when_the_driver_wants_no_more(progress):
    line = Line(progress)
    with pytest.raises(Dropped), Counter(SentCounts(line), 0, 1) as one:
        one.step(1)
        line.over = True
        one.step(1)
    assert progress.counted == 0 and progress.in_hand() == []
