"""Who is at work on a slice, told by files alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from singleimg.errors import UserError
from singleimg.storage import lease
from singleimg.storage.lease import Lease, forget_slices, hold_slice, lease_place, read_lease
from singleimg.storage.local import LocalStore
from singleimg.storage.lock import hold, refuse_held
from singleimg.storage.shards import Slice
from tests.scenarios import wait_until

ONE = Slice(1, 3)


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(tmp_path, durable=False)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(lease, "RENEWED", 0.05)
    monkeypatch.setattr(lease, "OVER", 1.0)
    monkeypatch.setattr(lease, "_LOOK", 0.02)


def written(store: LocalStore, **about: object) -> Lease:
    """A lease that lies there, of a machine that is not this one."""
    now = time.time()
    values = {"slice": str(ONE), "host": "elsewhere", "pid": 1, "since": now, "renewed": now,
              "token": "another"}  # fmt: skip
    one = Lease(**{**values, **about})
    store.write(lease_place(ONE), json.dumps(asdict(one)))
    return one


def dead() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_it_is_renewed_while_it_is_held_and_gone_afterwards(store):
    with hold_slice(store, ONE) as held:
        first = read_lease(store, lease_place(ONE))
        assert (first.slice, first.pid) == ("1/3", os.getpid())
        assert wait_until(lambda: read_lease(store, lease_place(ONE)).renewed > first.renewed, 5)
        held.check()
    assert store.names(lease.FOLDER) == []


def test_of_a_process_of_this_host_that_is_gone_it_is_over_at_once(store):
    with hold_slice(store, ONE) as held:
        host = read_lease(store, lease_place(ONE)).host
    written(store, host=host, pid=dead())
    begin = time.monotonic()
    with hold_slice(store, ONE) as held:
        assert time.monotonic() - begin < 0.5 and not held.is_lost()


def test_of_another_host_it_is_over_when_nobody_renews_it(store):
    written(store)
    begin = time.monotonic()
    with hold_slice(store, ONE):
        assert 0.8 < time.monotonic() - begin < 3


def test_one_that_is_renewed_is_refused(store):
    with (
        hold_slice(store, ONE),
        pytest.raises(UserError) as caught,
        hold_slice(store, ONE),
    ):
        pass
    host = read_lease(store, lease_place(ONE))
    assert host is None  # the first one let go of it
    assert str(caught.value).startswith(f"slice=1/3 is held by process {os.getpid()} on ")
    assert str(caught.value).endswith(
        f", which is running on targetpath={store}: wait until that ends, or type another slice."
    )


def test_who_slept_is_told_that_another_one_has_it_and_leaves_it_alone(store):
    with hold_slice(store, ONE) as held:
        other = written(store)
        assert wait_until(held.is_lost, 5)
        with pytest.raises(UserError, match=r"^slice=1/3 of targetpath=.* was taken over by"):
            held.check()
    assert read_lease(store, lease_place(ONE)) == other


def test_other_slices_are_others(store):
    with hold_slice(store, ONE), hold_slice(store, Slice(2, 3)):
        assert sorted(store.names(lease.FOLDER)) == ["1.lease", "2.lease"]
        assert [one.slice for one in forget_slices(store)] == ["1/3", "2/3"]
        with pytest.raises(UserError) as caught, hold(store):
            pass
    assert str(caught.value).startswith(
        f"targetpath={store} is made in slices, and slice=1/3 is held by process {os.getpid()} on "
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"slice": "1/3"}', "null"])
def test_what_is_no_lease_holds_nothing(store, text):
    store.write(lease_place(ONE), text)
    with hold_slice(store, ONE):
        pass
    assert forget_slices(store) == [] and not (store.root / lease.FOLDER).exists()


def test_a_clock_that_is_far_ahead_holds_nothing_for_ever(store):
    assert written(store, renewed=time.time() + 3600).is_over()


def test_a_slice_and_a_run_of_the_whole_see_each_other(store):
    refuse_held(store)
    with hold(store), pytest.raises(UserError, match=r"^targetpath=.* is held by a run on "):
        refuse_held(store)
    refuse_held(store)
    (store.root / ".lock.json").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    with pytest.raises(UserError, match=r"\(if that run has ended, remove .*\.lock\.json\)\.$"):
        refuse_held(store)
