"""What tells one probe from another: the training, its checkpoint, the protocol, the images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from PIL import Image

import singleimg
from singleimg.config import make
from singleimg.errors import UserError
from singleimg.learn.probes.base import protocol_digest
from singleimg.learn.probes.checkpoint import accuracy_of, row_name
from singleimg.learn.probes.images import evenly_spaced
from singleimg.learn.probes.scores import LayerScore, RunScore
from singleimg.learn.tasks.probe import checkpoints, name_parts

STORED = {
    "method": {"_target_": "rotnet", "name": "rotnet"},
    "network": {"_target_": "cifar_conv4"},
    "seed": 0,
    "inputs": {"stored": {"sources": ["a"], "seed": 0.0}, "images": 9},
}


def training(folder: Path, **changes: object) -> Path:
    """The record of a training."""
    folder.mkdir()
    record = {"decides": {**STORED, **changes}, "made_with": {}}
    (folder / "pretrain.json").write_text(json.dumps(record))
    return folder


def folders(home: Path, *names: str) -> Path:
    """A labelled set of files of these names."""
    for part in ("train", "test"):
        (home / part / "cat").mkdir(parents=True)
        for name in names:
            Image.new("L", (5, 4)).save(home / part / "cat" / f"{name}.png")
    return home


def digest(data: Path, *typed: str) -> str:
    cfg = singleimg.compose("task=probe", "data=imagefolder", f"data.path={data}", *typed)
    settings = OmegaConf.to_container(cfg.probe, resolve=True)
    return protocol_digest(settings, make.instantiate(cfg, "data"), cfg.seed)


def test_scores_are_of_a_protocol_and_of_these_images(tmp_path: Path) -> None:
    one, same, other = (folders(tmp_path / k, *names) for k, names in zip(
        "abc", ("12", "12", "13"), strict=True))  # fmt: skip
    assert digest(one) == digest(same)
    assert len({digest(one), digest(other), digest(one, "probe.epochs=9"), digest(one, "seed=1"),
                digest(one, "probe=streamed")}) == 5  # fmt: skip


def test_what_changes_no_score_may_change_between_a_stop_and_going_on(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", "1")
    assert digest(data) == digest(data, "probe.memory=9")
    assert digest(data, "probe=streamed") == digest(data, "probe=streamed", "threads=7")


def test_a_row_is_of_runs_that_differ_in_their_seed_alone() -> None:
    last = Path("run/checkpoints/last.pt")
    again = {**STORED, "seed": 1, "inputs": {"stored": {"sources": ["a"], "seed": 1.0},
                                             "images": 9}}  # fmt: skip
    other = {**STORED, "inputs": {"stored": {"sources": ["b"], "seed": 0.0}, "images": 9}}
    assert row_name(STORED, last) == row_name(again, last) != row_name(other, last)
    assert row_name(STORED, last.with_name("at-33.pt")) != row_name(STORED, last)
    assert row_name(STORED, last.with_name("at-33.pt")).startswith("rotnet, stored, at-33 (")


def test_the_same_run_twice_is_no_second_seed(tmp_path: Path) -> None:
    one, same = training(tmp_path / "a"), training(tmp_path / "b")
    other = training(tmp_path / "c", seed=1)
    cfg = singleimg.compose("task=probe", f"task.checkpoint=[{one},{other}]")
    assert [file.parents[1] for file in checkpoints(cfg)] == [one, other]
    cfg = singleimg.compose("task=probe", f"task.checkpoint=[{one},{other},{same}]")
    with pytest.raises(UserError) as mistake:
        checkpoints(cfg)
    assert str(mistake.value) == (
        f"task.checkpoint={cfg.task.checkpoint} names two trainings of the same settings and the "
        f"same seed ({same}): leave one of them out."
    )


def test_files_are_named_by_what_was_probed(tmp_path: Path) -> None:
    files = [tmp_path / name / "checkpoints" / "last.pt" for name in "ab"]
    assert name_parts(files[:1]) == ["last"]
    runs, digest = name_parts(files)
    assert runs == "2-runs" and [runs, digest] != name_parts(files[::-1])


def test_a_part_of_a_set_is_spread_evenly_over_it() -> None:
    assert evenly_spaced(10, 4) == [0, 2, 5, 7]
    assert evenly_spaced(3, None) == evenly_spaced(3, 3) == evenly_spaced(3, 9) == [0, 1, 2]


def test_what_a_sweep_compares_is_the_accuracy_after_one_layer() -> None:
    runs = [(0.5, 0.6, 0.4), (0.7, 0.8, 0.2)]
    scores = [
        RunScore("rotnet", seed, "tiny", tuple(LayerScore(k, a, 0.1) for k, a in enumerate(run, 1)))
        for seed, run in enumerate(runs)
    ]
    assert accuracy_of(scores, "conv2") == pytest.approx(0.7)
    assert accuracy_of(scores, None) == pytest.approx(0.3)
    with pytest.raises(UserError) as caught:
        accuracy_of(scores, "conv4")
    assert str(caught.value) == (
        "task.layer=conv4 is not a layer of the network: type one from conv1 to conv3."
    )
