"""The pictures that are made."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from singleimg.sources.synthetic import DEAD_LEAVES_SHA256, dead_leaves, noise


def test_dead_leaves_is_the_same_picture_everywhere():
    image = dead_leaves()
    assert (image.size, image.mode) == ((2560, 1920), "RGB")
    found = hashlib.sha256(b"2560x1920\n" + image.tobytes()).hexdigest()
    assert found == DEAD_LEAVES_SHA256


def test_dead_leaves_has_edges_at_every_scale():
    """The mean step between neighbours falls slowly as the picture is shrunk: 1/f, as in nature."""
    image = dead_leaves((640, 480)).convert("L")
    steps = []
    for factor in (1, 2, 4, 8):
        levels = np.asarray(image.reduce(factor)).astype(float)
        steps.append(np.abs(np.diff(levels, axis=1)).mean())
    assert min(steps) > 5 and max(steps) / min(steps) < 4


def test_another_seed_is_another_picture():
    pictures = {dead_leaves((64, 48), seed).tobytes() for seed in range(3)}
    assert len(pictures) == 3


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_noise_has_the_spectrum_that_was_asked_for(exponent):
    levels = noise((512, 512), exponent, seed=3)[..., 1].astype(float)
    power = np.abs(np.fft.fft2(levels - levels.mean()))
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.fftfreq(512)[None, :])
    band = (frequency > 0.01) & (frequency < 0.12)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band] + 1e-9), 1)[0]
    assert abs(slope + exponent) < 0.1


def test_noise_has_the_size_and_is_not_grey():
    pixels = noise((48, 32), 1.0, seed=1)
    assert pixels.shape == (32, 48, 3) and (pixels[..., 0] != pixels[..., 1]).any()
