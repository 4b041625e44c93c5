"""What is said while it works: a bar on a terminal, a line a minute elsewhere, and a log."""

from __future__ import annotations

import platform
import shutil

import pytest

from singleimg.version import __version__
from tests.conftest import ROOT
from tests.terminal import run_here, run_process


@pytest.fixture
def common(picture, tmp_path) -> list[str]:
    target = f"targetpath={tmp_path / 'set'}"
    return [f"imgpath={picture}", "img_size=32", "output.shard_size=10", target]


def test_it_counts_images_and_begins_at_what_is_done(common, tmp_path):
    target = tmp_path / "set"
    shown = run_here(*common, "num_imgs=40")
    assert "40/40" in shown.received and "img/s" in shown.received
    for shard in ("000001", "000003"):  # as a stop would leave it
        (target / "manifest" / f"{shard}.jsonl").unlink()
        shutil.rmtree(target / "train" / "my-picture" / shard)
    shown = run_here(*common, "num_imgs=40", "batch_size=1")
    first = shown.received.split("/40")[0]
    assert first.split()[-1] == "20" and "40/40" in shown.received


@pytest.mark.parametrize("columns", [20, 100])
def test_nothing_of_a_bar_is_left_in_the_end(common, columns):
    shown = run_here(*common, "num_imgs=40", columns=columns)
    assert shown.status == 0 and "40/40" in shown.received
    assert shown.stale == [] and "Extend:" in "\n".join(shown.screen)


def test_a_dumb_terminal_gets_no_bar(common):
    shown = run_here(*common, "num_imgs=40", TERM="dumb")
    assert "\x1b" not in shown.received and "40/40" not in shown.received
    assert "\r" not in shown.received.replace("\r\n", "")


def test_it_is_silent_for_a_minute_where_nobody_looks(run, common):
    assert run(*common, "num_imgs=5").stderr == ""


def test_bars_are_those_of_one_module():
    """So that each of them is a line a minute where there is no terminal."""
    users = [file for file in (ROOT / "singleimg").rglob("*.py") if "tqdm" in file.read_text()]
    assert [str(file.relative_to(ROOT)) for file in users] == ["singleimg/system/bars.py"]


def test_the_log_beside_the_images_says_what_was_done_and_by_what(run, common, tmp_path):
    file = tmp_path / "set" / "run.log"
    first = run(*common, "num_imgs=20").stdout.splitlines()
    said = file.read_text()
    assert f"Command: python run.py {' '.join(common)} num_imgs=20 (in " in said
    assert f"With: Python {platform.python_version()}, singleimg {__version__}, simplejpeg " in said
    assert first[0].startswith("20 images of 32 px into ") and first[0] in said
    assert first[1].startswith("20 images, ") and first[1] in said
    again = run(*common, "num_imgs=30").stdout.splitlines()
    assert file.read_text().startswith(said)
    added = file.read_text().removeprefix(said)
    assert again[0].startswith("10 of 30 images of 32 px into ")
    for line in again:
        assert line in added
    assert added.count("Command: ") == added.count("With: ") == 1


def test_ctrl_c_is_answered_on_a_line_of_its_own(common):
    shown = run_process(*common, "num_imgs=1M", "threads=2", stop_at=r"[1-9]\d*/1000000")
    assert shown.status == 130 and shown.stale == []
    assert shown.screen[-1] == "Stopped: type the same command again to resume."
    assert "leaked" not in shown.received
