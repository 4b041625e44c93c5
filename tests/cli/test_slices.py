"""``slice=k/n``: machines that share a dataset, killed and stopped, make what one run makes."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL
from tests.scenarios import Command, leftovers, records, tree_hash, wait_until
from tests.stores import BUCKET, tree
from tests.stubs import LEASE, NAP

SHARDS = ("num_imgs=1200", "output.shard_size=30")  # forty


@pytest.fixture(scope="module")
def undisturbed(run, picture, tmp_path_factory) -> Path:
    """What one process makes."""
    target = tmp_path_factory.mktemp("undisturbed") / "set"
    run(f"imgpath={picture}", *SMALL, *SHARDS, f"targetpath={target}", "backend=sequential")
    return target


@pytest.fixture
def typed(picture) -> Callable[..., tuple[str, ...]]:
    def arguments(target: Path | str, k: int, n: int, *more: str) -> tuple[str, ...]:
        return (f"imgpath={picture}", *SMALL, *SHARDS, f"targetpath={target}", "threads=1",
                f"slice={k}/{n}", *more)  # fmt: skip

    return arguments


def test_each_makes_its_own_and_the_last_one_ends_it(run, typed, tmp_path, undisturbed):
    target = tmp_path / "set"
    said = [run(*typed(target, k, 3)).stdout for k in (2, 0)]
    assert said[0].endswith(
        "Slice 2/3 is finished: of all 40 shards 13 are there, the others are still to be made.\n"
    )
    assert said[1].endswith(
        "Slice 0/3 is finished: of all 40 shards 27 are there, the others are still to be made.\n"
    )
    assert sorted(p.name for p in (target / ".slices").iterdir()) == ["agreement.json"]
    missing = run("task=finish", f"targetpath={target}", code=1)
    assert missing.stdout == (
        "slice=1/3: 13 shards missing, 000001, 000004, 000007, 000010, 000013, 000016, 000019, "
        "000022 and 5 more\n"
    )
    assert missing.stderr == (
        f"targetpath={target}: 13 of 40 shards are missing: type those slices again.\n"
    )
    assert "Folder:  " in run(*typed(target, 1, 3)).stdout
    assert tree_hash(target) == tree_hash(undisturbed)
    assert leftovers(target) == [] and not (target / ".slices").exists()
    again = run(*typed(target, 1, 3)).stdout
    assert again.startswith(f"All 1,200 images are in {target} already.")
    assert "slice" not in again


def test_what_a_slice_must_have_in_common_with_the_others(run, typed, tmp_path):
    target = tmp_path / "set"
    run(*typed(target, 0, 40))
    kept = tree_hash(target)

    def refused(*arguments: str) -> str:
        said = run(*arguments, code=1).stderr
        assert tree_hash(target) == kept
        return said

    anew = "type those of the others, another targetpath, or, when none is running, task=prepare "
    anew += "for new slices.\n"
    assert refused(*typed(target, 1, 8)) == (
        f"targetpath={target} is made in slices of other settings (slices: 40 → 8): {anew}"
    )
    assert refused(*typed(target, 1, 40, "num_imgs=1201")) == (
        f"targetpath={target} is made in slices of other settings (num_imgs: 1200 → 1201): {anew}"
    )
    assert "holds a dataset of another recipe (pixels.seed: 0.0 → 1.0)" in refused(
        *typed(target, 1, 40, "seed=1")
    )
    assert refused(*typed(target, 40, 40)) == (
        "slice=40/40 is not k/n, slice k of n slices, with k from 0 to n - 1: type for example "
        "slice=0/8.\n"
    )
    assert refused(*typed(target, 1, 40, "output=lmdb")) == (
        "output=lmdb writes all shards into one file, which only processes of one machine can "
        "share: type output=webdataset or output=parquet, or leave slice out.\n"
    )
    assert refused(*typed(target, 1, 40, "if_exists=overwrite")) == (
        "if_exists=overwrite cannot be used for one slice of several: type task=prepare "
        "task.slices=40 if_exists=overwrite first, then the slices without it.\n"
    )
    without = [one for one in typed(target, 1, 40) if not one.startswith("num_imgs")]
    assert refused(*without, "debug=true") == (
        "debug=true makes all of its 64 images at once: leave slice out.\n"
    )


def test_a_run_of_the_whole_goes_on_with_what_slices_left(run, typed, tmp_path, undisturbed):
    target = tmp_path / "set"
    run(*typed(target, 1, 3))
    run(*typed(target, 1, 3)[:-1])
    assert tree_hash(target) == tree_hash(undisturbed) and not (target / ".slices").exists()


def test_while_one_is_at_work_the_whole_is_refused(run, typed, tmp_path, undisturbed):
    target = tmp_path / "set"
    command = Command(*typed(target, 0, 2), **{NAP: "0.05"})
    assert wait_until(lambda: records(target) > 0)
    pattern = rf"targetpath={target} is made in slices, and slice=0/2 is held by process "
    pattern += rf"{command.process.pid} on .*: wait until it ends, or type another targetpath\.\n"
    whole = typed(target, 0, 2)[:-1]
    for arguments in (
        whole,
        (*whole, "if_exists=overwrite"),
        (*whole, "num_imgs=1201"),
        (*whole, "task=prepare", "task.slices=3"),
        ("task=repair", f"targetpath={target}"),
    ):
        said = run(*arguments, code=1).stderr
        assert re.fullmatch(pattern, said), said
    finish = run("task=finish", f"targetpath={target}", code=1).stdout
    assert re.search(rf"^slice=0/2: .* \(held by process {command.process.pid} on ", finish)
    command.signal(signal.SIGTERM, everyone=False)
    result = command.end()
    assert result.status == 143, result.output
    assert leftovers(target) == [".slices"]
    assert [one.name for one in (target / ".slices").iterdir()] == ["agreement.json"]
    for k in (0, 1):
        run(*typed(target, k, 2))
    assert tree_hash(target) == tree_hash(undisturbed)


def test_prepare_agrees_anew_and_begins_anew(run, typed, tmp_path, undisturbed):
    target = tmp_path / "set"
    whole = typed(target, 0, 2)[:-1]
    said = run(*whole, "task=prepare", "task.slices=2").stdout
    assert re.search(r"^Slices:  python run\.py .* num_imgs=1200 slice=0/2, and so on,", said, re.M)
    assert json.loads((target / ".slices/agreement.json").read_text())["slices"] == 2
    assert "slices: 2 → 3" in run(*typed(target, 0, 3), code=1).stderr
    run(*typed(target, 0, 2))
    run(*whole, "task=prepare", "task.slices=3")
    run(*typed(target, 1, 3))
    assert records(target) == 27
    run(*whole, "seed=1", "task=prepare", "task.slices=2", "if_exists=overwrite")
    assert records(target) == 0
    run(*whole, "task=prepare", "task.slices=2", "if_exists=overwrite")
    for k in (0, 1):
        run(*typed(target, k, 2))
    assert tree_hash(target) == tree_hash(undisturbed)
    assert run(*whole, "task=prepare", code=1).stderr == (
        "task=prepare needs a number of slices: type task.slices=8.\n"
    )


def test_the_jobs_of_a_sweep_make_one_dataset(picture, tmp_path, undisturbed):
    """As on SLURM, by the same launcher's way to run on this machine."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="submitit is missing")
    result = Command(
        "-m", "hydra/launcher=submitit_local", f"imgpath={picture}", *SMALL, *SHARDS,
        f"targetpath={tmp_path}/sets", "threads=1", "+k=range(3)", "slice=${k}/3",
        f"hydra.sweep.dir={tmp_path}/jobs",
    ).end()  # fmt: skip
    assert result.status == 0, result.output
    (target,) = (tmp_path / "sets").iterdir()
    assert tree_hash(target) == tree_hash(undisturbed)


