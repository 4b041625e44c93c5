"""The protocol for ImageNet: what it trains on, what it is tested on, and that it can go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import v2

from singleimg.errors import UserError
from singleimg.learn.data.imagefolder import Folders
from singleimg.learn.networks.base import Trunk
from singleimg.learn.networks.cifar_conv4 import CifarConv4
from singleimg.learn.probes import streamed
from singleimg.learn.probes.scores import LayerScore
from singleimg.learn.probes.streamed import (
    MIDDLE,
    LinearProbes,
    Middle,
    Streamed,
    TenCrops,
    TransformedDataset,
)

NETWORK = CifarConv4([8, 8, 8, 8])
PROTOCOL = Streamed(
    epochs=3, batch_size=10, lrs=(0.01, 0.001), milestones=(0.7,), workers=0, weight_decay=0
)
TRAIN, TEST = 16, 6  # images of each class
STEPS = 3  # updates an epoch: 32 images in whole batches of 10


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Two classes of grain, one reddish, one blueish; 64 px."""
    home = tmp_path_factory.mktemp("two")
    random = np.random.default_rng(0)
    for part, each in (("train", TRAIN), ("test", TEST)):
        for label, tint in (("blue", [-30, 0, 30]), ("red", [30, 0, -30])):
            (home / part / label).mkdir(parents=True)
            for number in range(each):
                pixels = random.normal(128, 40, (64, 64, 3)) + tint
                image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                image.save(home / part / label / f"{number}.png")
    return Folders(str(home))


def trunk() -> Trunk:
    torch.manual_seed(0)
    return NETWORK.trunk()


def scores(protocol: Streamed, data: Folders, **settings: object) -> list[LayerScore]:
    return protocol.run(trunk(), NETWORK, data, device=torch.device("cpu"), **settings)


# --- learning ------------------------------------------------------------------------------------


def test_classes_that_are_easily_told_are_told_on_one_crop_and_on_ten(data: Folders) -> None:
    said = scores(PROTOCOL, data)
    assert [one.layer for one in said] == [1, 2, 3, 4]
    assert said[0].accuracy > 0.8 and said[0].ten_crop > 0.8
    for one in said:
        assert 0 <= one.accuracy <= 1 and 0 <= one.ten_crop <= 1
        assert (one.lr, one.validation) == (0.01, None)


def test_without_ten_crops_the_middle_is_scored_as_it_is_beside_them(data: Folders) -> None:
    both, single = scores(PROTOCOL, data), scores(replace(PROTOCOL, ten_crop=False), data)
    assert [one.accuracy for one in single] == [one.accuracy for one in both]
    assert [one.ten_crop for one in single] == [None] * 4


def test_the_trunk_is_not_trained(data: Folders) -> None:
    known = trunk().train()
    before = {name: value.clone() for name, value in known.state_dict().items()}
    PROTOCOL.run(known, NETWORK, data, device=torch.device("cpu"))
    assert all(torch.equal(value, before[name]) for name, value in known.state_dict().items())
    assert not any(weight.requires_grad for weight in known.parameters())


def test_some_layers_only_are_probed_and_keep_their_numbers(data: Folders) -> None:
    assert [one.layer for one in scores(PROTOCOL, data, layers=[1, 3])] == [2, 4]


def test_the_same_seed_says_the_same(data: Folders, tmp_path: Path) -> None:
    """Also where the state of torch's own generator is another; another seed, other weights."""
    first = scores(PROTOCOL, data, seed=3, state_file=tmp_path / "3.pt")
    torch.manual_seed(99)
    assert scores(PROTOCOL, data, seed=3, state_file=tmp_path / "again.pt") == first
    scores(PROTOCOL, data, seed=4, state_file=tmp_path / "4.pt")
    weights = {name: weights_of(tmp_path / f"{name}.pt") for name in ("3", "again", "4")}
    assert torch.equal(weights["3"], weights["again"])
    assert not torch.equal(weights["3"], weights["4"])


def weights_of(file: Path) -> Tensor:
    state = torch.load(file, weights_only=True)["method"]
    return torch.cat([value.flatten().float() for value in state.values()])


def test_images_are_cut_anew_each_epoch_and_each_is_seen_at_most_once(
    data: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, Tensor]] = []
    get = TransformedDataset.__getitem__

    def noted(self: TransformedDataset, index: int) -> tuple[Tensor, int]:
        pixels, label = get(self, index)
        if pixels.dim() == 3:  # of the training
            seen.append((index, pixels))
        return pixels, label

    monkeypatch.setattr(TransformedDataset, "__getitem__", noted)
    scores(PROTOCOL, data)
    assert len(seen) == 3 * STEPS * 10
    epochs = [seen[k * STEPS * 10 : (k + 1) * STEPS * 10] for k in range(3)]
    orders = [[index for index, _ in epoch] for epoch in epochs]
    assert all(len(set(order)) == STEPS * 10 for order in orders) and orders[0] != orders[1]
    first, second = dict(epochs[0]), dict(epochs[1])
    both = first.keys() & second.keys()
    assert both and not any(torch.equal(first[k], second[k]) for k in both)
    assert {tuple(pixels.shape) for _, pixels in seen} == {(3, 32, 32)}


