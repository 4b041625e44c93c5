"""The bar: shown on a terminal, silent elsewhere, and right after a restart."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import termios

from tests.conftest import ROOT


def on_a_terminal(*arguments: str) -> str:
    """What a real (pseudo-)terminal receives of a run's standard error."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *arguments], cwd=ROOT, stderr=theirs,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    received = b""
    try:
        while chunk := os.read(ours, 4096):
            received += chunk
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return received.decode()


def test_it_counts_images_and_begins_at_what_is_done(run, picture, tmp_path):
    target = tmp_path / "set"
    common = (f"imgpath={picture}", "img_size=32", "output.shard_size=10", f"targetpath={target}")
    shown = on_a_terminal(*common, "num_imgs=40")
    assert "40/40" in shown and "img/s" in shown
    for shard in ("000001", "000003"):  # as a stop would leave it
        (target / "manifest" / f"{shard}.jsonl").unlink()
        shutil.rmtree(target / "train" / "my-picture" / shard)
    shown = on_a_terminal(*common, "num_imgs=40", "batch_size=1")
    first = shown.split("/40")[0]
    assert first.split()[-1] == "20" and "40/40" in shown


def test_it_is_silent_where_nobody_looks(run, picture, tmp_path):
    result = run(f"imgpath={picture}", "num_imgs=5", "img_size=32", f"targetpath={tmp_path / 's'}")
    assert result.stderr == ""