def killed_at_random(
    commands: Callable[[int], Command], count: int, kills: int, seed: int
) -> tuple[int, list[Command]]:
    """Runs ``count`` slices side by side, each in a process that is begun again when it is killed;
    how many were."""
    chance, running, left = random.Random(seed), {k: commands(k) for k in range(count)}, kills
    ended: list[Command] = []
    while running:
        time.sleep(chance.uniform(0.1, 0.6))
        for k, command in list(running.items()):
            if command.ended():
                ended.append(running.pop(k))
        if left and running:
            k = chance.choice(sorted(running))
            if running[k].process.poll() is None and time.monotonic() - running[k].begin > 1.5:
                running[k].signal(signal.SIGKILL, everyone=True)
                running[k].end()
                running[k], left = commands(k), left - 1
    return kills - left, ended


@pytest.mark.parametrize(
    "count, kills, nap", [(3, 1, "0.01"), pytest.param(8, 8, "0.1", marks=pytest.mark.distributed)]
)
def test_killed_at_random_and_begun_again(typed, tmp_path, undisturbed, count, kills, nap):
    target = tmp_path / "set"
    killed, ended = killed_at_random(
        lambda k: Command(*typed(target, k, count), **{NAP: nap}), count, kills, seed=count
    )
    results = [command.end() for command in ended]
    assert [one.status for one in results] == [0] * count, [one.output for one in results]
    assert killed == kills
    assert tree_hash(target) == tree_hash(undisturbed)
    assert leftovers(target) == [] and not (target / ".slices").exists()


