"""What others read of a training: its trunk, and the whole method."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import singleimg
from singleimg.errors import UserError
from singleimg.learn.methods.supervised import Supervised
from singleimg.learn.training import checkpoints, exported
from singleimg.learn.training.trunk import load_method

TINY = ("task=pretrain", "network=cifar_conv4", "network.widths=[4,4,8,8]", "img_size=32",
        "method.updates=3", "method.batch_size=8", "task.tensorboard=false")  # fmt: skip


@pytest.fixture(scope="module")
def supervised(run, labelled, tmp_path_factory) -> Path:
    """A training with labels."""
    folder = tmp_path_factory.mktemp("trained") / "supervised"
    run(*TINY, "method=supervised", "data=imagefolder", f"data.path={labelled}",
        f"targetpath={folder}")  # fmt: skip
    return folder


def test_a_method_is_loaded_whole_and_says_the_classes_as_it_did(supervised):
    method, network, record = load_method(supervised)
    state = checkpoints.load(supervised / "checkpoints" / "last.pt")["method"]
    assert isinstance(method, Supervised) and not method.training
    assert all(torch.equal(state[name], found) for name, found in method.state_dict().items())
    assert (network.size, record["decides"]["classes"]) == (32, 2)
    images = torch.rand(5, 3, 32, 32)
    assert method(images).shape == (5, 2)
    assert torch.equal(method(images), method.head(method.top(method.trunk(images))))


def test_it_is_loaded_from_one_file_too(run, supervised, tmp_path):
    file, method = tmp_path / "teacher.safetensors", load_method(supervised)[0]
    run("task=export_trunk", f"task.checkpoint={supervised}", "task.head=true", f"task.to={file}")
    again, network, record = load_method(file)
    images = torch.rand(5, 3, 32, 32)
    assert isinstance(again, Supervised) and torch.equal(again(images), method(images))
    assert (network.size, record["decides"]["classes"]) == (32, 2)
    assert torch.equal(singleimg.load_trunk(file)(images), method.trunk(images))


def test_a_file_with_a_trunk_alone_is_no_method(run, supervised, tmp_path):
    file = tmp_path / "trunk.safetensors"
    run("task=export_trunk", f"task.checkpoint={supervised}", f"task.to={file}")
    images = torch.rand(5, 3, 32, 32)
    trunk = singleimg.load_trunk(str(file))
    assert torch.equal(trunk(images), singleimg.load_trunk(supervised)(images))
    assert not trunk.training
    with pytest.raises(UserError) as mistake:
        load_method(file)
    assert str(mistake.value) == (
        f"{file} holds a trunk alone: type the folder of its training, or write it again by "
        "task=export_trunk task.head=true."
    )


@pytest.mark.parametrize(("change", "said"), [
    (lambda record: record["decides"]["network"].update(widths=[4, 4, 8, 9]), "RuntimeError: "
     "Error(s) in loading state_dict for Trunk: "),
    (lambda record: record["decides"].pop("inputs"), "KeyError: 'inputs'"),
    (lambda record: record.pop("decides"), "KeyError: 'decides'"),
])  # fmt: skip
def test_a_file_whose_record_tells_of_another_network_is_a_sentence(
    run, supervised, tmp_path, change, said
):
    file = tmp_path / "trunk.safetensors"
    run("task=export_trunk", f"task.checkpoint={supervised}", f"task.to={file}")
    found = exported.read(file)
    change(found.record)
    exported.write(file, found, {})
    with pytest.raises(UserError) as mistake:
        singleimg.load_trunk(file)
    assert str(mistake.value).startswith(f"{file} holds other weights than its record says ({said}")
    assert str(mistake.value).endswith("): write it again by task=export_trunk.")


def test_the_record_of_a_stranger_names_no_code_and_reads_no_secret(run, supervised, tmp_path):
    file = tmp_path / "trunk.safetensors"
    run("task=export_trunk", f"task.checkpoint={supervised}", f"task.to={file}")

    def refused(**settings: str) -> str:
        found = exported.read(file)
        found.record["decides"]["method"].update(settings)
        other = tmp_path / "other.safetensors"
        exported.write(other, found, {})
        with pytest.raises(UserError) as mistake:
            singleimg.load_trunk(other)
        return str(mistake.value)

    assert refused(_target_="os.system").startswith("method._target_=os.system is not trusted: ")
    assert refused(name="${oc.env:HOME}") == (
        "method.name=${oc.env:HOME} holds ${ as a text: leave it out."
    )


def test_its_trunk_is_a_module_in_eval_mode_that_gives_maps(supervised):
    trunk = singleimg.load_trunk(supervised)
    method, *_ = load_method(supervised / "checkpoints" / "last.pt")
    images = torch.rand(2, 3, 32, 32)
    assert not any(module.training for module in trunk.modules())
    assert [tuple(map.shape[1:]) for map in trunk.layers(images)] == [
        (4, 11, 11), (4, 6, 6), (8, 3, 3), (8, 3, 3),
    ]  # fmt: skip
    assert torch.equal(trunk(images), method.trunk(images))
