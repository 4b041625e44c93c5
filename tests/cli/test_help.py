"""``--help`` and ``--cfg job``: quick, and all of conf/ on one page."""

from __future__ import annotations

import subprocess
import sys

from singleimg.config.location import CONF
from singleimg.version import __version__
from tests.conftest import ROOT


def test_the_page_names_every_key_group_and_choice(run_process):
    page = run_process("--help").stdout
    for line in (CONF / "config.yaml").read_text().splitlines():
        key, _, comment = line.partition("#")
        if comment and line[0].isalpha() and not key.startswith("hydra"):
            assert comment.strip() in " ".join(page.split()) and key.split(":")[0] in page
    for file in CONF.glob("*/*.yaml"):
        assert file.stem in page
    assert page.count("python run.py") == 10
    assert max(map(len, page.splitlines())) <= 100


def test_it_needs_no_torch():
    for flags in ("--help", "--cfg job"):
        command = [sys.executable, "-X", "importtime", "run.py", *flags.split()]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0
        assert "omegaconf" in result.stderr and "| torch" not in result.stderr.replace("   ", " ")


def test_cfg_job_shows_the_settings(run):
    assert "num_imgs: 1281167" in run("--cfg", "job").stdout


def test_the_version_is_ours(run):
    assert run("--version").stdout == f"singleimg {__version__}\n"
