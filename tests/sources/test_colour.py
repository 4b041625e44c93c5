"""Embedded colour profiles, against matrices and curves computed from the profiles' own tags."""

from __future__ import annotations

import logging
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from singleimg import SingleImage
from singleimg.sources import decoding
from singleimg.sources.base import examine
from singleimg.sources.file import File
from tests.conftest import Run
from tests.sources.conftest import refused

# Colorants as they stand in profiles (adapted to D50, columns red green blue), and the exponent.
SPACES = {
    "Display P3": ([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]],
                   2.2),
    "Adobe RGB": ([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]],
                  2.19921875),
    "ProPhoto": ([[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]], 1.8),
}  # fmt: skip
SRGB = [[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]
D50 = (0.9642, 1.0, 0.8249)


def profile(space: bytes, name: str, colorants: list, gamma: float) -> bytes:
    """An ICC profile (version 2) of a matrix, or of grey, and of one curve."""

    def xyz(values) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(gamma * 256))
    text = name.encode() + b"\0"
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
            b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz(D50)}  # fmt: skip
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        for letter, column in zip((b"r", b"g", b"b"), np.transpose(colorants), strict=True):
            tags[letter + b"XYZ"], tags[letter + b"TRC"] = xyz(column), curve
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s12x4s28x3i48x", start + len(body), b"none", 0x02400000, b"mntr",
                       space, b"XYZ ", b"acsp", *(round(v * 65536) for v in D50))  # fmt: skip
    return head + struct.pack(">I", len(tags)) + table + body


