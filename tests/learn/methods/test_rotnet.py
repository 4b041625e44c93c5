"""RotNet: four exact rotations and their labels, what makes a label untrue, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from singleimg.errors import UserError
from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.rotnet import RotNet, rotate_quarters
from singleimg.learn.methods.train_state import TrainState
from singleimg.transforms import CropResizeAffine
from tests.learn.tiny import built, levels, updates

TRANSFORMS = "torchvision.transforms.v2."
FLIP = {"_target_": TRANSFORMS + "RandomVerticalFlip"}
FLIPPED = (
    "method=rotnet cannot learn from images that are flipped top to bottom, since a flipped image "
    "looks like a rotated one in a mirror: type vflip=false, or augment=paper."
)


def turn(degrees: Any, name: str = "RandomRotation") -> dict[str, Any]:
    """A transform that rotates by up to so much."""
    return {"_target_": TRANSFORMS + name, "degrees": degrees}


def within(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The same transform, seldom, deep inside others."""
    apply = {"_target_": TRANSFORMS + "RandomApply", "p": 0.1, "transforms": [entry]}
    return [{"_target_": TRANSFORMS + "Compose", "transforms": [apply]}]


def check(*transforms: dict[str, Any]) -> None:
    RotNet(name="rotnet").check_transforms(transforms)


def refusal(*transforms: dict[str, Any]) -> str:
    with pytest.raises(UserError) as mistake:
        check(*transforms)
    return str(mistake.value)


# --- rotations -----------------------------------------------------------------------------------


def test_a_bar_at_the_top_goes_left_then_down_then_right() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[..., 0, :] = 1
    turned, quarters = rotate_quarters(image)
    assert quarters.tolist() == [0, 1, 2, 3] and quarters.dtype == torch.int64
    bars = [(..., 0, slice(None)), (..., slice(None), 0), (..., -1, slice(None)), (..., -1)]
    for one, bar in zip(turned, bars, strict=True):
        assert one[bar].eq(1).all() and one.sum() == 12


def test_rotations_are_exactly_numpys_quarter_turns_of_each_image_one_turn_after_another() -> None:
    images = torch.rand(3, 3, 7, 7)
    turned, quarters = rotate_quarters(images)
    assert turned.shape == (12, 3, 7, 7)
    assert quarters.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    for place, (one, quarter) in enumerate(zip(turned, quarters, strict=True)):
        expected = np.rot90(images[place % 3].numpy(), int(quarter), axes=(1, 2))
        assert np.array_equal(one.numpy(), expected)


def test_four_quarter_turns_are_none() -> None:
    images = torch.rand(2, 3, 5, 5)
    once = images
    for _ in range(4):
        once = rotate_quarters(once)[0][2:4]
    assert torch.equal(once, images)


# --- transforms that are refused -----------------------------------------------------------------


@pytest.mark.parametrize("p", [None, 0.01, 1])
def test_vertical_flips_are_refused(p: float | None) -> None:
    entry = FLIP if p is None else {**FLIP, "p": p}
    assert refusal(entry) == refusal(*within(entry)) == FLIPPED


def test_a_vertical_flip_that_never_happens_and_a_horizontal_one_are_allowed() -> None:
    check({**FLIP, "p": 0.0}, *within({**FLIP, "p": 0}))
    check({"_target_": TRANSFORMS + "RandomHorizontalFlip", "p": 1})


@pytest.mark.parametrize(("degrees", "said"), [
    (45, "45"), (180, "180"), ([-10, 60.5], "60.5"), ([-90, 0], "90"), (-50, "50"),
])  # fmt: skip
def test_rotations_of_45_degrees_and_more_are_refused(degrees: Any, said: str) -> None:
    sentence = (
        f"method=rotnet cannot learn from images that are rotated by up to {said}°, since from 45° "
        "on they may be nearer to the next quarter turn than to their own: type deg=35 or another "
        "number below 45, or augment=paper."
    )
    for name in ("RandomRotation", "RandomAffine"):
        assert refusal(turn(degrees, name)) == refusal(*within(turn(degrees, name))) == sentence


