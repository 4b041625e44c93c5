"""Bytes of an image file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from singleimg.encoders.base import Encoder
from singleimg.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("encoding, name", [("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
def test_each_encoding_is_what_it_says(encoding, name):
    image = decoded(Encoder(encoding).encode(PIXELS))
    assert (image.format, image.size, image.mode) == (name, (40, 24), "RGB")


def test_png_keeps_every_pixel():
    assert (np.asarray(decoded(Encoder("png").encode(PIXELS))) == PIXELS).all()


def test_the_default_is_what_pillow_does_with_no_option():
    """As torchvision's save_image did for the published script."""
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="JPEG")
    assert Encoder().encode(PIXELS) == buffer.getvalue()


def smooth() -> np.ndarray:
    rows, columns = np.mgrid[:120, :200]
    return np.stack([rows * 2, columns, 255 - rows - columns // 2], -1).astype(np.uint8)


def test_both_libraries_write_the_same_picture_in_their_own_bytes():
    for pixels in (smooth(), smooth()[::-1, ::2]):  # the second is not contiguous in memory
        ours, pillows = (Encoder(jpeg=one).encode(pixels) for one in ("simplejpeg", "pillow"))
        assert abs(len(ours) - len(pillows)) < 0.02 * len(pillows)
        assert decoded(ours).quantization == decoded(pillows).quantization
        assert decoded(ours).layer == decoded(pillows).layer  # sampling factors
        shown = [np.asarray(decoded(data)).astype(int) for data in (ours, pillows)]
        assert abs(shown[0] - shown[1]).mean() < 0.6
        assert abs(shown[0] - pixels).mean() < 3


@pytest.mark.parametrize("library", ["simplejpeg", "pillow"])
def test_quality_and_subsampling_take_effect(library):
    sizes = [
        len(Encoder("jpeg", quality, subsampling, library).encode(PIXELS))
        for quality, subsampling in [(50, "4:2:0"), (75, "4:2:0"), (75, "4:4:4")]
    ]
    assert sizes == sorted(sizes) and len(set(sizes)) == 3


def test_the_recipe_names_only_what_decides_bytes():
    assert Encoder("png", quality=3).settings() == {"encoding": "png"}
    assert Encoder("webp", quality=3).settings() == {"encoding": "webp", "quality": 3}
    assert Encoder(jpeg="simplejpeg").settings() == {
        "encoding": "jpeg",
        "quality": 75,
        "subsampling": "4:2:0",
        "jpeg": "simplejpeg",
    }


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"encoding": "jpg2"},
            "output.encoding=jpg2 is not one of jpeg, png, webp: type for example "
            "output.encoding=jpeg.",
        ),
        (
            {"quality": 0},
            "output.quality=0 is not a whole number from 1 to 100: type for example "
            "output.quality=75.",
        ),
        (
            {"subsampling": "4:1:1"},
            "output.subsampling=4:1:1 is not one of 4:4:4, 4:2:2, 4:2:0: type for example "
            "output.subsampling=4:4:4.",
        ),
        (
            {"jpeg": "turbo"},
            "output.jpeg=turbo is not one of simplejpeg, pillow: type for example "
            "output.jpeg=simplejpeg.",
        ),
    ],
)
def test_mistakes_get_a_sentence(options, message):
    with pytest.raises(UserError) as caught:
        Encoder(**options)
    assert str(caught.value) == message
