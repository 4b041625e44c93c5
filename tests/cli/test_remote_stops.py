"""Runs into a store that are stopped: by the network, by a signal, for good."""

from __future__ import annotations

import re
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from singleimg.storage import remote
from tests.cli.conftest import SMALL, WORKERS
from tests.scenarios import Command, Result, wait_until
from tests.stores import BUCKET, proxy, tree

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
pytest.importorskip("upath", reason="universal-pathlib is not installed")
pytest.importorskip("pyarrow", reason="pyarrow is not installed")


@pytest.fixture(scope="module")
def stopped(port, picture) -> dict[str, tuple[Result, float]]:
    """Commands that were stopped, and how long each then took to end; started at once.

    Each has two workers, beside the driver, which helps as long as they are not ready; it is
    stopped while two or all of them wait for uploads, after the first ones.
    """
    with (
        proxy(port, holds="/train/", lets=3) as gone,
        proxy(port, holds="/manifest/", lets=2) as killed,
        proxy(port, holds="/train/", lets=3) as asked,
    ):
        networks = {"gone": gone, "killed": killed, "asked": asked}
        commands = {}
        for name, network in networks.items():
            typed = (f"imgpath={picture}", *SMALL, *WORKERS, f"targetpath=s3://{BUCKET}/{name}")
            # Not to be patient for half a minute and more.
            patience = {"AWS_MAX_ATTEMPTS": "1"} if name == "gone" else {}
            commands[name] = Command(*typed, **network.environment, **patience)
        ended = {}
        for name, command in commands.items():
            network = networks[name]
            assert wait_until(lambda one=network: one.happened["held"] >= 2), command.end().output
            began = time.monotonic()
            if name == "gone":
                network.stop()
            elif name == "killed":
                command.signal(signal.SIGKILL, everyone=True)
            else:
                command.signal(signal.SIGTERM, everyone=False)
            result = command.end()
            ended[name] = result, time.monotonic() - began
            assert wait_until(lambda one=command: one.left_behind() == [], 5)
        return ended


def test_a_store_that_is_gone_for_good_is_said_in_a_sentence(stopped):
    result, _ = stopped["gone"]
    assert result.status == 1
    first, said = result.output.splitlines()
    assert first.startswith("180 images of 32 px into s3://bucket/gone: ")
    assert re.fullmatch(
        r"s3://bucket/gone cannot be written \(Could not connect to the endpoint URL: "
        r'"http://.*"\): check that the store can be reached, then type the same command '
        r"again to resume\.",
        said,
    )


def test_a_signal_stops_a_run_that_waits_for_the_store(stopped):
    result, seconds = stopped["asked"]
    assert (result.status, seconds < 5) == (143, True), result.output
    assert result.output.splitlines()[1:] == ["Stopped: type the same command again to resume."]


def test_what_is_there_of_a_run_that_was_stopped_is_true(stopped, local):
    whole = tree(local["webdataset", 180])
    for name in stopped:
        found = tree(f"s3://{BUCKET}/{name}")
        records = {Path(file).stem for file in found if file.startswith("manifest/")}
        data = {Path(file).stem for file in found if file.startswith("train/")}
        assert {f"shard-{number}" for number in records} <= data
        assert found.items() < whole.items() and "dataset.json" not in found
        if name == "killed":  # objects without records are what a killed run leaves
            assert len(records) == 2 and len(data) in (4, 5)


def test_the_same_command_goes_on_and_leaves_nothing_astray(stopped, picture, local, store):
    # A run of more images was killed, and its data have no place among these.
    store.pipe_file(f"s3://{BUCKET}/killed/train/shard-000009.tar", b"whole, and without a record")
    commands = {}
    for name in ("gone", "killed"):
        typed = (f"imgpath={picture}", *SMALL, f"targetpath=s3://{BUCKET}/{name}")
        commands[name] = Command(*typed)
    for name, command in commands.items():
        result = command.end()
        assert result.status == 0, result.output
        assert re.match(r"\d+ of 180 images of 32 px into ", result.output)
        assert tree(f"s3://{BUCKET}/{name}") == tree(local["webdataset", 180])


@pytest.mark.parametrize("days", [0, 10**5])
def test_what_a_killed_run_had_sent_of_a_large_file_goes_when_nobody_is_at_it(
    run, port, picture, store, monkeypatch, days
):
    """S3 keeps it, charges for it, and shows it in no listing."""
    monkeypatch.setattr(remote, "_STALE", timedelta(days=days))
    prefix = f"parts-{days}"
    for key in (f"{prefix}/train/shard-000001.tar", f"{prefix}-of-another/train/shard-000001.tar"):
        store.call_s3("create_multipart_upload", Bucket=BUCKET, Key=key)
    typed = (f"imgpath={picture}", *SMALL, "backend=sequential")
    run(*typed, f"targetpath=s3://{BUCKET}/{prefix}")
    found = store.call_s3("list_multipart_uploads", Bucket=BUCKET, Prefix=prefix)
    left = [f"{prefix}-of-another/train/shard-000001.tar"]
    left += [f"{prefix}/train/shard-000001.tar"] if days else []
    assert sorted(one["Key"] for one in found["Uploads"]) == sorted(left)
