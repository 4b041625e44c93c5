"""The protocol for small images: what it chooses, on which images, and what it then says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.utils.data import Dataset

from singleimg.errors import UserError
from singleimg.learn.networks.base import Trunk
from singleimg.learn.networks.cifar_conv4 import CifarConv4
from singleimg.learn.probes import cached
from singleimg.learn.probes.cached import Cached
from singleimg.learn.probes.images import split, split_images
from singleimg.learn.probes.scores import LayerScore

NETWORK = CifarConv4([8, 8, 8, 8])
QUICK = Cached(epochs=4, updates=0, batch_size=16, lrs=(1e-5, 0.001, 0.01))
CLASSES = ["blue", "green", "red"]


class Pictures(Dataset):
    """Pillow images and their classes, as torchvision's datasets are; counts what is looked at."""

    def __init__(self, pixels: np.ndarray, labels: list[int]) -> None:
        self.pixels, self.targets, self.classes = pixels, labels, CLASSES
        self.seen: list[int] = []

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        self.seen.append(index)
        return Image.fromarray(self.pixels[index]), self.targets[index]


_NUMBERS = count()


@dataclass(frozen=True)
class Fake:
    """A labelled set in memory; ``path``: no two are the same."""

    trained: Pictures
    tested: Pictures
    path: str
    name: str = "fake"

    def train(self) -> Dataset:
        return self.trained

    def test(self) -> Dataset:
        return self.tested


def coloured(each: int, seed: int, contrast: float) -> Pictures:
    """``each`` images of three classes, which differ in their mean colour by ``contrast``."""
    labels = np.arange(3 * each) % 3
    noise = np.random.default_rng(seed).normal(128, 40, (3 * each, 32, 32, 3))
    pixels = noise + contrast * np.eye(3)[labels][:, None, None]
    return Pictures(pixels.clip(0, 255).astype(np.uint8), labels.tolist())


def toy(contrast: float = 60.0, train: int = 40, test: int = 12) -> Fake:
    return Fake(coloured(train, 0, contrast), coloured(test, 1, contrast), str(next(_NUMBERS)))


def trunk() -> Trunk:
    torch.manual_seed(0)
    return NETWORK.trunk()


def scores(protocol: Cached, data: Fake, **settings: object) -> list[LayerScore]:
    return protocol.run(trunk(), NETWORK, data, device=torch.device("cpu"), **settings)


# --- what is held out ----------------------------------------------------------------------------

LABELS = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)


@pytest.mark.parametrize(("share", "held"), [(0.1, [5, 3, 2]), (0.5, [25, 15, 10])])
def test_exactly_that_share_of_each_class_is_held_out(share: float, held: list[int]) -> None:
    _, out = split(LABELS, share)
    assert np.bincount(LABELS.numpy()[out]).tolist() == held


def test_what_is_held_out_is_not_fitted_and_nothing_is_lost() -> None:
    fitted, held = split(LABELS, 0.1)
    assert not set(fitted) & set(held)
    assert sorted([*fitted, *held]) == list(range(len(LABELS)))


def test_the_same_images_are_held_out_each_time_not_the_first_of_each_class() -> None:
    held = split(LABELS, 0.1)[1].tolist()
    torch.manual_seed(5)
    np.random.seed(5)
    assert split(LABELS, 0.1)[1].tolist() == held
    assert held != [*range(5), *range(50, 53), *range(80, 82)]


def test_of_a_small_class_one_image_is_held_out() -> None:
    _, held = split(torch.tensor([0] * 40 + [1] * 2), 0.1)
    assert np.bincount(np.array([0] * 40 + [1] * 2)[held]).tolist() == [4, 1]


# --- what is chosen, and on what -----------------------------------------------------------------


def test_classes_that_are_easily_told_are_told_at_each_layer() -> None:
    said = scores(QUICK, toy())
    assert [one.layer for one in said] == [1, 2, 3, 4]
    assert said[0].accuracy > 0.97 and said[1].accuracy > 0.97
    assert min(one.accuracy for one in said) > 0.7
    assert all(one.ten_crop is None for one in said)


def test_wrong_labels_of_the_test_images_change_what_is_said_of_them_and_no_choice() -> None:
    data = toy(contrast=20)  # hard enough for learning rates to differ
    labels = data.tested.targets
    right = scores(QUICK, data)
    for wrong in ([(label + 1) % 3 for label in labels], [0] * len(labels)):
        other = Pictures(data.tested.pixels, wrong)
        misled = scores(QUICK, replace(data, tested=other, path=str(next(_NUMBERS))))
        choices = [(one.lr, one.validation) for one in right]
        assert [(one.lr, one.validation) for one in misled] == choices
        assert [one.accuracy for one in misled] != [one.accuracy for one in right]