# --- learning rates ------------------------------------------------------------------------------


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of each update from now on."""
    seen: list[float] = []
    step = torch.optim.SGD.step

    def noted(self: torch.optim.SGD, *given: object) -> None:
        seen.extend({group["lr"] for group in self.param_groups})
        step(self, *given)

    monkeypatch.setattr(torch.optim.SGD, "step", noted)
    return seen


def test_each_learning_rate_begins_at_its_milestone(data: Folders, rates: list[float]) -> None:
    scores(replace(PROTOCOL, lrs=(0.01, 0.003, 0.001), milestones=(1 / 3, 0.6)), data)
    assert rates == [0.01] * 3 + [0.003] * 3 + [0.001] * 3


def test_a_second_run_begins_with_the_first_learning_rate(
    data: Folders, rates: list[float]
) -> None:
    for _ in range(2):
        scores(PROTOCOL, data)
    assert rates == 2 * ([0.01] * 7 + [0.001] * 2)
    assert PROTOCOL.lrs == (0.01, 0.001)


def test_a_run_that_goes_on_has_the_learning_rates_of_what_was_left(
    data: Folders, tmp_path: Path, rates: list[float], stopped_after: Callable[[int], None]
) -> None:
    stopped_after(1)
    with pytest.raises(KeyboardInterrupt):
        scores(PROTOCOL, data, state_file=tmp_path / "state.pt")
    rates.clear()
    stopped_after(99)
    scores(PROTOCOL, data, state_file=tmp_path / "state.pt")
    assert rates == [0.01] * 4 + [0.001] * 2  # of the second epoch, anew, and the third


# --- going on ------------------------------------------------------------------------------------


@pytest.fixture
def stopped_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``stopped_after(epochs)``: a run ends by Ctrl-C in the middle of the next one."""
    train_epoch = Streamed._epoch

    def stop_after(epochs: int) -> None:
        def epoch(self: Streamed, number: int, bank: LinearProbes, *rest: object) -> None:
            train_epoch(self, number, bank, *rest)
            if number == epochs:
                raise KeyboardInterrupt

        monkeypatch.setattr(Streamed, "_epoch", epoch)

    return stop_after


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_a_run_that_was_stopped_goes_on_as_if_nothing_had_happened(
    data: Folders, tmp_path: Path, stopped_after: Callable[[int], None], epochs: int
) -> None:
    whole = scores(PROTOCOL, data, seed=2, state_file=tmp_path / "whole.pt")
    stopped_after(epochs)
    with pytest.raises(KeyboardInterrupt):
        scores(PROTOCOL, data, seed=2, state_file=tmp_path / "state.pt")
    assert (tmp_path / "state.pt").exists() == (epochs > 0)
    stopped_after(99)
    torch.rand(7)  # a new process has another state of torch's generator
    assert scores(PROTOCOL, data, seed=2, state_file=tmp_path / "state.pt") == whole
    assert torch.equal(weights_of(tmp_path / "state.pt"), weights_of(tmp_path / "whole.pt"))


def test_a_run_that_was_done_is_only_tested(
    data: Folders, tmp_path: Path, rates: list[float]
) -> None:
    whole = scores(PROTOCOL, data, state_file=tmp_path / "state.pt")
    rates.clear()
    assert scores(PROTOCOL, data, state_file=tmp_path / "state.pt") == whole
    assert rates == []


def test_keeping_its_state_changes_nothing(data: Folders, tmp_path: Path) -> None:
    assert scores(PROTOCOL, data, state_file=tmp_path / "state.pt") == scores(PROTOCOL, data)


# --- crops ---------------------------------------------------------------------------------------

# Levels that say where they are: red the column, green the row, blue neither.
ROWS, COLUMNS = np.mgrid[:64, :64].astype(np.uint8)
PLACES = Image.fromarray(np.stack([COLUMNS, ROWS, np.full_like(ROWS, 7)], -1))


def test_ten_crops_are_the_corners_the_middle_and_their_mirror_images() -> None:
    crops = TenCrops(56)(PLACES)  # of 64 px, whose corners lie 8 apart
    assert crops.shape == (10, 3, 56, 56) and crops.dtype == torch.uint8
    corners = [tuple(crop[:2, 0, 0].tolist()) for crop in crops[:5]]
    assert corners == [(0, 0), (8, 0), (0, 8), (8, 8), (4, 4)]
    mirrored = {crop.numpy().tobytes() for crop in crops[:5].flip(3)}
    assert {crop.numpy().tobytes() for crop in crops[5:]} == mirrored and len(mirrored) == 5