@pytest.mark.parametrize(
    "count, kills, nap",
    [(2, 1, "0.005"), pytest.param(4, 4, "0.06", marks=pytest.mark.distributed)],
)
def test_in_a_store_as_well(typed, run, port, undisturbed, count, kills, nap):
    target = f"s3://{BUCKET}/slices-{count}"
    killed, ended = killed_at_random(
        lambda k: Command(*typed(target, k, count), **{NAP: nap}), count, kills, seed=count
    )
    results = [command.end() for command in ended]
    assert [one.status for one in results] == [0] * count, [one.output for one in results]
    assert killed == kills
    assert tree(target) == tree(undisturbed)
    assert run("task=finish", f"targetpath={target}").stdout == (
        f"All 1,200 images are in {target}.\n"
    )


def test_a_store_in_which_nothing_can_be_created_exclusively_is_prepared_first(
    run, typed, port, monkeypatch, undisturbed
):
    """As stores that do not know ``If-None-Match``; the server here does."""
    from singleimg.storage.remote import RemoteStore

    target = f"s3://{BUCKET}/prepared"
    monkeypatch.setattr(RemoteStore, "_create", RemoteStore.write)
    assert run(*typed(target, 0, 2), code=1).stderr == (
        f"targetpath={target} is in a store that cannot coordinate slices: type task=prepare "
        "task.slices=2 with the same keys first.\n"
    )
    run(*typed(target, 0, 2)[:-1], "task=prepare", "task.slices=2")
    for k in (0, 1):
        run(*typed(target, k, 2))
    assert tree(target) == tree(undisturbed)


def test_one_that_slept_goes_when_another_one_has_its_slice(typed, run, tmp_path, undisturbed):
    """Stopped and continued, as a machine that was cut off for a while: no half shard, no record
    twice."""
    target, soon = tmp_path / "set", {LEASE: "2"}
    sleeper = Command(*typed(target, 0, 2), **soon, **{NAP: "0.05"})
    assert wait_until(lambda: records(target) > 1)
    sleeper.signal(signal.SIGSTOP, everyone=True)
    other = Command(*typed(target, 0, 2), **soon, **{NAP: "0.005"})
    before = records(target)
    assert wait_until(lambda: records(target) > before + 1), other.end().output
    sleeper.signal(signal.SIGCONT, everyone=True)
    slept, went_on = sleeper.end(), other.end()
    assert went_on.status == 0, went_on.output
    assert slept.status == 1, slept.output
    assert slept.output.splitlines()[-1] == (
        f"slice=0/2 of targetpath={target} was taken over by another process, since this one did "
        "not renew its lease for 2 s: leave the slice to that process."
    )
    run(*typed(target, 1, 2))
    assert tree_hash(target) == tree_hash(undisturbed) and leftovers(target) == []
