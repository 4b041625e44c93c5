"""What SimCLR, VICReg, BYOL and DINO share: pairs of views, schedules, teachers, and lightly."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from singleimg import compose
from singleimg.config.make import instantiate
from singleimg.errors import UserError
from singleimg.learn.data.batches import InMemory
from singleimg.learn.data.views import Views
from singleimg.learn.methods import two_views
from singleimg.learn.methods.byol import BYOL
from singleimg.learn.methods.dino import DINO
from singleimg.learn.methods.simclr import SimCLR
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.methods.two_views import TaughtByMean, TwoViews, mean_features, spread
from singleimg.learn.methods.vicreg import VICReg
from tests.conftest import ROOT
from tests.learn.methods.pairs import made, train_on_views, views_of
from tests.learn.tiny import levels, new_state, same, seeded, weights

pytest.importorskip("lightly")
METHODS = [SimCLR, VICReg, BYOL, DINO]
TAUGHT = [BYOL, DINO]


# --- views and features --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", METHODS)
def test_an_update_sees_two_views_of_each_image(kind: type, pictures: InMemory) -> None:
    method = made(kind, pictures)
    images = levels(pictures)
    views = method.augment(images, 32, seeded(4))
    assert torch.equal(views, Views(area=[0.2, 1]).pair(images, 32, seeded(4)))
    assert method.images_an_update == method.batch_size


def test_larger_images_are_cut_by_the_views_themselves(pictures: InMemory) -> None:
    images = torch.rand(3, 3, 48, 48, generator=seeded())
    assert made(SimCLR, pictures).augment(images, 32, seeded()).shape == (6, 3, 32, 32)


def test_the_features_are_the_means_of_the_last_maps(pictures: InMemory) -> None:
    trunk = made(SimCLR, pictures).trunk.eval()
    last = trunk.layers(levels(pictures))[-1]
    found = mean_features(trunk, levels(pictures))
    assert torch.allclose(found, last.flatten(2).mean(2), atol=1e-6) and found.shape == (16, 16)


@pytest.mark.parametrize("kind", METHODS)
def test_an_update_says_its_metrics_as_tensors_and_moves_trunk_and_head(
    kind: type, pictures: InMemory, state: TrainState
) -> None:
    method = made(kind, pictures)
    before = weights(method.trunk, method.head)
    views = views_of(method, pictures, state)
    said = method.update(views, torch.arange(16), pictures.labels, state)
    assert tuple(said) == method.metrics and all(isinstance(v, Tensor) for v in said.values())
    assert not any(value.requires_grad or value.dim() for value in said.values())
    after = weights(method.trunk, method.head)
    assert sum(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) > len(before) / 2


@pytest.mark.parametrize("kind", METHODS)
def test_alexnet_s_last_maps_go_into_the_head_without_its_last_pooling(kind: type) -> None:
    cfg = compose("task=pretrain", f"method={kind.__name__.lower()}", "network=alexnet_bn")
    method, network = instantiate(cfg, "method"), instantiate(cfg, "network")
    method.build(network, 8, 1)
    student, teacher = method.outputs(torch.rand(2, 3, 224, 224, generator=seeded()))
    assert student.shape == teacher.shape == (2, cfg.method.output)
    assert next(method.head.parameters()).shape[1] == 256


def test_a_picture_shows_two_views_of_each_image_side_by_side(pictures: InMemory) -> None:
    method = made(SimCLR, pictures)
    (name, shown), *others = method.pictures(levels(pictures)).items()
    assert name == "views" and not others and shown.shape == (32, 3, 32, 32)
    pairs = method.views.pair(levels(pictures), 32, two_views.torch_generator(0, "pictures"))
    assert torch.equal(shown[6], pairs[3]) and torch.equal(shown[7], pairs[16 + 3])


# --- whether outputs collapse --------------------------------------------------------------------


def test_the_spread_is_0_of_equal_outputs_and_1_of_random_ones() -> None:
    random = torch.randn(500, 32, generator=seeded())
    assert float(spread(random)) == pytest.approx(1, abs=0.02)
    assert float(spread(7 * random)) == pytest.approx(float(spread(random)))
    assert float(spread(random[:1].repeat(40, 1))) == 0
    line = torch.randn(500, 1, generator=seeded()) * random[:1]  # two directions, opposite ones
    assert float(spread(line + 5 * random[:1])) < 0.01


# --- schedules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fraction", "lr"), [(0, 0.1), (0.1, 0.55), (0.2, 1), (0.4, 0.853553), (0.6, 0.5), (1, 0)]
)
def test_the_learning_rate_rises_from_a_tenth_and_falls_along_a_half_cosine(
    fraction: float, lr: float, pictures: InMemory
) -> None:
    method = made(SimCLR, pictures, lr=2.0, warmup=0.2)
    method.schedule(fraction)
    assert method.optimizers["all"].param_groups[0]["lr"] == pytest.approx(2 * lr, abs=1e-6)


def test_without_warmup_it_begins_at_the_top(pictures: InMemory) -> None:
    method = made(SimCLR, pictures, lr=2.0, warmup=0)
    method.schedule(0)
    assert method.optimizers["all"].param_groups[0]["lr"] == 2


# --- teachers ------------------------------------------------------------------------------------


def teacher_of(method: TaughtByMean) -> list[Tensor]:
    return weights(method.teacher)


def student_of(method: TaughtByMean) -> list[Tensor]:
    return weights(method.trunk, method.head)


@pytest.mark.parametrize("kind", TAUGHT)
def test_a_teacher_begins_as_the_student_and_is_no_part_of_what_is_read_later(
    kind: type, pictures: InMemory
) -> None:
    method = made(kind, pictures)
    assert same(teacher_of(method), student_of(method))
    owned = {id(weight) for weight in method.teacher.parameters()}
    assert not owned & {id(weight) for weight in method.trunk.parameters()}
    moved = method.optimizers["all"].param_groups[0]["params"]
    assert not owned & {id(weight) for weight in moved}


@pytest.mark.parametrize("kind", TAUGHT)
def test_a_teacher_follows_the_student_by_its_momentum(
    kind: type, pictures: InMemory, state: TrainState
) -> None:
    method = made(kind, pictures, teacher_momentum=0.8)
    train_on_views(method, pictures, state, 2)
    before = teacher_of(method)
    train_on_views(method, pictures, state, 1)
    for old, new, student in zip(before, teacher_of(method), student_of(method), strict=True):
        assert torch.allclose(new, 0.8 * old + 0.2 * student, atol=1e-6)
    assert not same(before, teacher_of(method))


@pytest.mark.parametrize("kind", TAUGHT)
@pytest.mark.parametrize(("fraction", "kept"), [(0, 0.9), (0.5, 0.95), (1, 1)])
def test_the_momentum_of_a_teacher_rises_to_1(
    kind: type, pictures: InMemory, fraction: float, kept: float
) -> None:
    method = made(kind, pictures, teacher_momentum=0.9)
    method.schedule(fraction)
    assert method.kept == pytest.approx(kept)


@pytest.mark.parametrize("kind", TAUGHT)
def test_no_gradient_goes_to_the_teacher(kind: type, pictures: InMemory, state: TrainState) -> None:
    method = made(kind, pictures)
    views = views_of(method, pictures, state)
    student, teacher = method.outputs(views)
    assert student.requires_grad and not teacher.requires_grad
    assert not torch.equal(student.detach(), teacher) or kind is DINO
    train_on_views(method, pictures, state, 1)
    assert all(p.grad is None and not p.requires_grad for p in method.teacher.parameters())
    assert any(p.grad is not None for p in method.head.parameters())


@pytest.mark.parametrize("kind", METHODS)
def test_a_checkpoint_holds_all_that_the_next_update_depends_on(
    kind: type, pictures: InMemory
) -> None:
    """Teacher, centre and moments too: read back, the next update says and leaves the same."""
    first, state = made(kind, pictures), new_state()
    train_on_views(first, pictures, state, 3)
    file = io.BytesIO()
    torch.save([first.state_dict(), first.optimizers["all"].state_dict()], file)
    file.seek(0)
    second = made(kind, pictures)
    method, moments = torch.load(file, weights_only=True)
    second.load_state_dict(method)
    second.optimizers["all"].load_state_dict(moments)
    again = new_state()
    again.step = state.step
    said = [train_on_views(one, pictures, at, 2) for one, at in ((first, state), (second, again))]
    assert said[0] == said[1]
    assert same([*first.state_dict().values()], [*second.state_dict().values()])


# --- settings ------------------------------------------------------------------------------------

NUMBER = "is not a number from 0 to under 1: type for example"
MISTAKES: list[tuple[type, dict[str, Any], str]] = [
    (SimCLR, {"lr": 0}, "method.lr=0 is not a number over 0: type for example method.lr=0.01."),
    (SimCLR, {"hidden": 0}, "method.hidden=0 is not a whole number of 1 or more: type for example "
                            "method.hidden=1."),
    (VICReg, {"output": 1.5}, "method.output=1.5 is not a whole number of 1 or more: type for "
                              "example method.output=1."),
    (SimCLR, {"warmup": 1}, f"method.warmup=1 {NUMBER} method.warmup=0.05."),
    (SimCLR, {"temperature": 0}, "method.temperature=0 is not a number over 0: type for example "
                                 "method.temperature=0.01."),
    (SimCLR, {"weight_decay": -1}, "method.weight_decay=-1 is not a number of 0 or more: type for "
                                   "example method.weight_decay=0."),
    (SimCLR, {"crop": "padded"}, "method.crop has no effect with method=it: type "
                                 "method.views.area and method.views.hflip, which say how views "
                                 "are drawn."),
    (DINO, {"hflip": 0.5}, "method.hflip has no effect with method=it: type method.views.area and "
                           "method.views.hflip, which say how views are drawn."),
    (VICReg, {"covariance": -1}, "method.covariance=-1 is not a number of 0 or more: type for "
                                 "example method.covariance=0."),
    (BYOL, {"teacher_momentum": 1.0}, f"method.teacher_momentum=1.0 {NUMBER} "
                                      "method.teacher_momentum=0.99."),
    (DINO, {"teacher_temperature": [0.04]}, "method.teacher_temperature=[0.04] is not two numbers "
     "over 0: type for example 'method.teacher_temperature=[0.04,0.07]'."),
    (DINO, {"frozen": 2}, f"method.frozen=2 {NUMBER} method.frozen=0.01."),
    (DINO, {"bottleneck": 0}, "method.bottleneck=0 is not a whole number of 1 or more: type for "
                              "example method.bottleneck=1."),
    (BYOL, {"views": {"area": [1, 2]}}, "method.views.area=[1, 2] is not two numbers over 0 and up "
     "to 1, the smaller one first: type for example 'method.views.area=[0.2,1]'."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "settings", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence(kind: type, settings: dict, sentence: str) -> None:
    whole = {"views": {}, "hidden": 8, "output": 8, "lr": 0.1}
    whole |= {"teacher_momentum": 0.9} if issubclass(kind, TaughtByMean) else {}
    kind(name="it", **whole)
    with pytest.raises(UserError) as mistake:
        kind(name="it", **{**whole, **settings})
    assert str(mistake.value) == sentence


# --- lightly -------------------------------------------------------------------------------------


def test_without_lightly_a_sentence_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, pictures: InMemory
) -> None:
    monkeypatch.setattr(two_views, "find_spec", lambda name: None)
    monkeypatch.chdir(ROOT)
    with pytest.raises(UserError) as mistake:
        made(SimCLR, pictures)
    assert str(mistake.value) == (
        'method=it needs the module lightly, which is not installed: type pip install -e ".[ssl]".'
    )


ALLOWED = ("lightly.loss", "lightly.models.modules", "lightly.models.utils", "lightly.utils")


def lightly_imports() -> Iterator[tuple[str, str, bool]]:
    """File, module, and whether it is imported within a function."""
    for file in sorted((ROOT / "singleimg").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        inner = {id(one) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)
                 for one in ast.walk(f)}  # fmt: skip
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                if name.split(".")[0].startswith("lightly"):
                    yield file.name, name, id(node) in inner


def test_of_lightly_only_losses_modules_and_what_they_need_is_imported_and_only_when_built() -> (
    None
):
    found = list(lightly_imports())
    assert {file for file, *_ in found} >= {f"{kind.__name__.lower()}.py" for kind in METHODS}
    for file, name, late in found:
        assert name.startswith(ALLOWED) and late, f"{file} imports {name}"


ALONE = """
import socket, sys

def refuse(*_, **__):
    raise SystemExit("somebody asks the network")

socket.socket.connect = socket.getaddrinfo = refuse
import warnings
warnings.simplefilter("error", FutureWarning)
import singleimg.learn.methods.dino as dino, singleimg.learn.methods.byol as byol
from singleimg.learn.networks.cifar_conv4 import CifarConv4
import torch
assert "lightly" not in sys.modules
for kind in (dino.DINO, byol.BYOL):
    method = kind(name="it", views={}, hidden=8, output=8, lr=0.1, teacher_momentum=0.9)
    assert "lightly.loss" not in sys.modules or kind is byol.BYOL
    method.build(CifarConv4(), 16, 1)
    method.outputs(torch.rand(4, 3, 32, 32))
print(*(name for name in ("lightly.api", "pytorch_lightning", "torchmetrics", "requests")
        if name in sys.modules))
"""


def test_lightly_is_imported_when_a_method_is_built_and_asks_no_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_all_of_them_are_methods_of_two_views() -> None:
    assert all(issubclass(kind, TwoViews) and not kind.needs_labels for kind in METHODS)