def test_the_middle_is_at_place_four_and_its_mirror_image_at_nine() -> None:
    crops = TenCrops(56)(PLACES)
    assert MIDDLE == 4
    assert torch.equal(crops[MIDDLE], Middle(56)(PLACES)[0])
    assert torch.equal(crops[9], crops[MIDDLE].flip(2))


@pytest.mark.parametrize("size", [(128, 96), (96, 128)])
def test_the_shorter_side_becomes_eight_sevenths_of_the_crop(size: tuple[int, int]) -> None:
    image = PLACES.resize(size, Image.Resampling.NEAREST)
    crops = TenCrops(28)(image)  # of 32 px
    assert crops.shape == (10, 3, 28, 28)
    assert Middle(28)(image).shape == (1, 3, 28, 28)
    expected = np.array(image.resize((size[0] // 3, size[1] // 3), Image.Resampling.BILINEAR))
    corner = torch.from_numpy(expected[:28, :28]).permute(2, 0, 1)
    assert (crops[0].int() - corner.int()).abs().max() <= 2


class Told(Dataset):
    """One image of class 1."""

    targets, classes = (1,), ("a", "b")

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return PLACES, 1


@pytest.mark.parametrize(("others", "ten"), [(0.1, 1.0), (0.3, 0.0)])
def test_one_crop_asks_the_middle_and_ten_the_mean_of_their_scores(
    monkeypatch: pytest.MonkeyPatch, others: float, ten: float
) -> None:
    """The middle says class 1 by 1, the nine others class 0 by ``others``."""
    middle = TenCrops(32)(PLACES)[MIDDLE].float() / 255

    class Says(LinearProbes):
        def forward(self, maps: list[Tensor]) -> list[Tensor]:
            is_middle = torch.tensor([torch.allclose(crop, middle) for crop in maps[0]])
            assert is_middle.sum() == 1
            lead = torch.where(is_middle, 1.0, -others)
            return [torch.stack([torch.zeros(10), lead], 1)]

    known = trunk().eval()
    monkeypatch.setattr(known, "layers", lambda images: [images])
    bank = Says(NETWORK.trunk(), NETWORK, 2, [0])
    said = PROTOCOL._test(bank.eval(), known, Told(), 32, torch.device("cpu"))
    assert said == [LayerScore(1, 1.0, 0.01, None, ten)]


# --- numbers and sentences -----------------------------------------------------------------------


def test_images_of_either_split_only_so_many_spread_evenly_over_it(
    data: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets: list[list[int]] = []
    prepare = streamed.TransformedDataset.__init__

    def noted(self: TransformedDataset, dataset: Dataset, *settings: object) -> None:
        sets.append(list(getattr(dataset, "indices", range(len(dataset)))))
        prepare(self, dataset, *settings)

    monkeypatch.setattr(TransformedDataset, "__init__", noted)
    scores(replace(PROTOCOL, images=8, epochs=1, batch_size=4), data)
    assert sets == [[4 * k for k in range(8)], [12 * k // 8 for k in range(8)]]
    sets.clear()
    scores(replace(PROTOCOL, images=99, epochs=1), data)
    assert sets == [list(range(2 * TRAIN)), list(range(2 * TEST))]


def test_random_crops_are_the_same_in_any_number_of_processes() -> None:
    crop = v2.Compose([v2.RandomCrop(8), v2.PILToTensor()])
    images = TransformedDataset(Subset(Told(), [0, 0]), crop, seed=3)
    seen = [
        [pixels for pixels, _ in DataLoader(images, batch_size=None, num_workers=workers)]
        for workers in (0, 2)
    ]
    assert all(map(torch.equal, *seen)) and not torch.equal(seen[0][0], seen[0][1])
    images.epoch = 1
    assert not torch.equal(images[0][0], seen[0][0])


def test_greyscale_images_are_seen_in_three_channels() -> None:
    class Grey(Told):
        def __getitem__(self, index: int) -> tuple[Image.Image, int]:
            return PLACES.convert("L"), 1

    pixels, label = TransformedDataset(Grey(), Middle(32))[0]
    assert pixels.shape == (1, 3, 32, 32) and label == 1


def test_as_many_learning_rates_as_milestones_are_refused() -> None:
    with pytest.raises(UserError) as mistake:
        Streamed(lrs=[0.1, 0.01], milestones=[0.3, 0.6])
    assert str(mistake.value) == (
        "probe.lrs=[0.1, 0.01] does not have one number more than probe.milestones=[0.3, 0.6], at "
        "each of which the next one starts: type 3 numbers."
    )


@pytest.mark.parametrize("settings", [{"images": 0}, {"images": -2}, {"batch_size": 0}])
def test_numbers_with_which_nothing_can_be_trained_are_refused(
    data: Folders, settings: dict[str, int]
) -> None:
    ((key, number),) = settings.items()
    with pytest.raises(UserError, match=rf"probe\.{key}={number} "):
        scores(replace(PROTOCOL, **settings), data)
