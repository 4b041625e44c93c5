"""``method.init``: a training that begins with another one's trunk, and keeps its first stages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import singleimg
from singleimg.errors import UserError
from singleimg.learn.methods.supervised import Supervised
from singleimg.learn.training import checkpoints
from singleimg.learn.training.origins import Origin, take_over
from singleimg.learn.training.run import describe_run
from singleimg.learn.training.trunk import fingerprint, load_record
from tests.learn import tiny

NETWORK = ("network=cifar_conv4", "network.widths=[4,4,8,8]", "img_size=32")
FEW = ("method.updates=2", "method.batch_size=8", "task.tensorboard=false")
SUPERVISED = ("task=pretrain", "method=supervised", *NETWORK, *FEW)


@pytest.fixture(scope="module")
def rotnet(run, picture, tmp_path_factory) -> Path:
    """What was learned from one picture."""
    folder = tmp_path_factory.mktemp("one") / "rotnet"
    run("task=pretrain", "method=rotnet", *NETWORK, *FEW, "augment=paper", f"imgpath={picture}",
        "num_imgs=16", f"targetpath={folder}")  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def data(labelled) -> tuple[str, str]:
    return "data=imagefolder", f"data.path={labelled}"


def state(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoints.load(folder / "checkpoints" / "last.pt")["method"]


def decided(*typed: str) -> dict:
    """The record of a training that was not begun."""
    return describe_run(singleimg.compose(*SUPERVISED, *typed)).record


def test_first_layers_from_one_picture_stay_as_they_are(run, rotnet, data, tmp_path):
    folder = tmp_path / "frozen"
    run(*SUPERVISED, *data, f"method.init={rotnet}", "method.freeze=2", f"targetpath={folder}")
    before, after = state(rotnet), state(folder)
    trunk = {name for name in before if name.startswith("trunk.")}
    same = {name for name in trunk if torch.equal(before[name], after[name])}
    assert same == {
        name for name in trunk if name.startswith(("trunk.stages.0.", "trunk.stages.1."))
    }
    record = load_record(folder)
    assert record["decides"]["method"]["freeze"] == 2
    assert record["decides"]["method"]["init"].startswith("sha256:")
    assert record["origins"] == {"init": str(rotnet)}
    trunk = singleimg.load_trunk(folder)  # whoever takes it over may train all of it
    assert all(weight.requires_grad for weight in trunk.parameters()) and not trunk.frozen


def test_what_decides_is_the_weights_wherever_they_lie(run, rotnet, data, tmp_path):
    moved, file = tmp_path / "moved", tmp_path / "trunk.safetensors"
    shutil.copytree(rotnet, moved)
    run("task=export_trunk", f"task.checkpoint={rotnet}", f"task.to={file}")
    places = [rotnet, moved, moved / "checkpoints" / "last.pt", file]
    records = [decided(*data, f"method.init={place}") for place in places]
    assert len({fingerprint(record) for record in records}) == 1
    assert not any(str(tmp_path) in json.dumps(record["decides"]) for record in records[1:])
    last = checkpoints.load(moved / "checkpoints" / "last.pt")
    last["method"]["trunk.stages.0.0.weight"][0] += 1
    checkpoints.save(moved / "checkpoints" / "last.pt", last)
    assert fingerprint(decided(*data, f"method.init={moved}")) != fingerprint(records[0])
    assert fingerprint(decided(*data, f"method.init={rotnet}", "method.freeze=1")) != fingerprint(
        records[0]
    )


def test_whoever_gets_its_weights_does_not_learn_where_it_began(run, rotnet, data, tmp_path):
    folder, file = tmp_path / "run", tmp_path / "trunk.safetensors"
    run(*SUPERVISED, *data, f"method.init={rotnet}", f"targetpath={folder}")
    run("task=export_trunk", f"task.checkpoint={folder}", f"task.to={file}")
    assert str(rotnet.parent).encode() not in file.read_bytes()


def test_a_training_without_them_is_what_it_was_before_there_were_such_settings(data):
    assert decided(*data)["decides"]["method"].keys().isdisjoint({"init", "freeze"})
    assert "origins" not in decided(*data)


def test_it_resumes_when_what_it_began_with_was_moved_or_is_gone(run, rotnet, data, tmp_path):
    origin, folder = tmp_path / "origin", tmp_path / "run"
    shutil.copytree(rotnet, origin)
    command = (*SUPERVISED, *data, "method.freeze=1", "task.keep=[0.5]", f"targetpath={folder}")
    run(*command, f"method.init={origin}")
    whole = state(folder)

    def resumed(init: Path) -> bool:
        """From the first update, to the same weights."""
        shutil.copy(folder / "checkpoints" / "at-50.pt", folder / "checkpoints" / "last.pt")
        said = run(*command, f"method.init={init}").stdout
        assert "Resumes after update 1." in said
        return all(torch.equal(whole[name], one) for name, one in state(folder).items())

    moved = origin.rename(tmp_path / "moved")
    assert resumed(moved)
    shutil.rmtree(moved)
    assert resumed(moved)  # the place that the record knows
    assert (
        f"method.init={origin} cannot be used: {origin} holds no training: type the folder of a "
        "task=pretrain, or one of its .pt files."
    ) in run(*command, f"method.init={origin}", code=1).stderr
    again = run(*command, f"method.init={moved}", "task.resume=never", code=1)
    assert f"method.init={moved} cannot be used: " in again.stderr
    assert state(folder).keys() == whole.keys()  # what is there stays


def test_a_trunk_of_another_network_is_refused_and_both_are_named(run, rotnet, data, tmp_path):
    def said(*typed: str) -> str:
        result = run("task=pretrain", "method=supervised", *data, *FEW, *typed,
                     f"method.init={rotnet}", f"targetpath={tmp_path / 'x'}", code=1)  # fmt: skip
        assert not (tmp_path / "x").exists()
        return result.stderr

    assert said("network=cifar_conv4", "img_size=32") == (
        f"method.init={rotnet} holds the trunk of network=cifar_conv4 with "
        "network.widths=[4,4,8,8], and this training has network=cifar_conv4 with "
        "network.widths=[32,64,128,128]: type the same network for both.\n"
    )
    assert said("network=wrn", "network.width=1", "img_size=32") == (
        f"method.init={rotnet} holds the trunk of network=cifar_conv4, and this training has "
        "network=wrn: type the same network for both.\n"
    )


def test_a_trunk_that_another_method_made_differently_is_refused(pictures):
    method, settings = tiny.built(Supervised, pictures), {"_target_": "cifar_conv4"}
    decides = {"network": settings, "method": {"name": "monogan"}}
    critic = Origin("/a/critic", "", tiny.NETWORK.trunk(norm=False, slope=0.2), decides)
    with pytest.raises(UserError) as mistake:
        take_over(method, settings, {"init": critic})
    assert str(mistake.value) == (
        "method.init=/a/critic holds the trunk of network=cifar_conv4 that method=monogan trains, "
        "whose layers differ from those of this training (BatchNorm): type another training."
    )


@pytest.mark.parametrize(("path", "sentence"), [
    ("nothing", "{0} holds no training: type the folder of a task=pretrain, or one of its .pt "
     "files."),
    ("a.safetensors", "{0} does not exist: type a file that task=export_trunk has written."),
])  # fmt: skip
def test_what_is_no_training_is_refused(data, tmp_path, path, sentence):
    place = tmp_path / path
    with pytest.raises(UserError) as mistake:
        decided(*data, f"method.init={place}")
    assert str(mistake.value) == (f"method.init={place} cannot be used: {sentence.format(place)}")


def test_a_relative_path_is_one_from_where_it_was_typed(run, rotnet, data, tmp_path):
    run(*SUPERVISED, *data, f"method.init={rotnet.name}", f"targetpath={tmp_path / 'run'}",
        cwd=rotnet.parent)  # fmt: skip
    assert load_record(tmp_path / "run")["origins"] == {"init": str(rotnet)}
    run("-cp", tmp_path / "run", "-cn", "config", f"targetpath={tmp_path / 'again'}", cwd=tmp_path)
    first, again = state(tmp_path / "run"), state(tmp_path / "again")
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_method_without_such_settings_has_none(run, rotnet, picture):
    result = run("task=pretrain", "method=rotnet", *NETWORK, f"imgpath={picture}",
                 f"method.init={rotnet}", code=1)  # fmt: skip
    assert result.stderr == (
        "method.init is a key of method=supervised: type that too, or leave method.init out.\n"
    )