def expected(pixels: np.ndarray, colorants: list | None, gamma: float) -> np.ndarray:
    """Levels of sRGB: the curve, the matrix to XYZ, that of sRGB backwards, its curve backwards."""
    linear = (pixels / 255) ** (round(gamma * 256) / 256)
    if colorants is not None:
        linear = linear @ np.transpose(colorants) @ np.linalg.inv(np.transpose(SRGB))
    linear = np.clip(linear, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return 255 * curved


def colours() -> np.ndarray:
    """``uint8`` 24×24×3, of all hues and depths."""
    levels = np.array([0, 1, 5, 20, 60, 128, 200, 255], np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(16, 32, 3)


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp", "avif", "jpg"])
@pytest.mark.parametrize("name", SPACES)
def test_a_profile_becomes_srgb_in_every_format(tmp_path, name, suffix):
    colorants, gamma = SPACES[name]
    path = tmp_path / f"a.{suffix}"
    pixels = colours().repeat(8, 0).repeat(8, 1)
    lossless = {"webp": {"lossless": True}, "avif": {"quality": 100, "subsampling": "4:4:4"},
                "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})  # fmt: skip
    Image.fromarray(pixels).save(
        path, icc_profile=profile(b"RGB ", name, colorants, gamma), **lossless
    )
    with Image.open(path) as file:
        stored = np.asarray(file.convert("RGB"))  # with what the format lost
    found = File(path).load(0)
    apart = np.abs(found - expected(stored, colorants, gamma))
    assert apart.max() <= 1.6  # a level, and the rounding of ours
    assert examine(File(path))[1] == {name}


def test_the_colour_of_an_iphone(tmp_path):
    """(200, 80, 60) of Display P3, whose curve is sRGB's own; by ColorSync and libvips."""
    pyvips = pytest.importorskip("pyvips", reason="pyvips is not installed")
    Image.new("RGB", (8, 8), (200, 80, 60)).save(
        tmp_path / "a.png", icc_profile=bytes(pyvips.Image.profile_load("p3"))
    )
    found = File(tmp_path / "a.png").load(0)[0, 0].astype(int)
    assert np.abs(np.subtract(found, (216, 69, 50))).max() <= 1


def test_grey_and_transparency_are_converted_too(tmp_path):
    linear = profile(b"GRAY", "linear grey", [], 1.0)
    ramp = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    Image.fromarray(ramp).save(tmp_path / "grey.png", icc_profile=linear)
    found = File(tmp_path / "grey.png").load(0)
    assert np.abs(found - expected(ramp, None, 1.0)[..., None]).max() <= 1.6
    colorants, gamma = SPACES["Adobe RGB"]
    half = Image.new("RGBA", (8, 8), (200, 80, 60, 128))
    half.save(tmp_path / "half.png", icc_profile=profile(b"RGB ", "a", colorants, gamma))
    colour = expected(np.array([[200, 80, 60]]), colorants, gamma)
    wanted = (colour * 128 + 255 * 127) / 255
    assert np.abs(File(tmp_path / "half.png").load(0)[0] - wanted).max() <= 2


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
def test_grey_of_sixteen_bits_is_converted_before_it_becomes_eight(tmp_path, gamma, dark):
    """To a level; libvips, whose tables are coarse, is 10 off near black. dark: of WhiteIsZero."""
    ramp = np.arange(65536, dtype=np.uint16).reshape(128, 512)
    grey, path = profile(b"GRAY", "grey", [], gamma), tmp_path / "grey.png"
    if dark:
        path = tmp_path / "grey.tiff"
        tags = {262: 0, 34675: grey}
        Image.fromarray(65535 - ramp).save(path, tiffinfo=tags)
    else:
        Image.fromarray(ramp).save(path, icc_profile=grey)
    found = File(path).load(0)
    wanted = expected(ramp / 257, None, gamma)[..., None]
    assert np.abs(found - wanted).max() <= 1


def save_deep(path, levels: np.ndarray, icc: bytes) -> None:
    """``uint16`` H×W×C with a profile, by another writer than Pillow, which has none."""
    if path.suffix == ".tiff":
        tifffile = pytest.importorskip("tifffile", reason="tifffile, which writes it")
        extra = {"extrasamples": ["unassalpha"]} if levels.shape[2] in (2, 4) else {}
        kind = "minisblack" if levels.shape[2] < 3 else "rgb"
        tifffile.imwrite(path, levels, photometric=kind, iccprofile=icc, **extra)
        return
    pyvips = pytest.importorskip("pyvips", reason="pyvips, which writes it")
    kind = "grey16" if levels.shape[2] < 3 else "rgb16"
    image = pyvips.Image.new_from_array(levels).copy(interpretation=kind)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    image.write_to_file(str(path))


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("gamma", [1.8, 2.2])
def test_colours_of_sixteen_bits_lose_two_levels_at_most(tmp_path, gamma, suffix):
    ramp = np.arange(65536, dtype=np.uint16).reshape(128, 512, 1).repeat(3, 2)
    path = tmp_path / f"a.{suffix}"
    save_deep(path, ramp, profile(b"RGB ", "curved", SPACES["Adobe RGB"][0], gamma))
    wanted = expected(ramp / 257, SPACES["Adobe RGB"][0], gamma)
    assert np.abs(File(path).load(0) - wanted).max() <= 2.1  # Pillow reads the upper 8


@pytest.mark.parametrize("suffix", ["png", "tiff"])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bits_of_light_itself_are_refused(tmp_path, channels, suffix):
    """Without a curve the first of 256 levels is the 13th of sRGB, and Pillow reads 8 bits."""
    space, name = (b"GRAY", "light") if channels == 2 else (b"RGB ", "light")
    levels = np.full((8, 8, channels), 300, np.uint16)
    levels[..., 3:] = 65535
    path = tmp_path / f"a.{suffix}"
    save_deep(path, levels, profile(space, name, SPACES["Display P3"][0], 1.0))
    assert refused(lambda: File(path)) in (
        f"imgpath={path} has 16 bits per channel in the colours of light, for which the 8 bits "
        "that Pillow reads are too few: save it as sRGB.",
        f"imgpath={path} is a TIFF of a layout that cannot be read here: save it as PNG.",
    )
    eight = Image.fromarray((levels[..., :3] >> 8).astype(np.uint8))
    if channels == 3:  # which is all that such a file says
        eight.save(path, icc_profile=profile(b"RGB ", name, SPACES["Display P3"][0], 1.0))
        wanted = expected(np.ones((1, 1, 3)), SPACES["Display P3"][0], 1.0)
        assert np.abs(File(path).load(0) - wanted).max() <= 1


def test_grey_with_transparency_of_sixteen_bits_has_its_profile(tmp_path):
    """Which Pillow passes on as colours."""
    levels = np.full((8, 8, 2), 65535, np.uint16)
    levels[..., 0] = np.linspace(0, 65535, 8)
    save_deep(tmp_path / "a.png", levels, profile(b"GRAY", "grey", [], 1.8))
    wanted = expected(levels[..., :1] / 257, None, 1.8)
    assert np.abs(File(tmp_path / "a.png").load(0) - wanted).max() <= 2.1


def test_what_is_srgb_already_keeps_every_level(tmp_path):
    """By whatever name and version: so fingerprints of such pictures stay what they were."""
    Image.fromarray(colours()).save(
        tmp_path / "a.png",
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )
    assert (File(tmp_path / "a.png").load(0) == colours()).all()
    assert examine(File(tmp_path / "a.png"))[1] == set()


@pytest.mark.parametrize(
    "mode, broken, why",
    [
        ("RGB", b"no profile at all", "cannot open profile from string"),
        ("RGB", profile(b"GRAY", "grey", [], 2.2), "it is of GRAY and the picture of RGB"),
        ("L", profile(b"RGB ", "rgb", *SPACES["Adobe RGB"]), "it is of RGB and the picture of "
         "GRAY"),
    ],
)  # fmt: skip
def test_a_profile_that_cannot_be_used_is_said_and_left(tmp_path, caplog, mode, broken, why):
    caplog.set_level(logging.INFO, "singleimg")
    image = Image.fromarray(colours()).convert(mode)
    image.save(tmp_path / "a.png", icc_profile=broken)
    found = File(tmp_path / "a.png").load(0)
    assert (found == np.asarray(image.convert("RGB"))).all()
    assert caplog.messages == [
        f"imgpath={tmp_path}/a.png: its colour profile cannot be used ({why}); taken for sRGB."
    ]


# --- datasets ------------------------------------------------------------------------------------


@pytest.fixture
def tagged(tmp_path):
    """A picture of Adobe RGB."""
    path = tmp_path / "tagged.png"
    large = Image.fromarray(colours()).resize((256, 128), Image.Resampling.NEAREST)
    large.save(path, icc_profile=profile(b"RGB ", "Adobe RGB", *SPACES["Adobe RGB"]))
    return path


def test_a_recipe_names_the_profile_and_goes_on(run: Run, tagged, tmp_path):
    typed = (f"imgpath={tagged}", "img_size=32", f"targetpath={tmp_path / 'set'}")
    run(*typed, "num_imgs=4")
    assert '"profiles": "Adobe RGB"' in (tmp_path / "set" / "recipe.json").read_text()
    run(*typed, "num_imgs=6")
    run("task=verify", f"targetpath={tmp_path / 'set'}", "task.deep=true")


def test_a_set_from_before_profiles_were_read(run: Run, tagged, tmp_path, monkeypatch):
    """It is refused for going on; and read, verified to the pixel, drawn and exported as before."""
    target = tmp_path / "set"
    typed = (f"imgpath={tagged}", "img_size=32", "encode=png", f"targetpath={target}")
    with monkeypatch.context() as before:
        before.setattr(decoding, "to_srgb", lambda profile, mode, key: None)
        run(*typed, "num_imgs=4")
        pixels = SingleImage.open(target).render(2)
        decoding.load_picture.cache_clear()
    assert "profiles" not in (target / "recipe.json").read_text()
    result = run(*typed, "num_imgs=6", code=1)
    assert result.stderr == (
        f"targetpath={target} was made without colour conversion, and its pictures have other "
        "colours than sRGB (Adobe RGB): type another targetpath, or if_exists=overwrite to replace "
        "it.\n"
    )
    assert (SingleImage.open(target).render(2) == pixels).all()
    run("task=verify", f"targetpath={target}", "task.deep=true")
    run("task=export", f"targetpath={target}", f"task.to={tmp_path / 'tar'}", "output=webdataset")
    run("task=verify", f"targetpath={tmp_path / 'tar'}", "task.deep=true")
    run(*typed, "num_imgs=6", "if_exists=overwrite")
    assert '"profiles": "Adobe RGB"' in (target / "recipe.json").read_text()
