"""``-m``: no job stops another, one table tells of all, and one command runs those that failed."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.cli.conftest import SMALL, TRUST
from tests.conftest import ROOT
from tests.scenarios import Command, wait_until
from tests.stubs import NAP

LAUNCHERS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
}
DEADLY = (*SMALL[1:-2], "engine._target_=tests.stubs.DeadlyEngine", TRUST)  # from 71 images on


def rows(sweep: Path) -> list[dict[str, str]]:
    """Those of ``sweep.csv``, which says what ``sweep.yaml`` says."""
    with open(sweep / "sweep.csv", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    kept = yaml.safe_load((sweep / "sweep.yaml").read_text())
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in kept] == found
    return found


def statuses(sweep: Path) -> list[str]:
    return [row["status"] for row in rows(sweep)]


def test_a_job_is_a_line_and_all_are_a_table(run, picture, tmp_path):
    said = run("-m", f"imgpath={picture}", "num_imgs=6", "img_size=32", "deg=0,30", "shear=0,10",
               "targetpath=sets", "hydra.sweep.dir=sweep", cwd=tmp_path).stdout  # fmt: skip
    lines = said.splitlines()
    values = [("0", "0"), ("0", "10"), ("30", "0"), ("30", "10")]
    for number, (deg, shear) in enumerate(values, 1):
        assert re.fullmatch(
            rf"job {number} of 4, deg={deg} shear={shear}: 6 images, [\d.]+ kB, [\d,]+ images/s, "
            rf"{tmp_path}/sets/my-picture-script-32px-deg{deg}-shear{shear}-\w{{8}}",
            lines[number - 1],
        )
        assert re.fullmatch(
            rf"{number}    {deg} *{shear} *done    6       [\d.]+ kB +[\d,]+ +{tmp_path}/sets/.*",
            lines[number + 4],
        )
    assert re.fullmatch(r"job  deg  shear  status  images  size +images/s  folder", lines[4])
    assert lines[9:] == [f"Sweep:   {tmp_path}/sweep/index.html, sweep.csv, sweep.yaml"]
    found = rows(tmp_path / "sweep")
    assert [(row["job"], row["deg"], row["shear"]) for row in found] == [
        (str(number), *pair) for number, pair in enumerate(values, 1)
    ]
    for row in found:
        assert row["images"] == "6" and float(row["value"]) > 0 and float(row["seconds"]) > 0
        files = (Path(row["folder"]) / "train").rglob("*.jpg")
        assert int(row["bytes"]) == sum(file.stat().st_size for file in files)
    page = (tmp_path / "sweep" / "index.html").read_text()
    assert page.count('<td class="strip"><img ') == 4 and "<h2>deg × shear</h2>" in page
    shown = np.asarray(Image.open(tmp_path / "sweep" / "figure.png"))
    first = next((Path(found[3]["folder"]) / "train").rglob("*_000000000.jpg"))
    patch = Image.open(first).resize((96, 96), Image.Resampling.NEAREST)
    assert (shown[124:220, 190:286] == np.asarray(patch)).all()  # deg=30, shear=10


def test_those_that_failed_are_run_again_by_the_command_that_is_printed(run, picture, tmp_path):
    """Pasted into a shell, with commas, spaces and quotes in what was typed."""
    names = ["a b, c.png", "it's.png", "later.png"]
    for name in names[:2]:
        copyfile(picture, tmp_path / name)
    common = ("-m", f"imgpath={','.join(map(chr(34).join, [('', n, '') for n in names]))}",
              "num_imgs=3,4", "img_size=32", "targetpath=sets")  # fmt: skip
    result = run(*common, cwd=tmp_path, code=1)
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    assert statuses(sweep) == ["done"] * 4 + ["failed"] * 2
    lines = result.stderr.splitlines()
    assert len(lines) == 3 and "Traceback" not in result.stderr
    for number, line, count in zip((5, 6), lines, (3, 4), strict=False):
        assert line.startswith(f"job {number}, imgpath=")
        assert f"num_imgs={count}: imgpath={tmp_path}/later.png" in line
    said, _, command = lines[2].partition(", type ")
    assert said == "2 of 6 jobs failed: to run those again"
    copyfile(picture, tmp_path / "later.png")
    before = {file: file.stat().st_mtime_ns for file in (sweep / ".jobs").iterdir()}
    assert command.startswith("python run.py -m ")
    again = subprocess.run(
        ["bash", "-c", command.replace("python run.py", f"'{sys.executable}' '{ROOT}/run.py'", 1)],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert statuses(sweep) == ["done"] * 6
    after = {file: file.stat().st_mtime_ns for file in (sweep / ".jobs").iterdir()}
    assert sorted(f.stem for f in after if after[f] != before[f]) == ["4", "5"]
    assert len(re.findall(r"^job \d of 6", again.stdout, re.M)) == 2


def test_a_mistake_in_the_program_stops_no_other_job(run, picture, tmp_path):
    result = run("-m", f"imgpath={picture}", "num_imgs=3", "seed=1,2", "img_size=32",
                 "engine._target_=tests.stubs.Nothing,native", TRUST, "targetpath=sets",
                 "hydra.sweep.dir=sweep", cwd=tmp_path, code=1)  # fmt: skip
    assert statuses(tmp_path / "sweep") == ["failed", "done", "failed", "done"]
    assert "2 of 4 jobs failed: to run those again, type python run.py -m " in result.stderr


@pytest.mark.parametrize(
    "launcher", ["joblib", pytest.param("submitit_local", marks=pytest.mark.distributed)]
)
def test_of_one_whose_process_is_killed_the_others_are_done(launcher, picture, tmp_path):
    pytest.importorskip(LAUNCHERS[launcher], reason=f"{launcher} is not installed")
    result = Command("-m", f"hydra/launcher={launcher}", f"imgpath={picture}", *DEADLY,
                     "num_imgs=60,180,50", f"targetpath={tmp_path}/sets",
                     f"hydra.sweep.dir={tmp_path}/sweep", cwd=tmp_path,
                     PYTHONPATH=str(ROOT)).end()  # fmt: skip
    assert result.status == 1, result.output
    assert statuses(tmp_path / "sweep") == ["done", "failed", "done"]
    assert ("job 2, num_imgs=180: its process was killed, most likely because memory ran out"
            in result.output.splitlines())  # fmt: skip
    assert "Traceback" not in result.output


@pytest.mark.distributed
def test_a_process_that_is_killed_once_has_its_jobs_run_again(picture, tmp_path):
    pytest.importorskip(LAUNCHERS["joblib"], reason="joblib's launcher is not installed")
    sweep = tmp_path / "sweep"
    command = Command("-m", "hydra/launcher=joblib", f"imgpath={picture}", *SMALL, "seed=1,2,3",
                      f"targetpath={tmp_path}/sets", f"hydra.sweep.dir={sweep}", cwd=tmp_path,
                      PYTHONPATH=str(ROOT), **{NAP: "0.02"})  # fmt: skip
    assert wait_until(lambda: len(list(sweep.glob(".jobs/*.json"))) > 0)
    assert wait_until(lambda: len(command.workers()) > 1)
    os.kill(command.workers()[0].pid, signal.SIGKILL)
    result = command.end()
    assert result.status == 0, result.output
    assert statuses(sweep) == ["done"] * 3
    assert "A process of the sweep was killed: " in result.output


def test_a_search_is_told_which_jobs_failed(run, picture, tmp_path, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="optuna is not installed")
    from optuna.study import Study

    told, tell = [], Study.tell

    def telling(self: Study, trial, values=None, state=None, **more) -> None:
        told.append((state.name, values and values[0]))
        tell(self, trial, values=values, state=state, **more)

    monkeypatch.setattr(Study, "tell", telling)
    result = run("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6",
                 "hydra.sweeper.n_jobs=2", "hydra.sweeper.direction=maximize",
                 "hydra.sweeper.sampler.seed=1", f"imgpath={picture}", "num_imgs=3",
                 "img_size=32", "deg=range(-60,60)", f"targetpath={tmp_path}/sets",
                 f"hydra.sweep.dir={tmp_path}/sweep", cwd=tmp_path, code=1)  # fmt: skip
    found = rows(tmp_path / "sweep")
    failed = [row["status"] == "failed" for row in found]
    assert failed == [float(row["deg"]) < 0 for row in found] and 0 < sum(failed) < len(found) == 6
    assert [state == "FAIL" for state, _ in told] == failed
    assert [value for _, value in told if value is not None] == [
        float(row["value"]) for row in found if row["value"]
    ]
    assert "to run the first of them alone, type python run.py " in result.stderr.splitlines()[-1]
