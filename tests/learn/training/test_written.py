"""A training that an earlier version began is loaded, gone on with, and known again as finished."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from singleimg import load_trunk
from singleimg.learn.training.checkpoints import load
from tests.fixtures.make import GOLDEN_TRAINING, TRAINING, TRAININGS, UPDATES, WRITTEN, trained
from tests.written import lay_out

WHOLE, STOPPED = TRAININGS


def typed(folder: Path) -> tuple[str, ...]:
    """The command that made it."""
    return (*TRAINING, f"imgpath={folder.parent}/picture.png", f"targetpath={folder}")


def last(folder: Path) -> Path:
    return folder / "checkpoints" / "last.pt"


def test_its_trunk_is_loaded_and_sees_what_it_saw():
    golden, found = json.loads(GOLDEN_TRAINING.read_text()), trained(WRITTEN / WHOLE)
    assert found["weights"] == golden["weights"]  # to the bit: nothing is computed
    assert found["features"] == pytest.approx(golden["features"], rel=1e-4, abs=1e-5)
    assert max(golden["features"]) > 0.1
    _, network, record = load_trunk(last(WRITTEN / WHOLE))
    assert (network.name, network.size) == ("cifar_conv4", 32)
    assert record["decides"]["inputs"]["images"] == 24


def test_a_finished_one_is_known_again(run, tmp_path):
    folder = lay_out(WHOLE, tmp_path)
    before = last(folder).read_bytes()
    run(*typed(folder))
    assert last(folder).read_bytes() == before


def test_a_stopped_one_ends_as_if_nobody_had_stopped_it(run, tmp_path):
    folder = lay_out(STOPPED, tmp_path)
    begun, whole = load(last(folder)), load(last(WRITTEN / WHOLE))
    assert 0 < begun["step"] < UPDATES and begun["epoch"] is not None  # in the midst of an epoch
    assert f"Goes on after update {begun['step']}." in run(*typed(folder)).stdout
    ended = load(last(folder))
    assert (ended["step"], ended["epochs"]) == (UPDATES, whole["epochs"])
    assert ended["fingerprint"] == begun["fingerprint"] == whole["fingerprint"]
    for name, tensor in whole["method"].items():
        # Other versions and processors add up in another order.
        torch.testing.assert_close(ended["method"][name], tensor, rtol=1e-3, atol=1e-4)
