"""The other sources: what ships with us, noise, folders."""

from __future__ import annotations

import hashlib
import logging
import pickle

import numpy as np
import pytest
from PIL import Image

from singleimg.engines.picture import Pictures
from singleimg.errors import UserError
from singleimg.sources import dead_leaves
from singleimg.sources.base import Decoded, Source, hashes, shrunk
from singleimg.sources.dead_leaves import DeadLeaves
from singleimg.sources.file import File
from singleimg.sources.folder import Folder
from singleimg.sources.noise import Noise
from singleimg.sources.plain import Plain
from singleimg.sources.synthetic import DEAD_LEAVES_SHA256


def test_dead_leaves_is_kept_in_the_cache_and_made_anew_when_harmed(tmp_path):
    assert hashes(DeadLeaves()) == [DEAD_LEAVES_SHA256]
    (file,) = (tmp_path / "cache").iterdir()
    assert Pictures(DeadLeaves(pixels=4800)).load(0).pixels.shape == (60, 80, 3)
    for harm in (b"rubbish", file.read_bytes()[:-500]):
        file.write_bytes(harm)
        dead_leaves._dead_leaves.cache_clear()
        assert hashes(DeadLeaves()) == [DEAD_LEAVES_SHA256]


def test_noise_is_loaded_by_its_settings():
    assert Noise(width=64, height=32).load(0).shape == (32, 64, 3)
    assert hashes(Noise(64, 32, seed=1)) != hashes(Noise(64, 32, seed=2))
    with pytest.raises(UserError, match=r"^image.exponent=9 is not from 0 \(white noise\) to 4"):
        Noise(exponent=9)


def test_plain_is_one_colour():
    pixels = Plain([9, 200, 30], width=16, height=8).load(0)
    assert pixels.shape == (8, 16, 3) and (pixels == (9, 200, 30)).all()
    assert hashes(Plain([1, 1, 1])) != hashes(Plain())
    with pytest.raises(UserError) as mistake:
        Plain([256, 0, 0])
    assert str(mistake.value) == (
        "image.colour=[256, 0, 0] is not a colour, three whole numbers from 0 to 255: type for "
        "example 'image.colour=[255,255,255]'."
    )
    with pytest.raises(UserError, match=r"^image.width=7 and image.height=1920 are not both from"):
        Plain(width=7)


def test_a_folder_is_its_pictures_in_the_order_of_their_names(tmp_path):
    for name, colour in (("b.png", "blue"), ("a.PNG", "red")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / name, format="png")
    (tmp_path / "notes.txt").write_text("not a picture")
    folder = Folder(tmp_path)
    assert len(folder) == len(hashes(folder)) == 2
    assert [folder.load(k)[0, 0].tolist() for k in range(2)] == [[255, 0, 0], [0, 0, 255]]


@pytest.fixture
def album(tmp_path):
    """As phones and desktops leave them."""
    (tmp_path / "2024").mkdir()
    (tmp_path / ".thumbnails").mkdir()
    for name in ("b.png", "a.png", "2024/c.png", ".thumbnails/d.png"):
        Image.new("RGB", (8, 8), "blue").save(tmp_path / name)
    for name in ("._a.png", ".DS_Store", "Thumbs.db", "film.mov", "a.png.txt", "2024/Thumbs.db"):
        (tmp_path / name).write_bytes(b"no picture")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def test_what_is_no_picture_never_stops_a_folder_and_is_said(album, caplog):
    caplog.set_level(logging.INFO, "singleimg")
    assert [file.name for file in Folder(album).files] == ["a.png", "b.png"]
    assert caplog.messages == [
        f"imgpath={album}: 2 pictures; 5 other files are left out (.DS_Store, ._a.png, Thumbs.db, "
        "…)."
    ]
    assert Folder(album).load(0).shape == (8, 8, 3)


def test_subfolders_are_taken_when_asked_for(album):
    found = [str(file.relative_to(album)) for file in Folder(album, recursive=True).files]
    assert found == ["2024/c.png", "a.png", "b.png"]
    with pytest.raises(UserError, match=r"^image.recursive=yes is not true or false: type one"):
        Folder(album, recursive="yes")


