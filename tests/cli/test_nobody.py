"""A user without a name and a home, as in a container that is run with a user id of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT

# It may read all, lest the interpreter lie in somebody's home, and write nothing of others.
RIGHTS = ("inh-caps", "ambient-caps", "bounding-set")
NOBODY = [
    *("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"),
    *(f"--{kind}=-all,+dac_read_search" for kind in RIGHTS),
    *("env", "-u", "HOME", "-u", "XDG_CACHE_HOME", "-u", "SINGLEIMG_CACHE"),
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("setpriv") or not hasattr(os, "getuid") or os.getuid() != 0,
        reason="only root can become nobody, by setpriv",
    ),
]


@pytest.fixture
def place(tmp_path):
    """A folder that everybody may write to, at a path that everybody may go."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder.name.startswith(("pytest", "test_")):
            folder.chmod(0o777)
    return tmp_path


def nobody(*arguments: str, place: Path) -> str:
    result = subprocess.run(
        [*NOBODY, f"TMPDIR={place}", sys.executable, str(ROOT / "run.py"), *arguments],
        cwd=place, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_all_that_the_program_does_works(place):
    missing = "There is no home folder for a cache of pictures: done without."
    workers = ["threads=2", "backend.from_seconds=0", "output.shard_size=10"]
    assert missing in nobody("num_imgs=40", "img_size=16", *workers, "targetpath=set", place=place)
    nobody("task=verify", "targetpath=set", "task.deep=true", place=place)
    training = ["task=pretrain", "network=cifar_conv4", "augment=paper", "img_size=32",
                "num_imgs=96", "method.batch_size=16", "method.updates=2"]  # fmt: skip
    for method in ("rotnet", "deepcluster"):
        nobody(*training, f"method={method}", f"targetpath={method}", place=place)
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            (place / "labelled" / part / label).mkdir(parents=True)
            for k in range(20):
                pixels = np.random.default_rng(k).integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / "labelled" / part / label / f"{k}.png")
    nobody("task=probe", "task.checkpoint=rotnet", "data=imagefolder",
           f"data.path={place / 'labelled'}", place=place)  # fmt: skip
    assert list((place / "rotnet" / "probes").glob("*.png"))
