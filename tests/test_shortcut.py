"""The null control: it sees a trace that a preset leaves, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

import singleimg
from singleimg import shortcut
from singleimg.shortcut import Control, Noises, control

QUICK = ("task=shortcut", "img_size=32", "shortcut.sources=4", "shortcut.tested_sources=2",
         "shortcut.images=800", "shortcut.tested=300", "shortcut.updates=150")  # fmt: skip


BAR = [  # black above every image
    {"_target_": "torchvision.transforms.v2.Pad", "padding": [0, 8, 0, 0]},
    {"_target_": "torchvision.transforms.v2.Resize", "size": [32, 32]},
]


def test_the_paper_preset_gives_little_away_and_a_black_bar_everything(picture):
    cfg = singleimg.compose(*QUICK, "augment=paper", f"imgpath={picture}")
    paper = control(cfg)
    assert paper.rotation < 0.32 and paper.axis < 0.58  # few updates: chance, and its spread
    cfg.augment.transforms = [*cfg.augment.transforms, *BAR]
    trace = control(cfg)
    assert trace.rotation > 0.6 and trace.axis > 0.7 and not trace.holds
    assert trace.images == 300


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
    first = control(cfg, tmp_path)
    monkeypatch.setattr(shortcut, "_trained", None)  # not to be called again
    assert control(cfg, tmp_path) == first
    changed = singleimg.compose(*quick, "augment=paper", "deg=10", f"imgpath={picture}")
    with pytest.raises(TypeError):
        control(changed, tmp_path)


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
    monkeypatch.setattr(shortcut, "_trained", lambda cfg, images: seen.append(images.size))
    monkeypatch.setattr(shortcut, "_told", lambda *_: None)
    control(singleimg.compose(*QUICK[:1], *QUICK[2:4], "shortcut.images=4", "shortcut.tested=4",
                              "augment=paper", "img_size=256", f"imgpath={picture}"))  # fmt: skip
    assert seen == [32]
