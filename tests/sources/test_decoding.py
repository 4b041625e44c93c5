"""Where source pixels come from, and what is refused."""

from __future__ import annotations

import contextlib
import io
import logging
import struct
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from singleimg.errors import UserError
from singleimg.sources import decoding
from singleimg.sources.decoding import to_rgb
from singleimg.sources.file import File
from tests.sources.conftest import picture, refused
from tests.sources.test_colour import SPACES, profile

# --- formats and modes ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "ppm", "webp", "jpg", "gif", "avif"])
def test_every_format_is_read(tmp_path, suffix):
    path = tmp_path / f"a picture.{suffix}"
    picture().save(path, **({"lossless": True} if suffix == "webp" else {}))
    pixels = File(path).load(0)
    assert (pixels.shape, pixels.dtype, File(path).name) == ((30, 40, 3), np.uint8, "a_picture")
    difference = np.abs(pixels.astype(int) - np.asarray(picture())).mean()
    assert difference == 0 if suffix not in ("jpg", "gif", "avif") else difference < 20


LEVELS = np.array([[0, 257 * 100, 65535]], np.uint16)
MODES = {
    "grey": (Image.fromarray(np.array([[0, 100, 255]], np.uint8)), [0, 100, 255]),
    "16 bit": (Image.fromarray(LEVELS), [0, 100, 255]),
    "32 bit": (Image.fromarray(LEVELS.astype(np.int32)), [0, 100, 255]),
    "float": (Image.fromarray(np.array([[-9, 100, 999]], np.float32)), [0, 100, 255]),
    "1 bit": (Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1"), [0, 255, 255]),
    "cmyk": (Image.new("CMYK", (3, 1), (255, 0, 0, 255)), [0, 0, 0]),
}


@pytest.mark.parametrize("image, reds", MODES.values(), ids=MODES)
def test_every_mode_becomes_rgb(image, reds):
    pixels = to_rgb(image).pixels
    assert pixels.shape == (1, 3, 3)
    assert pixels[0, :, 0].tolist() == reds


def test_transparency_is_laid_over_the_background():
    clear = Image.new("RGBA", (1, 1), (200, 0, 0, 0))
    half = Image.new("LA", (1, 1), (0, 128))
    assert to_rgb(clear).pixels.tolist() == [[[255, 255, 255]]]
    assert to_rgb(clear, (1, 2, 3)).pixels.tolist() == [[[1, 2, 3]]]
    assert to_rgb(half).pixels.tolist() == [[[127, 127, 127]]]


def test_a_palette_and_its_transparency(tmp_path):
    image = picture().quantize(16)
    image.save(tmp_path / "p.png", transparency=image.getpixel((0, 0)))
    loaded = File(tmp_path / "p.png", background=[9, 8, 7]).load(0)
    assert loaded[0, 0].tolist() == [9, 8, 7]


TURNS = [None, *(Image.Transpose[turn] for turn in (
    "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE",
    "ROTATE_90"))]  # by EXIF's numbers, from 1 on  # fmt: skip


@pytest.mark.parametrize("packed", [None, "raw", "tiff_lzw"])
@pytest.mark.parametrize("number, turn", list(enumerate(TURNS, 1)))
def test_exif_orientation_is_applied(tmp_path, number, turn, packed):
    """Of TIFF Pillow does it itself, unless it is told not to."""
    image, exif = picture().resize((520, 300)), Image.Exif()  # of three strips
    exif[0x0112] = number
    path = tmp_path / ("turned.tiff" if packed else "turned.png")
    image.save(path, exif=exif, compression=packed)
    expected = image if turn is None else image.transpose(turn)
    assert np.array_equal(File(path).load(0), expected)


def test_strips_are_the_whole_picture(tmp_path):
    """Converted in one piece by Pillow alone: profile, then transparency."""
    tagged = Image.fromarray(np.random.default_rng(0).integers(0, 256, (299, 701, 4), np.uint8))
    adobe = profile(b"RGB ", "Adobe RGB", *SPACES["Adobe RGB"])
    tagged.save(tmp_path / "a.png", icc_profile=adobe)
    srgb = ImageCms.createProfile("sRGB")
    whole = ImageCms.profileToProfile(
        tagged.convert("RGB"), io.BytesIO(adobe), srgb, ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    whole.putalpha(tagged.getchannel("A"))
    below = Image.new("RGBA", tagged.size, (9, 8, 7, 255))
    expected = Image.alpha_composite(below, whole).convert("RGB")
    assert np.array_equal(File(tmp_path / "a.png", background=[9, 8, 7]).load(0), expected)


@pytest.mark.parametrize("suffix", ["tiff", "gif", "png", "webp", "avif"])
def test_the_first_of_several_is_taken_and_said(tmp_path, caplog, suffix):
    caplog.set_level(logging.INFO, "singleimg")
    red, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    path = tmp_path / f"two.{suffix}"
    red.save(path, save_all=True, append_images=[blue])
    found = File(path).load(0)[0, 0].astype(int)
    assert np.abs(np.subtract(found, (255, 0, 0))).max() <= 5
    assert caplog.messages == [f"imgpath={path} holds 2 pictures or frames: the first is used."]


def test_levels_of_darkness(tmp_path):
    """TIFF's WhiteIsZero, which Pillow turns round for few bits only."""
    for pixels in (LEVELS, (LEVELS // 257).astype(np.uint8)):
        bits = 8 * pixels.dtype.itemsize
        tags = {
            256: 3,
            257: 1,
            258: bits,
            259: 1,
            262: 0,
            273: 8,
            277: 1,
            278: 1,
            279: 3 * bits // 8,
        }
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        (tmp_path / "a.tiff").write_bytes(
            struct.pack("<2sHI", b"II", 42, 16)
            + pixels.tobytes().ljust(8, b"\0")
            + struct.pack("<H", len(tags))
            + entries
            + bytes(4)
        )
        found = File(tmp_path / "a.tiff").load(0)[0, :, 0]
        assert found.tolist() == [255, 155, 0]


# --- pictures of phones --------------------------------------------------------------------------


def test_heic_is_read(tmp_path):
    pytest.importorskip("pi_heif", reason="pi-heif is not installed")
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif, which writes it")
    path = tmp_path / "IMG_0001.HEIC"
    pillow_heif.from_pillow(picture().resize((80, 60))).save(path, quality=95)
    found = File(path).load(0).astype(int)
    assert np.abs(found - np.asarray(picture().resize((80, 60)))).mean() < 5


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
@pytest.mark.parametrize("saved", [{"quality": 70}, {"lossless": True}], ids=["lossy", "lossless"])
@pytest.mark.parametrize("size", [(80, 60), (81, 61), (1, 3)])
def test_webp_is_what_pillow_reads(tmp_path, saved, alpha, size):
    """By another decoder than Pillow's, which holds twice as much."""
    image, turned = picture().resize(size), Image.Exif()
    if alpha:
        image.putalpha(image.getchannel("R"))
    turned[274] = 6
    image.save(tmp_path / "a.webp", exif=turned, **saved)
    with Image.open(tmp_path / "a.webp") as opened:
        whole = opened.convert("RGBA").rotate(-90, expand=True)
    below = Image.new("RGBA", whole.size, "white")
    expected = np.asarray(Image.alpha_composite(below, whole).convert("RGB"))
    assert np.array_equal(File(tmp_path / "a.webp").load(0), expected)


def test_webp_without_its_decoder_is_read_by_pillow(tmp_path, monkeypatch):
    """A torchvision that was built without libwebp."""

    def missing(*_: object) -> None:
        raise RuntimeError("decode_webp: torchvision not compiled with libwebp support")

    picture().save(tmp_path / "a.webp")
    expected = File(tmp_path / "a.webp").load(0)
    decoding.load_picture.cache_clear()
    monkeypatch.setattr("torchvision.io.decode_webp", missing)
    assert np.array_equal(File(tmp_path / "a.webp").load(0), expected)


def test_heic_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert refused(lambda: File(tmp_path / "a.heic")) == (
        f"imgpath={tmp_path}/a.heic is a HEIC picture, which needs the package pi-heif: type pip "
        'install -e ".[heif]", or save it as JPEG.'
    )


# --- mistakes ------------------------------------------------------------------------------------


def test_bad_files_are_named(tmp_path):
    whole = tmp_path / "whole.jpg"
    picture().resize((400, 300)).save(whole)
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:-3000])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "program.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    end = "type the path of a picture."
    assert refused(lambda: File(tmp_path / "no.jpg")) == (
        f"imgpath={tmp_path}/no.jpg does not exist: {end}"
    )
    assert refused(lambda: File(tmp_path / "empty.jpg")) == (
        f"imgpath={tmp_path}/empty.jpg is empty: {end}"
    )
    assert refused(lambda: File(tmp_path)) == (
        f"imgpath={tmp_path} is a folder: type image=folder as well, or the name of one picture "
        "in it."
    )
    for name in ("text.jpg", "program.eps"):
        assert refused(lambda name=name: File(tmp_path / name)) == (
            f"imgpath={tmp_path}/{name} is not a picture in a format that can be read: use JPEG, "
            "PNG, WEBP, TIFF, BMP, GIF, PPM, AVIF or HEIF."
        )
    assert refused(lambda: File(tmp_path / "cut.jpg")).startswith(
        f"imgpath={tmp_path}/cut.jpg cannot be read to its end ("
    )


def test_a_bomb_is_refused_unless_it_is_trusted(tmp_path):
    path = tmp_path / "large.png"
    Image.new("L", (10_000, 9_000)).save(path)
    assert refused(lambda: File(path)) == (
        f"imgpath={path} has 90,000,000 pixels, over the limit of 89,478,485 that keeps large "
        "files from filling the memory: type max_pixels=90000000 if you trust it."
    )
    assert File(path, max_pixels=90_000_000).load(0).shape == (9_000, 10_000, 3)


def test_a_background_must_be_a_colour():
    with pytest.raises(UserError, match=r"^image.background=\[1, 2\] is not a colour, three whole"):
        File("a.png", background=[1, 2])


# --- decoders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [MemoryError(), TypeError("bad operand"), RecursionError("a\nb")])
def test_whatever_a_decoder_raises_is_said(tmp_path, monkeypatch, error):
    picture().save(tmp_path / "a.png")

    def fail(*_):
        raise error

    monkeypatch.setattr(decoding, "to_rgb", fail)
    assert refused(lambda: File(tmp_path / "a.png")).startswith(
        f"imgpath={tmp_path}/a.png cannot be read to its end ("
    )


def test_decoders_say_nothing_themselves(tmp_path, capfd):
    picture().convert("1").save(tmp_path / "a.tiff", compression="group4")
    data = bytearray((tmp_path / "a.tiff").read_bytes())
    data[20:30] = bytes(10)
    (tmp_path / "a.tiff").write_bytes(data)
    with contextlib.suppress(UserError):
        File(tmp_path / "a.tiff").load(0)
    print("still there", file=sys.stderr)
    assert capfd.readouterr() == ("", "still there\n")


def test_a_picture_that_is_replaced_is_read_anew(tmp_path):
    path = tmp_path / "a.png"
    for level in (10, 200):
        Image.new("RGB", (20, 20), (level,) * 3).save(path)
        assert File(str(path)).load(0)[0, 0].tolist() == [level] * 3
