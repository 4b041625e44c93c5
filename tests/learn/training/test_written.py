"""A training that version 0.1.0 began is loaded, and gone on with by that version alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from singleimg.learn.training.trunk import load_method
from singleimg.version import __version__
from tests.fixtures.make import GOLDEN_TRAINING, TRAINING, TRAININGS, WRITTEN, trained
from tests.written import lay_out

WHOLE = TRAININGS[0]


def typed(folder: Path) -> tuple[str, ...]:
    """The command that made it, in today's spelling."""
    training = [one.replace("train.tensorboard", "task.tensorboard") for one in TRAINING]
    return (*training, f"imgpath={folder.parent}/picture.png", f"targetpath={folder}")


def last(folder: Path) -> Path:
    return folder / "checkpoints" / "last.pt"


def test_its_trunk_is_loaded_and_sees_what_it_saw():
    golden, found = json.loads(GOLDEN_TRAINING.read_text()), trained(WRITTEN / WHOLE)
    assert found["weights"] == golden["weights"]  # to the bit: nothing is computed
    assert found["features"] == pytest.approx(golden["features"], rel=1e-4, abs=1e-5)
    assert max(golden["features"]) > 0.1
    _, network, record = load_method(last(WRITTEN / WHOLE))
    assert (network.name, network.size) == ("cifar_conv4", 32)
    assert record["decides"]["inputs"]["images"] == 24


@pytest.mark.parametrize("name", TRAININGS)
def test_to_go_on_with_it_is_refused_since_its_images_would_be_others(run, tmp_path, name):
    folder = lay_out(name, tmp_path)
    before = last(folder).read_bytes()
    assert (
        f"targetpath={folder} was made by singleimg 0.1.0, which drew other numbers than "
        f"{__version__}: type another targetpath, task.resume=never to replace it, or use that "
        "version to resume it."
    ) in run(*typed(folder), code=1).stderr
    assert last(folder).read_bytes() == before
