"""Recipes in words, for every preset, and for what has no words of its own."""

from __future__ import annotations

import pytest

import singleimg
from singleimg.config.make import resolved_transforms
from singleimg.report.words import sentences


@pytest.mark.parametrize("augment", ["script", "paper", "weak", "strong", "none"])
def test_every_preset_is_told_in_words(augment, picture):
    cfg = singleimg.compose(imgpath=str(picture), augment=augment)
    for sentence in sentences(resolved_transforms(cfg)):
        assert "(" not in sentence.replace("(bicubic)", "").replace("(Gaussian", "")
        assert "=" not in sentence and "None" not in sentence and sentence.endswith(".")


def test_the_published_steps():
    cfg = singleimg.compose("deg=20", "corners=reflect")
    told = sentences(resolved_transforms(cfg))
    assert told[:2] == [
        "Cut a square at random, 0.5 of the shorter side.",
        "Cut 1/500 … all of it, of an aspect of 0.75 … 1.33, and resize it (bicubic); turn it by "
        "up to ±20°, shear it by up to ±30°, and keep the middle 256 × 256 pixels; corners that "
        "the rotation uncovers are reflected.",
    ]


def test_others_are_told_by_their_settings():
    assert sentences([
        {"_target_": "mine.Roll", "most": 300.0, "axes": [0, 1.5], "on": True},
        {"_target_": "torchvision.transforms.v2.RandomApply", "p": 0.25, "transforms": [
            {"_target_": "torchvision.transforms.v2.RandomInvert", "p": 1.0},
            {"_target_": "torchvision.transforms.v2.GaussianBlur", "kernel_size": 3.0}]},
        {"_target_": "torchvision.transforms.v2.Resize", "wrong": 1},
    ]) == [
        "Roll(most=300, axes=[0, 1.5], on=true).",
        "With probability 0.25: with probability 1 invert its colours; blur it (Gaussian, sigma "
        "[0.1, 2] pixels, kernel 3).",
        "Resize(wrong=1).",
    ]  # fmt: skip