@pytest.mark.parametrize("degrees", [44.9, [-44.9, 44.9], 0, None, []])
def test_rotations_of_less_are_allowed(degrees: Any) -> None:
    check(turn(degrees), *within(turn(degrees)))


def test_one_transform_among_many_is_enough_to_refuse() -> None:
    assert refusal(turn(10), {"_target_": TRANSFORMS + "ToImage"}, FLIP) == FLIPPED
    check()


# --- what gives the answer away ------------------------------------------------------------------

OURS = "singleimg.transforms.CropResizeAffine"
SAID = "by the black corners that rotation and shear leave"


def given_away(*transforms: dict[str, Any]) -> str | None:
    return RotNet(name="rotnet").shortcut(transforms)


@pytest.mark.parametrize(
    "degrees, shear, opens",
    [(30, 30, True), (30, 0, False), (10, 0, False), (0, 30, True), (0, 20, False), (30, 5, False),
     (44, 15, True)],
)  # fmt: skip
def test_black_corners_are_a_shortcut_where_there_are_any(degrees, shear, opens) -> None:
    """Those of many patches of a white picture are looked at."""
    torch.manual_seed(0)
    white = Image.new("RGB", (100, 100), "white")
    patch = CropResizeAffine(64, degrees=degrees, shear=shear)
    assert any(np.asarray(patch(white)).min() < 128 for _ in range(400)) == opens
    entry = {"_target_": OURS, "degrees": degrees, "shear": shear}
    assert given_away(entry) == given_away(*within(entry)) == (SAID if opens else None)
    for corners in ("image", "reflect"):
        assert given_away({**entry, "corners": corners}) is None


def test_torchvisions_rotations_open_corners_unless_they_are_cut_off() -> None:
    assert given_away(turn(10)) == given_away(turn(10, "RandomAffine")) == SAID
    cut = {"_target_": TRANSFORMS + "CenterCrop", "size": 32}
    assert given_away(turn(0)) is given_away(turn(10), cut) is None


def test_the_paper_s_crop_turns_and_opens_nothing() -> None:
    assert given_away({"_target_": "singleimg.transforms.RotatedCrop", "degrees": 35}) is None


# --- training ------------------------------------------------------------------------------------


def test_an_update_tells_apart_the_four_rotations_of_every_image(
    pictures: InMemory, state: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, seen = built(RotNet, pictures), []
    monkeypatch.setattr(
        torch.nn.functional,
        "cross_entropy",
        lambda scores, labels: seen.append((scores.shape, labels)) or scores.sum(),
    )
    updates(method, pictures, state, 1)
    ((shape, labels),) = seen
    assert shape == (64, 4) and labels.tolist() == [0] * 16 + [1] * 16 + [2] * 16 + [3] * 16


def test_it_needs_no_labels_and_has_four_outputs_whatever_the_classes(pictures: InMemory) -> None:
    assert not RotNet.needs_labels and built(RotNet, pictures).head.out_features == 4


def test_rotnet_overfits_sixteen_images(pictures: InMemory, state: TrainState) -> None:
    said = updates(built(RotNet, pictures, lr=0.05), pictures, state, 40)
    assert said[-1]["accuracy"] > 0.95 and said[-1]["loss"] < 0.5 * said[0]["loss"]
    assert said[0]["accuracy"] < 0.6


def test_what_it_learned_are_the_rotations(pictures: InMemory, state: TrainState) -> None:
    method = built(RotNet, pictures, lr=0.05)
    updates(method, pictures, state, 40)
    turned, quarters = rotate_quarters(levels(pictures))
    assert (method(turned).argmax(1) == quarters).float().mean() > 0.95


def test_turns_that_have_no_key_are_refused_too() -> None:
    for entry, said in (
        ({"_target_": TRANSFORMS + "TrivialAugmentWide"}, "135"),
        ({"_target_": TRANSFORMS + "RandomRotation", "_args_": [90]}, "90"),
    ):
        with pytest.raises(UserError, match=f"rotated by up to {said}°"):
            check(entry)


def test_the_first_number_of_another_transform_is_no_angle() -> None:
    check({"_target_": TRANSFORMS + "Resize", "_args_": [256]})
