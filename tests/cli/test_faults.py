"""Nothing lost, nothing false: kills, signals, full disks, and the same command again."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import scenarios
from tests.conftest import ROOT, images_of, summary_of
from tests.scenarios import Command, false_records, leftovers, tree_hash, wait_until
from tests.stubs import NAP

# With workers, however fast the machine is; sleeping as below it takes a quarter of a minute.
LONG = (
    "num_imgs=3000",
    "backend.from_seconds=0",
    "img_size=32",
    "output.shard_size=20",
    "threads=2",
    "save_params=true",
    "engine._target_=tests.stubs.SlowEngine",
    "trusted_modules=[tests.stubs]",
)
AWAKE = {NAP: "0"}
ALONE = ("backend.name=sequential",)  # the same bytes, without starting workers


@pytest.fixture(autouse=True)
def slow(monkeypatch):
    """Commands that are stopped sleep before each image; those of ``run`` need not."""
    monkeypatch.setenv(NAP, "0.01")


@pytest.fixture(scope="module")
def undisturbed(run, picture, tmp_path_factory) -> str:
    """The hash of the tree of LONG."""
    target = tmp_path_factory.mktemp("undisturbed") / "set"
    run(*arguments(picture, target), *ALONE, **AWAKE)
    return tree_hash(target)


def arguments(picture, target) -> list[str]:
    return [f"imgpath={picture}", *LONG, f"targetpath={target}"]


# --- kills ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kill", [scenarios.kill_everyone, scenarios.kill_workers])
def test_killed_five_times_the_tree_is_that_of_an_undisturbed_run(
    run, picture, undisturbed, tmp_path, kill
):
    typed = arguments(picture, tmp_path / "set")
    assert list(kill(typed, tmp_path / "set", times=5, seed=1, seconds=1)) == []
    run(*typed, *ALONE, **AWAKE)
    assert tree_hash(tmp_path / "set") == undisturbed
    assert leftovers(tmp_path / "set") == []


def test_workers_end_with_a_driver_that_is_killed_alone(picture, tmp_path):
    """Those that have a shard in hand; one that waits for another ends when joblib has it end."""
    command = Command(*arguments(picture, tmp_path / "set"), "output.shard_size=200")
    assert wait_until(lambda: command.workers() and scenarios.records(tmp_path / "set") > 3)
    time.sleep(0.5)  # a shard takes two seconds
    command.signal(signal.SIGKILL, everyone=False)
    command.end()
    assert wait_until(lambda: command.left_behind() == [], 5)
    assert false_records(tmp_path / "set") == []


# --- signals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, everyone, status, more",
    [
        (signal.SIGINT, True, 130, ()),  # Ctrl-C
        (signal.SIGTERM, False, 143, ()),
        (signal.SIGTERM, True, 143, ()),  # as SLURM sends it
        (signal.SIGTERM, False, 143, ("backend=threading",)),
    ],
)
def test_a_signal_stops_in_good_order(picture, tmp_path, number, everyone, status, more):
    target = tmp_path / "set"
    command = Command(*arguments(picture, target), *more)
    assert wait_until(lambda: scenarios.records(target) > 2 and (more or command.workers()))
    began = time.monotonic()
    command.signal(number, everyone)
    result = command.end()
    assert time.monotonic() - began < 5
    assert result.status == status, result.output
    assert "Stopped: type the same command again to resume." in result.output
    assert "Traceback" not in result.output
    assert leftovers(target) == []
    assert wait_until(lambda: command.left_behind() == [], 5 - (time.monotonic() - began))
    assert not (target / "dataset.json").exists() and false_records(target) == []


NAPPING = """\
import time
class Nap:
    def __call__(self, image):
        with open("/proc/self/cmdline") as file:
            time.sleep(60 if "loky" in file.read() else 0.002)
        return image.resize((32, 32))
