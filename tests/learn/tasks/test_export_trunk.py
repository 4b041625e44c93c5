"""``task=export_trunk`` as a user types it: timm reads what it wrote, without us."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import singleimg
from singleimg.learn.training.trunk import fingerprint, load_record

IMAGES = ("augment=paper", "img_size=32", "num_imgs=8", "task.tensorboard=false")
UNTRAINED = ("task=pretrain", "method=untrained", "method.batch_size=4", *IMAGES)

# What somebody types who has timm and safetensors, and never heard of this project.
THEIRS = """
import json, sys
import timm, torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

seen = {}
for file in sys.argv[2:]:
    with safe_open(file, framework="pt") as opened:
        said = opened.metadata()
    model = timm.create_model(**json.loads(said["timm"]))
    if "stem" in said:
        exec(said["stem"], {"model": model})
    model.load_state_dict(load_file(file), strict=True)
    mean, std = (torch.tensor(json.loads(said[key])).view(3, 1, 1) for key in ("mean", "std"))
    images = torch.linspace(0, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    with torch.no_grad():
        seen[file] = model.eval()((images - mean) / std).contiguous()
assert not [name for name in sys.modules if name.startswith("singleimg")]
save_file(seen, sys.argv[1])
"""


@pytest.fixture(scope="module")
def trainings(run, picture, tmp_path_factory) -> dict[str, Path]:
    """A trunk of each kind, whose BatchNorm has seen images."""
    home = tmp_path_factory.mktemp("trainings")
    kinds = {"resnet": ("network=timm_cifar",),
             "vit": ("network=timm_vit", "+network.settings.depth=3"),
             "own": ("network=cifar_conv4", "network.widths=[4,4,8,8]")}  # fmt: skip
    for name, typed in kinds.items():
        run(*UNTRAINED, *typed, f"imgpath={picture}", f"targetpath={home / name}")
    return {name: home / name for name in kinds}


def export(run, training: Path, file: Path, *typed: str) -> dict[str, str]:
    """The metadata of what it writes."""
    run("task=export_trunk", f"task.checkpoint={training}", f"task.to={file}", *typed)
    with safe_open(file, framework="pt") as opened:
        return opened.metadata()


def test_timm_loads_them_strictly_and_sees_the_same(run, trainings, tmp_path):
    files = {name: tmp_path / f"{name}.safetensors" for name in ("resnet", "vit")}
    said = {name: export(run, trainings[name], file) for name, file in files.items()}
    out = tmp_path / "seen.safetensors"
    theirs = [sys.executable, "-c", THEIRS, str(out), *map(str, files.values())]
    ended = subprocess.run(theirs, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    images = torch.linspace(0, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
    with torch.no_grad():
        for name, file in files.items():
            ours = singleimg.load_trunk(trainings[name])(images)
            assert torch.equal(load_file(out)[str(file)], ours)
            assert torch.equal(singleimg.load_trunk(file)(images), ours)
    assert json.loads(said["resnet"]["timm"]) == {"model_name": "resnet18", "num_classes": 0}
    assert said["resnet"]["stem"].count("\n") == 3 and "stem" not in said["vit"]
    statistics = load_file(files["resnet"])["bn1.running_mean"]
    assert statistics.abs().sum() > 0 and load_file(files["resnet"])["bn1.num_batches_tracked"] == 2


def test_one_of_our_own_comes_back_by_load_trunk(run, trainings, tmp_path):
    file = tmp_path / "a" / "b" / "own.safetensors"
    said = export(run, trainings["own"], file)
    trunk, ours = singleimg.load_trunk(file), singleimg.load_trunk(trainings["own"])
    assert all(torch.equal(ours.state_dict()[name], one) for name, one in load_file(file).items())
    images = torch.rand(2, 3, 32, 32)
    for one, other in zip(trunk.layers(images), ours.layers(images), strict=True):
        assert torch.equal(one, other)
    assert (said["size"], said["mean"], said["std"], said["step"]) == (
        "32", "[0.485, 0.456, 0.406]", "[0.229, 0.224, 0.225]", "2",
    )  # fmt: skip
    record = load_record(trainings["own"])
    written = json.loads(said["record"])
    assert said["fingerprint"] == fingerprint(record) and written["decides"] == record["decides"]
    assert written["decides"]["inputs"]["rendered"]["sources"]


def test_what_it_writes_has_no_word_of_where_it_was_written(run, trainings, tmp_path):
    said = json.dumps(export(run, trainings["own"], tmp_path / "own.safetensors"))
    assert str(trainings["own"].parent) not in said and str(tmp_path) not in said


def test_a_file_that_is_there_is_replaced(run, trainings, tmp_path):
    file = tmp_path / "own.safetensors"
    save_file({"a": torch.ones(1)}, file)
    export(run, trainings["own"], file)
    first = file.read_bytes()
    export(run, trainings["own"] / "checkpoints" / "last.pt", file)
    assert file.read_bytes() == first and len(load_file(file)) > 1
    export(run, file, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == first


def test_with_its_head_it_is_a_classifier(run, labelled, tmp_path):
    run("task=pretrain", "method=supervised", "network=cifar_conv4", "img_size=32",
        "data=imagefolder", f"data.path={labelled}", "method.batch_size=8", "method.updates=2",
        "task.tensorboard=false", f"targetpath={tmp_path / 'trained'}")  # fmt: skip
    file = tmp_path / "whole.safetensors"
    said = export(run, tmp_path / "trained", file, "task.head=true")
    tensors = load_file(file)
    assert said["holds"] == "trunk, top, head"
    assert json.loads(said["record"])["decides"]["classes"] == len(tensors["head.weight"]) == 2
    assert {name.partition(".")[0] for name in tensors} == {"trunk", "head"}  # its top is empty


@pytest.mark.parametrize(("typed", "sentence"), [
    ((), "task.checkpoint is missing: type task.checkpoint=<folder of a task=pretrain>."),
    (("task.checkpoint={own}",), "task=export_trunk needs a file to write: type "
     "task.to=trunk.safetensors."),
    (("task.checkpoint={own}", "task.to={here}/trunk.pt"), "task.to={here}/trunk.pt is not a file "
     "of this machine that ends in .safetensors: type for example task.to=trunk.safetensors."),
    (("task.checkpoint={own}", "task.to=s3://a/b.safetensors"), "task.to=s3://a/b.safetensors is "
     "not a file of this machine that ends in .safetensors: type for example "
     "task.to=trunk.safetensors."),
    (("task.checkpoint={here}/x", "task.to={here}/a.safetensors"), "{here}/x holds no training: "
     "type the folder of a task=pretrain, or one of its .pt files."),
    (("task.checkpoint={own}", "task.to={own}/run.log/a.safetensors"), "task.to={own}/run.log/"
     "a.safetensors cannot be written (Not a directory): type another file, make room, or change "
     "its permissions."),
    (("task.checkpoint={own}", "task.to={here}/a.safetensors", "task.head=true"), "task.head=true "
     "writes the head that was trained with a trunk, and here is none (method=untrained): leave it "
     "out, or type the folder of a method=supervised."),
])  # fmt: skip
def test_what_it_cannot_write_is_a_sentence(run, trainings, tmp_path, typed, sentence):
    places = {"own": trainings["own"], "here": tmp_path}
    said = run("task=export_trunk", *(one.format(**places) for one in typed), code=1).stderr
    assert said == sentence.format(**places) + "\n"
    assert not list(tmp_path.iterdir())