def test_no_test_image_changes_a_choice() -> None:
    data = toy(contrast=20)
    black = Pictures(np.zeros_like(data.tested.pixels), data.tested.targets)
    blind = scores(QUICK, replace(data, tested=black, path=str(next(_NUMBERS))))
    assert [(one.lr, one.validation) for one in blind] == [
        (one.lr, one.validation) for one in scores(QUICK, data)
    ]
    assert [one.accuracy for one in blind] == pytest.approx([1 / 3] * 4)


def test_the_best_learning_rate_is_that_of_the_held_out_images() -> None:
    """Trained with one of the rates alone, the held-out images say what they said beside others."""
    data = toy(contrast=20)
    together = scores(QUICK, data)
    alone = [scores(replace(QUICK, lrs=(lr,)), data) for lr in QUICK.lrs]
    for layer, one in enumerate(together):
        said = [runs[layer].validation for runs in alone]
        assert one.validation == pytest.approx(max(said))
        assert one.lr == QUICK.lrs[said.index(max(said))]
        assert one.accuracy == alone[QUICK.lrs.index(one.lr)][layer].accuracy
    assert len({one.validation for runs in alone for one in runs}) > 1


def test_held_out_images_do_not_train_what_is_judged_by_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[list[int]] = []
    views: list[int] = []
    fit = Cached.fit

    def noted(self: Cached, features: list[Tensor], labels: Tensor, *rest: object) -> list:
        rows.append(sorted(rest[1].tolist()))
        views.append(len(features[0]))
        return fit(self, features, labels, *rest)

    monkeypatch.setattr(Cached, "fit", noted)
    data = toy()
    scores(QUICK, data)
    fitted, held = split(torch.tensor(data.trained.targets), 0.1)
    assert rows == [fitted.tolist(), list(range(120))]  # then once more, on all of them
    assert views == [2, 2]  # each image, and its mirror image
    assert len(held) == 12


def test_an_epoch_takes_each_image_once_as_it_is_or_mirrored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Tensor] = []
    step = cached.Probe.step

    def noted(self: cached.Probe, features: Tensor, labels: Tensor, fraction: float) -> None:
        seen.append(features[:, 0].clone())
        step(self, features, labels, fraction)

    monkeypatch.setattr(cached.Probe, "step", noted)
    features = [torch.arange(24.0).view(2, 12, 1)]  # image k: k, mirrored 12 + k
    labels = torch.arange(12) % 3
    protocol = Cached(epochs=2, updates=0, batch_size=4, lrs=(0.01,))
    protocol.fit(features, labels, 3, np.arange(12), [[0.01]], torch.device("cpu"), 0)
    epochs = torch.cat(seen).view(2, 12)
    assert all(sorted((epoch % 12).tolist()) == list(range(12)) for epoch in epochs)
    assert all(0 < (epoch >= 12).sum() < 12 for epoch in epochs)
    assert not torch.equal(epochs[0] % 12, epochs[1] % 12)


def test_learning_rates_fall_along_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(cached.Probe, "step", lambda self, *given: seen.append(given[2]))
    protocol = Cached(epochs=2, updates=0, batch_size=6, lrs=(0.01,))
    features, labels = [torch.zeros(1, 12, 1)], torch.arange(12) % 3
    protocol.fit(features, labels, 3, np.arange(12), [[0.01]], torch.device("cpu"), 0)
    assert seen == pytest.approx([1, 0.853553, 0.5, 0.146447], abs=1e-6)


# --- scored on validation images -----------------------------------------------------------------


def test_scored_on_validation_images_it_reads_no_test_image() -> None:
    data = toy(contrast=20)
    usual = scores(QUICK, data)
    data.tested.seen.clear()
    said = scores(replace(QUICK, scored_on="validation"), replace(data, path=str(next(_NUMBERS))))
    assert data.tested.seen == []
    assert [(one.lr, one.validation) for one in said] == [(one.lr, one.validation) for one in usual]
    assert [one.accuracy for one in said] == [one.validation for one in usual]


def test_few_images_are_gone_through_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(cached.Probe, "step", lambda self, *given: seen.append(given[2]))
    features, labels = [torch.zeros(2, 12, 1)], torch.arange(12) % 3
    for updates, steps in ((0, 6), (6, 6), (7, 9), (20, 21)):
        seen.clear()
        protocol = Cached(epochs=2, updates=updates, batch_size=4, lrs=(0.01,))
        protocol.fit(features, labels, 3, np.arange(12), [[0.01]], torch.device("cpu"), 0)
        assert len(seen) == steps and seen == sorted(seen, reverse=True) and seen[-1] < 0.2


