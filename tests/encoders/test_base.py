"""Bytes of an image file."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from singleimg.encoders.base import Encoder
from singleimg.encoders.jpeg import JpegEncoder
from singleimg.encoders.png import PngEncoder
from singleimg.encoders.webp import WebpEncoder
from singleimg.errors import UserError
from tests.conftest import ROOT, summary_of

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    "encoder, name", [(JpegEncoder(), "JPEG"), (PngEncoder(), "PNG"), (WebpEncoder(), "WEBP")]
)
def test_each_encoding_is_what_it_says(encoder: Encoder, name):
    image = decoded(encoder.encode(PIXELS))
    assert name == encoder.encoding.upper()
    assert (image.format, image.size, image.mode) == (name, (40, 24), "RGB")


def test_png_keeps_every_pixel():
    assert (np.asarray(decoded(PngEncoder().encode(PIXELS))) == PIXELS).all()


def test_the_default_is_what_pillow_does_with_no_option():
    """As torchvision's save_image did for the published script."""
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, format="JPEG")
    assert JpegEncoder().encode(PIXELS) == buffer.getvalue()


def smooth() -> np.ndarray:
    rows, columns = np.mgrid[:120, :200]
    return np.stack([rows * 2, columns, 255 - rows - columns // 2], -1).astype(np.uint8)


def test_both_libraries_write_the_same_picture_in_their_own_bytes():
    for pixels in (smooth(), smooth()[::-1, ::2]):  # the second is not contiguous in memory
        ours, pillows = (
            JpegEncoder(library=one).encode(pixels) for one in ("simplejpeg", "pillow")
        )
        assert abs(len(ours) - len(pillows)) < 0.02 * len(pillows)
        assert decoded(ours).quantization == decoded(pillows).quantization
        assert decoded(ours).layer == decoded(pillows).layer  # sampling factors
        shown = [np.asarray(decoded(data)).astype(int) for data in (ours, pillows)]
        assert abs(shown[0] - shown[1]).mean() < 0.6
        assert abs(shown[0] - pixels).mean() < 3


@pytest.mark.parametrize("library", ["simplejpeg", "pillow"])
def test_quality_and_subsampling_take_effect(library):
    sizes = [
        len(JpegEncoder(quality, subsampling, library).encode(PIXELS))
        for quality, subsampling in [(50, "4:2:0"), (75, "4:2:0"), (75, "4:4:4")]
    ]
    assert sizes == sorted(sizes) and len(set(sizes)) == 3


def test_the_recipe_names_only_what_decides_bytes():
    assert PngEncoder().settings() == {}
    assert WebpEncoder(quality=3).settings() == {"quality": 3}
    assert JpegEncoder(library="simplejpeg").settings() == {
        "quality": 75,
        "subsampling": "4:2:0",
        "jpeg": "simplejpeg",
    }


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"quality": 0},
            "encode.quality=0 is not a whole number from 1 to 100: type for example "
            "encode.quality=75.",
        ),
        (
            {"subsampling": "4:1:1"},
            "encode.subsampling=4:1:1 is not one of 4:4:4, 4:2:2, 4:2:0: type for example "
            "encode.subsampling=4:4:4.",
        ),
        (
            {"library": "turbo"},
            "encode.library=turbo is not one of simplejpeg, pillow: type for example "
            "encode.library=simplejpeg.",
        ),
    ],
)
def test_mistakes_get_a_sentence(options, message):
    with pytest.raises(UserError) as caught:
        JpegEncoder(**options)
    assert str(caught.value) == message


def test_a_library_that_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    with pytest.raises(UserError) as caught:
        JpegEncoder(library="simplejpeg")
    assert str(caught.value) == (
        "encode.library=simplejpeg needs the module simplejpeg, which cannot be imported here "
        "(import of simplejpeg halted; None in sys.modules): type pip install simplejpeg, or "
        "encode.library=pillow."
    )


@pytest.mark.parametrize("typed", ["encode=png", "encode.library=pillow", "engine=reference"])
def test_it_is_missed_by_no_run_that_does_not_use_it(run, picture, tmp_path, monkeypatch, typed):
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    images = (f"imgpath={picture}", "num_imgs=8", "img_size=32", f"targetpath={tmp_path}/set")
    said = run(*images, code=1).stderr
    assert said.startswith("encode.library=simplejpeg needs the module simplejpeg")
    assert not (tmp_path / "set").exists()
    run(*images, typed)
    assert summary_of(tmp_path / "set")["images"] == 8


FILES = """
import sys
import numpy as np
from singleimg.encoders.jpeg import JpegEncoder

for index in range(500):
    numbers = np.random.default_rng(index)
    width, height = numbers.integers(8, 200, 2)
    noise = numbers.integers(0, 256, (height, width, 3))
    smooth = np.add.outer(np.arange(height), np.arange(width))[..., None] * [1, 2, 3]
    pixels = (smooth + noise * numbers.random()).clip(0, 255).astype(np.uint8)
    quality, subsampling = int(numbers.integers(1, 101)), ("4:4:4", "4:2:2", "4:2:0")[index % 3]
    sys.stdout.buffer.write(JpegEncoder(quality, subsampling, "simplejpeg").encode(pixels))
"""


def test_the_processor_decides_no_byte_of_a_jpeg_file():
    """Of libjpeg-turbo's loops for x86: which are used, these variables of its own say."""
    (library,) = Path(simplejpeg.__file__).parent.glob("_jpeg*.so")
    if b"JSIMD_FORCENONE" not in library.read_bytes():
        pytest.skip("this build of libjpeg-turbo has one way alone")
    files = {
        subprocess.run(
            [sys.executable, "-c", FILES], cwd=ROOT, env={**os.environ, variable: "1"},
            stdout=subprocess.PIPE, check=True,
        ).stdout
        for variable in ("NOTHING", "JSIMD_FORCENONE", "JSIMD_FORCESSE2")
    }  # fmt: skip
    assert len(files) == 1 and len(files.pop()) > 1_000_000
