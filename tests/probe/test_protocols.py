"""The two protocols: what they read, what they choose on, and that they can go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from singleimg.errors import UserError
from singleimg.labelled import Folders
from singleimg.networks.cifar_conv4 import CifarConv4
from singleimg.pretrain.images import InMemory
from singleimg.probe.cached import Cached, split
from singleimg.probe.features import Reader, extract
from singleimg.probe.streamed import Middle, Streamed, TenCrops

CPU = torch.device("cpu")
NETWORK = CifarConv4([8, 16, 16, 16])


def trunk() -> torch.nn.Module:
    torch.manual_seed(0)
    return NETWORK.trunk()


def folder_of(place: Path, size: int, wrong: bool = False) -> Folders:
    """Three classes of colours; with ``wrong`` the test images lie in each other's folders."""
    random = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 10)):
        for label in range(3):
            shown = (label + 1) % 3 if wrong and part == "test" else label
            folder = place / part / f"class{shown}"
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.normal(128, 40, (size, size, 3)) + 60 * np.eye(3)[label]
                image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                image.save(folder / f"{number}.png")
    return Folders(str(place))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Folders:
    return folder_of(tmp_path_factory.mktemp("right"), 32)


def test_a_reader_gives_the_pooled_maps_after_each_activation_flat_and_freezes_the_trunk():
    whole = trunk().train()
    reader, images = Reader(whole, NETWORK), torch.rand(4, 3, 32, 32)
    assert not whole.training and not any(p.requires_grad for p in whole.parameters())
    features = reader(images)
    assert [one.shape[1] for one in features] == reader.sizes == [968, 576, 144, 144]
    for one, shown in zip(features, whole.layers(images), strict=True):
        assert torch.equal(one, shown.flatten(1))
    assert torch.equal(Reader(whole, NETWORK, [1])(images)[0], features[1])


def test_the_second_view_is_that_of_the_mirror_image():
    images = InMemory(torch.randint(0, 256, (7, 3, 32, 32)).byte())
    reader = Reader(trunk(), NETWORK)
    features = extract(reader, images, 32, CPU, mirrored=True)
    mirrored = reader(images.pixels.flip(3).float() / 255)
    for kept, expected in zip(features, mirrored, strict=True):
        assert kept.shape[:2] == (2, 7) and torch.allclose(kept[1], expected, atol=1e-6)
        assert not torch.allclose(kept[0], kept[1])


def test_a_share_of_each_class_is_held_out_always_the_same():
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    fitted, held = split(labels, 0.1)
    assert np.bincount(labels.numpy()[held]).tolist() == [5, 3, 2]
    assert sorted([*fitted, *held]) == list(range(100))
    assert np.array_equal(split(labels, 0.1)[1], held)


def test_easy_classes_are_told_and_the_same_seed_tells_the_same(data):
    protocol = Cached(epochs=4, batch_size=16)
    first, again = (protocol.run(trunk(), NETWORK, data, device=CPU, seed=3) for _ in range(2))
    assert first == again and [one.layer for one in first] == [1, 2, 3, 4]
    assert first[0].accuracy > 0.9
    assert protocol.run(trunk(), NETWORK, data, device=CPU, seed=3, layers=[0])[0].layer == 1


def test_learning_rates_are_chosen_without_the_test_images(data, tmp_path):
    protocol = Cached(epochs=3, batch_size=16)
    wrong = folder_of(tmp_path, 32, wrong=True)
    right = protocol.run(trunk(), NETWORK, data, device=CPU)
    misled = protocol.run(trunk(), NETWORK, wrong, device=CPU)
    assert [(s.lr, s.validation) for s in right] == [(s.lr, s.validation) for s in misled]
    assert misled[0].accuracy < 0.2 < right[0].accuracy


def test_features_that_do_not_fit_are_refused(data):
    with pytest.raises(UserError) as mistake:
        Cached(memory=1e-6).run(trunk(), NETWORK, data, device=CPU)
    assert str(mistake.value) == (
        "probe=cached would keep 0 GB of features in memory, more than probe.memory=1e-06: type "
        "probe=streamed, or a larger probe.memory."
    )


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"epochs": 0}, "probe.epochs=0 and probe.batch_size=256 are not whole numbers of 1 and 2"),
    ({"lrs": []}, r"probe.lrs=\[\] is not a list of learning rates over 0"),
    ({"held_out": 1.0}, "probe.held_out=1 is not a share between 0 and 1"),
])  # fmt: skip
def test_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(UserError, match=sentence):
        Cached(**settings)


def test_rates_and_milestones_go_together():
    with pytest.raises(UserError, match=r"are not one more than probe.milestones="):
        Streamed(lrs=(0.1, 0.01))


def test_only_so_many_images_are_read(data):
    score = Cached(epochs=1, batch_size=8, images=12).run(trunk(), NETWORK, data, device=CPU)[0]
    assert (score.accuracy * 12) == pytest.approx(round(score.accuracy * 12), abs=1e-5)


def test_ten_crops_are_corners_and_middle_and_their_mirror_images():
    columns = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    image = Image.fromarray(np.stack([columns] * 3, -1))
    crops = TenCrops(56)(image)
    assert crops.shape == (10, 3, 56, 56)
    assert torch.equal(crops[4], Middle(56)(image)[0])
    assert torch.equal(crops[9], crops[4].flip(2)) and torch.equal(crops[5], crops[1].flip(2))
    assert [int(crop[0, 0, 0]) for crop in crops[:4]] == [0, 32, 0, 32]


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Folders:
    return folder_of(tmp_path_factory.mktemp("large"), 48)


STREAMED = Streamed(epochs=3, batch_size=20, workers=0, lrs=(0.01, 0.001), milestones=(0.7,))


def test_streamed_probes_learn_and_are_tested_on_one_crop_and_on_ten(large):
    scores = STREAMED.run(trunk(), NETWORK, large, device=CPU)
    assert [one.layer for one in scores] == [1, 2, 3, 4]
    assert scores[0].accuracy > 0.6 and scores[0].ten_crop > 0.6
    alone = Streamed(epochs=1, batch_size=20, workers=0, ten_crop=False)
    assert alone.run(trunk(), NETWORK, large, device=CPU)[0].ten_crop is None


def test_a_streamed_probe_that_was_stopped_goes_on_as_if_nothing_had_happened(
    large, tmp_path, monkeypatch
):
    whole = STREAMED.run(trunk(), NETWORK, large, device=CPU)
    epoch = Streamed._epoch

    def stopping(self: Streamed, number: int, *rest: object) -> None:
        if number == 2:
            raise KeyboardInterrupt
        epoch(self, number, *rest)

    monkeypatch.setattr(Streamed, "_epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        STREAMED.run(trunk(), NETWORK, large, device=CPU, kept=tmp_path / "state.pt")
    monkeypatch.setattr(Streamed, "_epoch", epoch)
    assert STREAMED.run(trunk(), NETWORK, large, device=CPU, kept=tmp_path / "state.pt") == whole
