"""The classifier that a method is taught by: where it comes from, and that it stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from torch import nn

from singleimg.errors import UserError
from singleimg.learn.training.teacher import Frozen, Normalise, load_teacher
from singleimg.learn.training.trunk import load_method

TINY = ("task=pretrain", "network=cifar_conv4", "network.widths=[4,4,8,8]", "img_size=32",
        "method.batch_size=8", "task.tensorboard=false")  # fmt: skip


@pytest.fixture(scope="module")
def trained(run, labelled, tmp_path_factory) -> Path:
    """A training with labels, of two classes."""
    folder = tmp_path_factory.mktemp("teachers") / "trained"
    run(*TINY, "method=supervised", "data=imagefolder", f"data.path={labelled}",
        "method.updates=3", "task.keep=[0.5]", f"targetpath={folder}")  # fmt: skip
    return folder


def test_it_is_a_training_with_labels(trained):
    teacher = load_teacher(str(trained))
    method, network, _ = load_method(trained)
    images = torch.rand(3, 3, 32, 32)
    assert torch.equal(teacher.model(images), method(images))
    assert (teacher.classes, teacher.model.size, network.size) == (2, 32, 32)
    assert teacher.seconds > 0 and teacher.path == str(trained)


def test_it_is_known_by_its_weights_wherever_they_lie(trained, tmp_path):
    found = load_teacher(str(trained)).digest
    moved = shutil.copytree(trained, tmp_path / "moved")
    last = moved / "checkpoints" / "last.pt"
    assert load_teacher(str(moved)).digest == load_teacher(str(last)).digest == found
    assert load_teacher(str(last.with_name("at-50.pt"))).digest != found


def test_its_exported_weights_are_the_same_teacher(run, trained, tmp_path):
    file = tmp_path / "teacher.safetensors"
    run("task=export_trunk", f"task.checkpoint={trained}", "task.head=true", f"task.to={file}")
    found, teacher = load_teacher(str(file)), load_teacher(str(trained))
    images = torch.rand(3, 3, 32, 32)
    assert found.digest == teacher.digest and found.seconds is None
    assert torch.equal(found.model(images), teacher.model(images))
    run("task=export_trunk", f"task.checkpoint={trained}", f"task.to={file}")
    assert refused(file) == (
        f"method.teacher={file} cannot be used: {file} holds a trunk alone: type the folder of its "
        "training, or write it again by task=export_trunk task.head=true."
    )


def test_nothing_changes_it_any_more():
    frozen = Frozen(nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2)), 4)
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    frozen.train()
    frozen(torch.rand(5, 3, 4, 4))
    assert not any(module.training for module in frozen.modules())
    assert not any(weight.requires_grad for weight in frozen.parameters())
    assert all(torch.equal(before[name], value) for name, value in frozen.state_dict().items())


@pytest.mark.parametrize("side", [8, 16, 32])
def test_images_of_another_size_are_resized_to_its_own(side):
    rows = torch.arange(side).float().view(1, 1, side, 1).expand(1, 3, side, side) / (side - 1)
    seen = Frozen(nn.Identity(), 16)(rows)
    assert seen.shape == (1, 3, 16, 16)
    assert torch.allclose(seen[0, 0, :, 3], torch.arange(16) / 15, atol=0.04)


def test_images_are_normalised_by_channel():
    images = torch.full((1, 3, 2, 2), 0.6)
    seen = Normalise([0.1, 0.2, 0.6], [0.5, 0.1, 1.0])(images)
    assert seen[0, :, 0, 0].tolist() == pytest.approx([1.0, 4.0, 0.0], abs=1e-6)


def refused(path: object) -> str:
    with pytest.raises(UserError) as mistake:
        load_teacher(str(path))
    return str(mistake.value)


def test_what_is_no_training_is_refused(tmp_path):
    assert refused(tmp_path / "gone").startswith(
        f"method.teacher={tmp_path / 'gone'} cannot be used: {tmp_path / 'gone'} holds no training"
    )
    assert refused(tmp_path).startswith(f"method.teacher={tmp_path} cannot be used: {tmp_path} ")


def test_one_that_learned_no_classes_is_refused(run, picture, tmp_path):
    folder = tmp_path / "run"
    run(*TINY, "method=rotnet", "augment=paper", f"imgpath={picture}", "num_imgs=16",
        "method.updates=1", f"targetpath={folder}")  # fmt: skip
    assert refused(folder) == (
        f"method.teacher={folder} was trained by method=rotnet, which knows no classes: type the "
        "folder of a task=pretrain method=supervised data=…."
    )


def test_a_name_that_timm_does_not_know_gets_a_hint():
    said = refused("timm:resnt18")
    assert said.startswith("method.teacher=timm:resnt18 is not a model of timm ")
    assert said.endswith(" (did you mean resnet18?): type one that timm.list_models() gives.")


def test_weights_of_timm_that_cannot_be_fetched_are_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    said = refused("timm:resnet18.a1_in1k")
    assert said.startswith(
        "method.teacher=timm:resnet18.a1_in1k has weights that cannot be fetched ("
    )
    assert said.endswith(
        "): use a machine that can fetch them, or type method.teacher=<the folder of a training>."
    )
    assert "\n" not in said


def test_a_model_of_timm_sees_images_as_its_weights_want_them(monkeypatch):
    """As if its weights had been fetched."""
    import timm

    create = timm.create_model
    torch.manual_seed(0)
    model = create("resnet18.a1_in1k").eval()
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: model)
    teacher = load_teacher("timm:resnet18.a1_in1k")
    assert (teacher.classes, teacher.model.size, teacher.seconds) == (1000, 224, None)
    images = torch.rand(2, 3, 224, 224)
    mean, deviation = (
        torch.tensor(model.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std")
    )
    assert torch.allclose(teacher.model(images), model((images - mean) / deviation), atol=1e-5)