def test_the_penalty_is_that_of_scikit_learn() -> None:
    """Trained for long, on both views of 60 images, it comes to the same weights."""
    random = torch.Generator().manual_seed(0)
    features = torch.randn(2, 60, 5, generator=random)
    labels = (features.sum((0, 2)) + torch.randn(60, generator=random)).div(3).clamp(0, 2).long()
    protocol = Cached(epochs=1, updates=5000, batch_size=60, lrs=(0.3,), cost=0.05, momentum=0.5)
    (ours,) = protocol.fit([features], labels, 3, np.arange(60), [[0.3]], torch.device("cpu"), 0)
    theirs = LogisticRegression(C=0.05, tol=1e-8).fit(
        features.flatten(0, 1).numpy(), labels.repeat(2).numpy()
    )
    assert ours.weight.numpy() == pytest.approx(theirs.coef_, abs=0.02)
    assert abs(theirs.coef_).max() > 0.1


# --- seeds, layers, numbers of images ------------------------------------------------------------


def test_the_same_seed_says_the_same_and_another_something_else() -> None:
    data = toy(contrast=10)
    first = scores(QUICK, data, seed=3)
    torch.manual_seed(99)
    assert scores(QUICK, data, seed=3) == first
    assert scores(QUICK, data, seed=4) != first


def test_some_layers_only_are_probed_and_keep_their_numbers() -> None:
    said = scores(QUICK, toy(), layers=[0, 2])
    assert [one.layer for one in said] == [1, 3]


def test_images_of_either_split_only_so_many_spread_evenly_over_it() -> None:
    data = toy()
    kept, number = split_images(data, "train", 32, 8)
    assert number == 3 and len(kept) == 8
    assert data.trained.seen == [15 * k for k in range(8)]
    assert kept.labels.tolist() == [data.trained.targets[15 * k] for k in range(8)]
    tested, _ = split_images(data, "test", 32, 8)
    assert data.tested.seen == [k * 36 // 8 for k in range(8)] and len(tested) == 8


def test_more_images_than_there_are_are_all_of_them() -> None:
    data = toy(train=4, test=2)
    assert [len(split_images(data, part, 32, 999)[0]) for part in ("train", "test")] == [12, 6]
    assert scores(replace(QUICK, images=999), data) == scores(QUICK, data)


def test_each_image_is_read_once_for_all_runs_on_a_set() -> None:
    data = toy(train=6, test=3)
    for seed in (0, 1):
        scores(QUICK, data, seed=seed)
    assert data.trained.seen == list(range(18)) and data.tested.seen == list(range(9))


# --- sentences -----------------------------------------------------------------------------------


def test_features_beyond_the_memory_are_refused_before_any_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cached, "split_images", None)
    data = toy()
    width = 8 * (11**2 + 6**2 + 3**2 + 3**2)
    wanted = (width * (2 * 120 + 36) * 4 + 3 * NETWORK.size**2 * (120 + 36)) / 1e9
    with pytest.raises(UserError) as mistake:
        scores(replace(QUICK, memory=0.99 * wanted), data)
    assert str(mistake.value) == (
        f"probe=cached would keep 0.0 GB of features in memory, more than probe.memory="
        f"{0.99 * wanted:g}: type probe=streamed, or a larger probe.memory."
    )
    with pytest.raises(TypeError, match="not callable"):  # room enough: it goes on to them
        scores(replace(QUICK, memory=1.01 * wanted), data)


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"epochs": 0},
     "probe.epochs=0 and probe.batch_size=256 are not whole numbers of at least 1 and 2: type for "
     "example probe.epochs=10 probe.batch_size=256."),
    ({"batch_size": 1},
     "probe.epochs=10 and probe.batch_size=1 are not whole numbers of at least 1 and 2: type for "
     "example probe.epochs=10 probe.batch_size=256."),
    ({"lrs": [0.1, 0]},
     "probe.lrs=[0.1, 0] is not a list of learning rates over 0: type for example "
     "'probe.lrs=[0.003,0.01]'."),
    ({"held_out": 0},
     "probe.held_out=0 is not a share between 0 and 1: type for example probe.held_out=0.1."),
])  # fmt: skip
def test_settings_out_of_range_are_refused(settings: dict, sentence: str) -> None:
    with pytest.raises(UserError) as mistake:
        Cached(**settings)
    assert str(mistake.value) == sentence


@pytest.mark.parametrize("images", [0, -2])
def test_a_number_of_images_that_is_none_is_refused(images: int) -> None:
    with pytest.raises(UserError, match=rf"probe\.images={images} "):
        scores(replace(QUICK, images=images), toy(train=4, test=2))


def test_so_few_images_that_none_is_left_to_fit_are_refused() -> None:
    """One of each class: that one is held out."""
    with pytest.raises(UserError, match=r"probe\.images=3 "):
        scores(replace(QUICK, images=3), toy(train=7, test=7))