"""


def test_a_signal_does_not_wait_for_what_workers_are_at(picture, tmp_path):
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("a worker knows itself by /proc")
    (tmp_path / "nap.py").write_text(NAPPING)
    typed = [f"imgpath={picture}", "num_imgs=9000", "img_size=32", "threads=2"]
    typed += ["augment.transforms=[{_target_: nap.Nap}]", "trusted_modules=[nap]"]
    typed += ["output.shard_size=100", "engine=reference", f"targetpath={tmp_path / 'set'}"]
    command = Command(*typed, PYTHONPATH=str(tmp_path))
    assert wait_until(lambda: len(list((tmp_path / "set").glob(".tmp-*"))) > 1)
    began = time.monotonic()
    command.signal(signal.SIGTERM, everyone=False)
    assert command.end().status == 143 and time.monotonic() - began < 5
    assert leftovers(tmp_path / "set") == []


def test_stopped_while_overwriting_it_does_not_advise_to_overwrite_again(picture, tmp_path):
    command = Command(*arguments(picture, tmp_path / "set"), "if_exists=overwrite")
    assert wait_until(lambda: scenarios.records(tmp_path / "set") > 0)
    command.signal(signal.SIGINT, everyone=False)
    assert "Stopped: type the same command with if_exists=resume" in command.end().output


# --- two at once ---------------------------------------------------------------------------------


def test_two_runs_on_one_target(run, picture, tmp_path):
    typed = arguments(picture, tmp_path / "set")
    first = Command(*typed)
    assert wait_until(lambda: scenarios.records(tmp_path / "set") > 0)
    second = run(*typed, code=1)
    assert f"is held by a run on {os.uname().nodename} (process {first.process.pid}) since" in (
        second.stderr
    )
    first.signal(signal.SIGKILL, everyone=True)
    first.end()
    assert ".lock.json" in leftovers(tmp_path / "set")
    done = scenarios.records(tmp_path / "set")
    third = Command(*typed)
    assert wait_until(lambda: scenarios.records(tmp_path / "set") > done)
    third.signal(signal.SIGTERM, everyone=True)
    assert third.end().status == 143 and leftovers(tmp_path / "set") == []


# --- faults --------------------------------------------------------------------------------------


def test_a_disk_that_fills_up(run, picture, tmp_path):
    if not scenarios.can_mount(tmp_path / "probe"):
        pytest.skip("only root may mount a small file system; the next test limits files instead")
    typed = (f"imgpath={picture}", "num_imgs=600", "img_size=128", "output.shard_size=20",
             "engine._target_=tests.stubs.SlowNativeEngine", "trusted_modules=[tests.stubs]",
             "output.class_name=c")  # fmt: skip
    run(*typed, f"targetpath={tmp_path / 'whole'}", **AWAKE)
    with scenarios.small_disk(tmp_path / "disk", 20) as disk:
        target, filler = disk / "set", disk / "filler"
        command = Command(*typed, f"targetpath={target}")
        assert wait_until(lambda: scenarios.records(target) > 1)
        scenarios.fill(filler)  # somebody else takes the room
        result = command.end()
        assert result.status == 1
        assert "(No space left on device): make room, then type the same command again" in (
            result.output
        )
        assert "Traceback" not in result.output and "Logging error" not in result.output
        assert false_records(target) == [] and not (target / "dataset.json").exists()
        assert leftovers(target) == []
        filler.unlink()
        run(*typed, f"targetpath={target}", **AWAKE)
        assert tree_hash(target) == tree_hash(tmp_path / "whole")


def test_a_limit_of_the_size_of_files(run, picture, tmp_path):
    typed = [f"imgpath={picture}", "num_imgs=30", "img_size=256", "encode=png"]
    typed += ["output.shard_size=10", f"targetpath={tmp_path / 'set'}"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))  # noqa: E731
    result = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *typed],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        cwd=ROOT,
    )
    assert result.returncode == 1
    assert result.stderr == (
        f"shard 000000 could not be written to targetpath={tmp_path / 'set'} (File too large): "
        "raise the limit of a file's size (ulimit -f), then type the same command again to "
        "resume.\n"
    )
    assert scenarios.records(tmp_path / "set") == 0 and leftovers(tmp_path / "set") == []
    run(*typed)
    assert len(images_of(tmp_path / "set")) == 30


def test_a_target_that_is_removed_at_work(picture, tmp_path):
    target = tmp_path / "set"
    command = Command(*arguments(picture, target))
    assert wait_until(lambda: scenarios.records(target) > 1)
    target.rename(tmp_path / "elsewhere")
    result = command.end()
    assert result.status == 1 and "Traceback" not in result.output
    assert (
        "(No such file or directory): do not move or remove the folder during a run, then type the "
        "same command again to resume." in result.output
    )
    assert not target.exists() and false_records(tmp_path / "elsewhere") == []


# --- overwriting and versions --------------------------------------------------------------------


def test_overwriting_makes_the_new_set_and_keeps_what_is_not_of_the_old(run, picture, tmp_path):
    common = (f"imgpath={picture}", "img_size=32", "output.shard_size=5", "output.class_name=c")
    run(*common, "num_imgs=12", f"targetpath={tmp_path / 'set'}")
    (tmp_path / "set" / "notes.txt").write_text("mine")
    run(*common, "num_imgs=7", "deg=3", f"targetpath={tmp_path / 'set'}", "if_exists=overwrite")
    run(*common, "num_imgs=7", "deg=3", f"targetpath={tmp_path / 'fresh'}")
    assert tree_hash(tmp_path / "set") == tree_hash(tmp_path / "fresh")
    assert (tmp_path / "set" / "notes.txt").read_text() == "mine"
    assert "if_exists: resume" in (tmp_path / "set" / "config.yaml").read_text()


def test_other_versions_go_on_only_when_allowed_and_each_shard_says_with_which(
    run, picture, tmp_path
):
    common = (f"imgpath={picture}", "img_size=32", "output.shard_size=5", "engine=reference")
    target = f"targetpath={tmp_path / 'set'}"
    run(*common, "num_imgs=10", target)
    file = tmp_path / "set" / "recipe.json"
    recipe = json.loads(file.read_text())
    recipe["made_with"]["pillow"] = "1.0"
    file.write_text(json.dumps(recipe, indent=2) + "\n")
    refused = run(*common, "num_imgs=15", target, code=1)
    assert (
        "was made with other versions, which may round differently (made_with.pillow: 1.0 → "
        in (refused.stderr)
    )
    assert summary_of(tmp_path / "set")["images"] == 10
    result = run(*common, "num_imgs=15", target, "allow_version_change=true")
    assert result.stdout.splitlines()[-1].endswith("allow_version_change=true num_imgs=30")
    last = (tmp_path / "set" / "manifest" / "000002.jsonl").read_text().splitlines()[1]
    assert json.loads(last)["made_with"]["pillow"] != "1.0"
    assert json.loads(file.read_text())["made_with"]["pillow"] == "1.0"


def test_what_a_killed_run_put_into_the_systems_temporary_folder_goes(run, picture, tmp_path):
    left = tmp_path / "tmp" / "singleimg-dead"
    left.mkdir(parents=True)
    (left / ".lock").write_text("")
    (left / "0.raw").write_bytes(b"pixels")
    os.utime(left, (1, 1))
    typed = (f"imgpath={picture}", "num_imgs=2", "img_size=32", "output=none")
    run(*typed, TMPDIR=str(tmp_path / "tmp"))
    assert list((tmp_path / "tmp").glob("singleimg-*")) == []
    shutil.rmtree(tmp_path / "tmp")


def test_a_finished_set_on_a_read_only_disk_is_said_to_be_there(run, picture, tmp_path):
    if not scenarios.can_mount(tmp_path / "probe"):
        pytest.skip("only root may mount a file system")
    typed = (f"imgpath={picture}", "num_imgs=4", "img_size=32")
    with scenarios.small_disk(tmp_path / "disk", 5) as disk:
        run(*typed, f"targetpath={disk / 'set'}")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        result = run(*typed, f"targetpath={disk / 'set'}")
        assert result.stdout.startswith(f"All 4 images are in {Path(disk) / 'set'} already.")
        run("task=verify", f"targetpath={disk / 'set'}")
