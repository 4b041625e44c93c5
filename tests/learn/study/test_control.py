"""The null control: it sees a trace that a preset leaves, and none where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import singleimg
from singleimg.errors import UserError
from singleimg.learn.data.batches import InMemory
from singleimg.learn.study import control
from singleimg.learn.study.control import Control, Noises

QUICK = ("task=shortcut", "img_size=32", "shortcut.sources=4", "shortcut.tested_sources=2",
         "shortcut.images=300", "shortcut.tested=200", "shortcut.updates=60")  # fmt: skip


BAR = [  # black above every image
    {"_target_": "torchvision.transforms.v2.Pad", "padding": [0, 8, 0, 0]},
    {"_target_": "torchvision.transforms.v2.Resize", "size": [32, 32]},
]


def test_the_paper_preset_gives_little_away_and_a_black_bar_everything(picture):
    cfg = singleimg.compose(*QUICK, "augment=paper", f"imgpath={picture}")
    paper = control.run_control(cfg)
    assert paper.rotation < 0.35 and paper.axis < 0.6  # few updates: chance, and its spread
    cfg.augment.transforms = [*cfg.augment.transforms, *BAR]
    trace = control.run_control(cfg)
    assert trace.rotation > 0.6 and trace.axis > 0.7 and not trace.holds
    assert trace.images == paper.images == 200


def test_noise_is_as_rough_along_as_across_whatever_its_shape():
    power = np.zeros(2)
    for k in range(6):
        pixels = np.asarray(Noises(300, 100, 6, 0).load(k), np.float64)
        for axis in (0, 1):
            for distance in (1, 8, 60):
                moved = np.diff(pixels[:, :, 1].take(range(0, pixels.shape[axis], distance), axis),
                                axis=axis)  # fmt: skip
                power[axis] += (moved**2).mean() / distance**0.3
    assert power[0] == pytest.approx(power[1], rel=0.15)
    assert not np.array_equal(Noises(80, 60, 2, 0).load(0), Noises(80, 60, 2, 0).load(1))


def test_a_kept_result_is_given_again_unless_something_changed(picture, tmp_path, monkeypatch):
    quick = [*QUICK[:4], "shortcut.images=40", "shortcut.tested=20", "shortcut.updates=2"]
    cfg = singleimg.compose(*quick, "augment=paper", f"imgpath={picture}")
    first = control.run_control(cfg, tmp_path)
    monkeypatch.setattr(control, "_train", None)  # not to be called again
    assert control.run_control(cfg, tmp_path) == first
    changed = singleimg.compose(*quick, "augment=paper", "deg=10", f"imgpath={picture}")
    with pytest.raises(TypeError):
        control.run_control(changed, tmp_path)


def test_fewer_images_than_a_batch_are_enough(picture):
    few = [*QUICK[:4], "shortcut.images=5", "shortcut.tested=3", "shortcut.updates=2"]
    found = control.run_control(singleimg.compose(*few, "augment=paper", f"imgpath={picture}"))
    assert found.images == 3 and 0 <= found.rotation <= 1


def test_it_is_said_in_one_line():
    assert str(Control("paper", 0.26, 0.52, 100)) == (
        "Null control, augment=paper: on noise RotNet tells 26.0 % of rotations (chance 25, at "
        "most 28) and 52.0 % of axes (chance 50, at most 54): it gives nothing away."
    )
    assert str(Control("mine", 0.41, 0.82, 100)).endswith(": it GIVES ROTATIONS AWAY.")
    assert Control("x", 0.28, 0.54, 1).holds
    assert not Control("x", 0.281, 0.5, 1).holds and not Control("x", 0.25, 0.541, 1).holds


def test_large_images_are_looked_at_in_small(picture, monkeypatch):
    seen = []
    monkeypatch.setattr(control, "_train", lambda cfg, images: seen.append(images.size))
    monkeypatch.setattr(control, "_measure", lambda *_: None)
    few = [*QUICK[:1], *QUICK[2:4], "shortcut.images=4", "shortcut.tested=4"]
    control.run_control(
        singleimg.compose(*few, "augment=paper", "img_size=256", f"imgpath={picture}")
    )
    assert seen == [32]


# --- what is counted -----------------------------------------------------------------------------

PIXELS = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8,
                       generator=torch.Generator().manual_seed(0))  # fmt: skip
PIXELS[:, :, :4, :4] = 255  # a bright corner, that says which way is up
CORNERS = [(0, 0), (28, 0), (28, 28), (0, 28)]  # row and column, after as many quarters to the left


class Oracle(nn.Module):
    """Sees where the corner is; ``says``: for each rotation, the scores of the four."""

    def __init__(self, says: list[list[float]]) -> None:
        super().__init__()
        self.says = nn.Parameter(torch.tensor(says))

    def forward(self, images: Tensor) -> Tensor:
        bright = [images[:, :, y : y + 4, x : x + 4].mean((1, 2, 3)) for y, x in CORNERS]
        return self.says[torch.stack(bright, 1).argmax(1)]


SURE, BLIND = (5 * torch.eye(4)).tolist(), [[1.0, 0, 0, 0]] * 4


@pytest.mark.parametrize(("says", "rotation", "axis"), [
    (SURE, 1.0, 1.0),
    (BLIND, 0.25, 0.5),
    ([[0, 0, 5.0, 0], [0, 0, 0, 5.0], [5.0, 0, 0, 0], [0, 5.0, 0, 0]], 0.0, 1.0),  # upside down
    ([[3.0, 2.9, 0, 2.9]] * 4, 0.25, 0.5),  # more of it lies than stands
    ([[3.0, 2.9, 0, 2.9], [0, 5.0, 0, 0], [0, 0, 5.0, 0], [0, 0, 0, 5.0]], 1.0, 0.75),
])  # fmt: skip
def test_rotations_are_told_by_the_largest_score_and_axes_by_the_sum_of_two(
    says: list[list[float]], rotation: float, axis: float
) -> None:
    cfg = singleimg.compose("task=shortcut", "augment=weak")
    told = control._measure(cfg, Oracle(says), InMemory(PIXELS))
    assert told == Control("weak", rotation, axis, len(PIXELS))


# --- what is rendered ----------------------------------------------------------------------------


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Noises, int, int]]:
    """What :func:`run_control` rendered: from which pictures, how many, of which size."""
    seen = []

    def noted(cfg: object, source: Noises, count: int) -> InMemory:
        seen.append((cfg.augment.name, source, count, cfg.img_size))
        return InMemory(PIXELS)

    monkeypatch.setattr(control, "_render", noted)
    monkeypatch.setattr(control, "_train", lambda cfg, images: Oracle(SURE))
    return seen


def test_it_is_tested_on_noise_that_it_was_not_trained_on(picture: Path, rendered: list) -> None:
    control.run_control(singleimg.compose(*QUICK, "augment=paper", f"imgpath={picture}"))
    (_, train, images, _), (_, test, tested, _) = rendered
    assert (train.count, images, test.count, tested) == (4, 300, 2, 200)
    numbers = [{one.first + k for k in range(one.count)} for one in (train, test)]
    assert not numbers[0] & numbers[1]
    assert (train.width, train.height) == (test.width, test.height) == (200, 150)


@pytest.mark.parametrize(("size", "seen"), [(32, 32), (64, 64), (65, 32), (256, 32), (16, 16)])
def test_images_over_64_px_are_rendered_at_32(
    picture: Path, rendered: list, size: int, seen: int
) -> None:
    cfg = singleimg.compose("task=shortcut", f"img_size={size}", f"imgpath={picture}")
    control.run_control(cfg)
    assert [one[3] for one in rendered] == [seen, seen]
    assert cfg.img_size == size  # the caller's own stays as it was


def test_what_is_rendered_at_32_is_cut_for_32(picture: Path) -> None:
    cfg = singleimg.compose("task=shortcut", "img_size=32", "augment=paper", f"imgpath={picture}")
    images = control._render(cfg, Noises(80, 60, 2, 5), 4)
    assert images.pixels.shape == (4, 3, 32, 32) and images.pixels.dtype == torch.uint8
    again = control._render(cfg, Noises(80, 60, 2, 5), 4)
    other = control._render(cfg, Noises(80, 60, 2, 7), 4)
    assert torch.equal(images.pixels, again.pixels)
    assert not torch.equal(images.pixels, other.pixels)


@pytest.mark.parametrize(("size", "shape"), [
    ((200, 150), (200, 150)), ((1600, 1200), (800, 600)), ((1200, 2400), (400, 800)),
    ((80000, 20), (800, 8)),
])  # fmt: skip
def test_noise_has_the_shape_of_the_picture_and_at_most_800_px(
    size: tuple[int, int], shape: tuple[int, int]
) -> None:
    assert control._noise_size(size) == shape


# --- what is kept --------------------------------------------------------------------------------


def test_the_result_lies_in_the_folder_under_the_name_of_the_preset(
    picture: Path, tmp_path: Path, rendered: list
) -> None:
    cfg = singleimg.compose(*QUICK, "augment=paper", f"imgpath={picture}")
    result = control.run_control(cfg, tmp_path / "new" / "folder")
    (file,) = (tmp_path / "new" / "folder").iterdir()
    assert file.name.startswith("paper-") and file.suffix == ".json"
    assert json.loads(file.read_text()) == {
        "preset": "paper", "rotation": 1.0, "axis": 1.0, "images": 9,
    }  # fmt: skip
    assert control.run_control(cfg, tmp_path / "new" / "folder") == result and len(rendered) == 2
    control.run_control(cfg)  # without a folder nothing is kept, nor read
    assert len(rendered) == 4


@pytest.mark.parametrize("change", [
    "seed=1", "img_size=40", "engine=reference", "augment.jitter=0.5", "augment=weak",
    "shortcut.updates=7", "shortcut.tested=7",
])  # fmt: skip
def test_whatever_decides_the_result_makes_it_anew(
    picture: Path, tmp_path: Path, rendered: list, change: str
) -> None:
    kept = ("task=shortcut", f"imgpath={picture}")
    control.run_control(singleimg.compose(*kept, "augment=paper", "img_size=32"), tmp_path)
    changed = [one for one in ("augment=paper", "img_size=32") if one[:8] != change[:8]]
    control.run_control(singleimg.compose(*kept, *changed, change), tmp_path)
    assert len(rendered) == 4 and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("text", ["", '{"preset": "paper", "rota', "[]"])
def test_a_kept_result_that_was_damaged_is_made_anew_or_a_sentence(
    picture: Path, tmp_path: Path, rendered: list, text: str
) -> None:
    cfg = singleimg.compose(*QUICK, "augment=paper", f"imgpath={picture}")
    result = control.run_control(cfg, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    try:
        assert control.run_control(cfg, tmp_path) == result
    except UserError as mistake:
        assert str(file) in str(mistake)


def test_a_preset_that_gives_rotations_away_is_said_to() -> None:
    assert str(Control("mine", 0.4149, 0.82, 100)) == (
        "Null control, augment=mine: on noise RotNet tells 41.5 % of rotations (chance 25, at "
        "most 28) and 82.0 % of axes (chance 50, at most 54): it GIVES ROTATIONS AWAY."
    )