def test_a_folder_without_pictures_and_a_file_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no picture \(.*or image.recursive=true for"):
        Folder(tmp_path)
    (tmp_path / "a.png").write_text("")
    with pytest.raises(UserError, match=r"a.png is not a folder: type a folder of pictures"):
        Folder(tmp_path / "a.png")


@pytest.mark.parametrize("source", [DeadLeaves(), Noise(), Plain(), File("a.png")])
def test_sources_travel_to_workers_without_pixels(source):
    assert len(pickle.dumps(source)) < 1000


def test_names_are_names(tmp_path):
    assert File(tmp_path / "a.png", name="../b").name == "b"
    for source in (DeadLeaves, Noise, Plain):
        with pytest.raises(
            UserError, match=r"^image.name=../b is not made of letters, digits, - and"
        ):
            source(name="../b")
    with pytest.raises(UserError, match=r"^imgpath=a+ cannot be opened \(File name too long\)"):
        File("a" * 300).load(0)


class Own(Source):
    """As people write it: Pillow images."""

    name = "own"

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> Image.Image:
        return Image.linear_gradient("L").resize((256, 400)).convert(self.mode)

    def where(self, k: int) -> str:
        return "image=own"


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_a_source_of_ones_own_gives_pillow_images(mode):
    expected = np.asarray(Own("RGB").load(0))
    assert np.array_equal(Pictures(Own(mode)).load(0).pixels, expected)
    data = b"256x400\n" + expected.tobytes()
    assert hashes(Own(mode)) == [hashlib.sha256(data).hexdigest()]


# --- pictures that are shrunk --------------------------------------------------------------------


def ramp(width: int, height: int) -> np.ndarray:
    """No flip or turn of it is itself: red grows to the right, green to the bottom."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns * 255 // width, rows * 200 // height, 0 * rows + 40], -1).astype(
        np.uint8
    )


@pytest.fixture
def photo(tmp_path):
    """A photograph of 120×80."""
    Image.fromarray(ramp(120, 80)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_picture_is_shrunk_to_about_so_many_pixels_in_its_own_proportions(photo):
    pixels = File(photo, pixels=600).decoded(0).pixels
    assert pixels.shape == (20, 30, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - ramp(30, 20)).max() <= 6  # neither turned nor mirrored
    assert File(photo, pixels=1000).decoded(0).pixels.shape == (25, 38, 3)  # 950 pixels


def test_each_pixel_of_one_that_is_shrunk_is_a_mean():
    checks = np.indices((64, 64)).sum(0) % 2 * 200
    whole = Decoded(np.repeat(checks[..., None], 3, -1).astype(np.uint8), "its profile")
    small = shrunk(whole, 256)
    assert small.pixels.shape == (16, 16, 3) and small.profile == "its profile"
    assert np.abs(small.pixels[2:-2, 2:-2].astype(int) - 100).max() <= 2


def test_a_picture_is_never_enlarged(photo):
    for pixels in (None, 9600, 10**9):
        assert np.array_equal(File(photo, pixels=pixels).load(0), ramp(120, 80))


def test_one_that_is_shrunk_is_another_picture_and_the_same_each_time(photo):
    found = [hashes(File(photo, pixels=pixels)) for pixels in (None, 600, 601, 600)]
    assert found[1] == found[3] != found[0] and found[2] != found[0]
    made = Pictures(File(photo, pixels=600), expected=found[1]).load(0).pixels
    assert np.array_equal(made, File(photo, pixels=600).load(0))


@pytest.mark.parametrize("of", [Noise, Plain])
def test_those_that_are_made_here_are_shrunk_too(of):
    source = of(width=160, height=120, pixels=4800)
    assert source.load(0).shape == (120, 160, 3)  # as it is made
    assert Pictures(source).load(0).pixels.shape == (60, 80, 3)


def test_pictures_of_a_folder_are_shrunk_each_by_itself(photo):
    Image.fromarray(ramp(8, 12)).save(photo.with_name("a.png"))
    found = [Folder(photo.parent, pixels=600).load(k).shape[:2] for k in range(2)]
    assert found == [(12, 8), (20, 30)]


@pytest.mark.parametrize("pixels", [63, 0.5, True, "1M"])
def test_a_number_of_pixels_is_one(photo, pixels):
    for source in (DeadLeaves, Noise, Plain, lambda **of: File(photo, **of)):
        with pytest.raises(UserError) as mistake:
            source(pixels=pixels)
        assert str(mistake.value) == (
            f"image.pixels={pixels} is not a whole number of 64 or more: type for example "
            "image.pixels=135000."
        )
