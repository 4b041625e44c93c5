"""``task=study`` as a user types it."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import singleimg
from singleimg.errors import UserError
from tests.browser import seen_by_everyone
from tests.scenarios import Command, wait_until


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """Ten classes, each a colour of its own under noise: 40 images a class to train, 5 to test."""
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 5)):
        for label in range(10):
            place = folder / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                colour = np.array([label * 25, 250 - label * 25, label % 3 * 100])
                pixels = colour + random.normal(0, 20, (32, 32, 3))
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{number}.png")
    return folder


def data(folder: Path) -> tuple[str, ...]:
    """The labelled set, as it is typed."""
    return "data=imagefolder", f"data.path={folder}"


def test_the_whole_study_runs_is_kept_and_says_what_holds(run, picture, labelled, tmp_path):
    """A few updates of each row: its figures mean nothing, its parts are all there."""
    command = (
        "experiment=study_cifar10", "budget=smoke", "image=file", f"imgpath={picture}",
        *data(labelled), "task.parts=[table,students,ablation,choices]", "probe.epochs=1",
        "probe.images=100", f"targetpath={tmp_path}",
    )  # fmt: skip
    said = run(*command).stdout
    assert "Null control, augment=paper: on noise RotNet tells" in said
    for row in ("random", "random, statistics recomputed", "supervised", "RotNet, one image",
                "RotNet, one image, half", "RotNet, full set", "RotNet, full set, half",
                "RotNet, 50 real images", "SimCLR, one image", "SimCLR, full set",
                "student of ameyoko", "student of noise", "student of the real images", "none",
                "jitter", "rotation", "scale", "rotation+jitter", "rotation+scale",
                "jitter+scale", "all", "DeepCluster, one image, tried"):  # fmt: skip
        assert f"| {row} |" in said
    for letter, many in (("a", 3), ("b", 4), ("c", 2), ("d", 6), ("e", 1)):
        assert said.count(f"- ({letter}) ") == many
    assert {"table.md", "scores.csv", "study.json", "report.html", "run.log"} <= {
        file.name for file in tmp_path.iterdir()
    }
    seen_by_everyone(tmp_path / "report.html")
    assert len(list(tmp_path.glob("rows/*/report.html"))) == len(list(tmp_path.glob("rows/*")))
    page = (tmp_path / "report.html").read_bytes()
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("rows/*/checkpoints/*")}
    assert len(before) > 20  # a row leaves at least one
    again = run(*command).stdout
    # Rows are said as they come, in any order; the table and what follows it are the same.
    assert again.split("| | conv1", 1)[1] == said.split("| | conv1", 1)[1]
    assert before == {file: file.stat().st_mtime_ns for file in before}  # no row is made twice
    (tmp_path / "report.html").unlink()
    run("task=report", f"targetpath={tmp_path}")
    assert (tmp_path / "report.html").read_bytes() == page


@pytest.mark.slow
def test_a_study_that_is_killed_resumes_to_the_same_weights(picture, labelled, tmp_path):
    """By ``kill -9``, in the middle of a row."""
    command = (
        "experiment=study_cifar10", "budget=smoke", "image=file", f"imgpath={picture}",
        *data(labelled), "task.parts=[table]", "budget.methods.rotnet.updates=80",
        "train.checkpoint_every=4", "backend=sequential",
    )  # fmt: skip
    assert Command(*command, f"targetpath={tmp_path / 'whole'}").end().status == 0
    killed = tmp_path / "killed"
    row = killed / "rows" / "rotnet-one-image-seed-0" / "checkpoints" / "last.pt"
    first = Command(*command, f"targetpath={killed}")
    assert wait_until(lambda: row.exists() or first.ended(), 300)
    first.signal(signal.SIGKILL, everyone=True)
    first.end()
    assert 0 < torch.load(row, weights_only=True)["step"] < 80
    assert Command(*command, f"targetpath={killed}").end().status == 0
    names = {file.parents[1].name for file in (tmp_path / "whole").glob("rows/*/*/last.pt")}
    assert len(names) > 10
    for name in names:
        whole, resumed = (
            torch.load(folder / "rows" / name / "checkpoints" / "last.pt", weights_only=True)
            for folder in (tmp_path / "whole", killed)
        )
        assert whole["step"] == resumed["step"]
        for key, value in whole["method"].items():
            assert not isinstance(value, torch.Tensor) or torch.equal(value, resumed["method"][key])
    scores = [json.loads((folder / "study.json").read_text())["rows"]
              for folder in (tmp_path / "whole", killed)]  # fmt: skip
    for one, other in zip(*(rows["table"] for rows in scores), strict=True):
        assert one["score"] == other["score"] and one["facts"] == other["facts"]


@pytest.mark.parametrize("typed", ["deg=20", "augment.hflip=0"])
def test_what_the_rows_set_themselves_is_refused(typed):
    with pytest.raises(UserError, match="has no effect, since task=study does not read it") as one:
        singleimg.compose("task=study", "augment=paper", typed)
    assert str(one.value).startswith(f"{typed} ")


def test_keys_of_a_training_are_none_of_a_study(run):
    said = run("task=study", "task.keep=[0.5]", code=1).stderr
    assert said.startswith("task.keep is a key of task=pretrain and task=distil: ")
