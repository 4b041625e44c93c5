"""Decoded sources: levels, and one copy for all processes."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from singleimg import SingleImage
from singleimg.encoders.png import PngEncoder
from singleimg.engines.picture import Few, Picture, Pictures, SentPictures
from singleimg.engines.raster.call import Raster
from singleimg.errors import UserError
from singleimg.jobs.producers import Rendered
from singleimg.sources import decoding
from singleimg.sources.base import Source, hashes
from singleimg.sources.file import File
from singleimg.sources.folder import Folder
from singleimg.system import tempdir


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A folder of 11 pictures."""
    folder = tmp_path_factory.mktemp("album")
    for k in range(11):
        Image.new("RGB", (200, 150), (k, 2 * k, 3)).save(folder / f"{k:02}.png")
    return folder


def test_levels_shrink_by_the_root_of_two():
    pixels = np.random.default_rng(0).integers(0, 256, (515, 643, 3), np.uint8)
    picture = Picture(pixels)
    levels = picture.levels(Raster()).pixels
    assert [level.shape[:2] for level in levels] == [
        (515, 643), (364, 455), (258, 322), (182, 227), (129, 161), (91, 114), (64, 80), (46, 57),
        (32, 40),
    ]  # fmt: skip
    assert levels[0] is pixels and picture.levels(Raster()).pixels is levels


def test_a_level_shows_the_picture():
    rows, columns = np.mgrid[:240, :320]
    channels = [rows, columns // 2, 255 - (rows + columns) // 3]
    pixels = np.stack(channels, -1).astype(np.uint8)
    for level in Picture(pixels).levels(Raster()).pixels[1:]:
        height, width = level.shape[:2]
        shown = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
        assert np.abs(np.asarray(shown) - level.astype(int)).max() <= 2


def test_levels_travel_with_the_picture(picture, tmp_path):
    ours = Pictures(File(picture))
    made = ours.load(0).levels(Raster()).pixels
    ours.share(tmp_path)
    theirs = Pictures(Deaf(), tmp_path).load(0)
    assert len(theirs.smaller()) == len(made) - 1 > 0
    for one, other in zip(made, theirs.levels(None).pixels, strict=True):
        assert (one == other).all() and isinstance(other.base.base, np.memmap)


@pytest.mark.parametrize("engine, levels", [("native", 5), ("reference", 0)])
def test_of_many_pictures_all_are_shared_with_what_the_engine_reads(
    album, tmp_path, engine, levels
):
    """No worker is to make levels again and again."""
    images = SingleImage.open(album, img_size=32, engine=engine)
    Rendered(images, PngEncoder(), draws=False).share(tmp_path)
    theirs = Pictures(Deaf(), tmp_path)
    assert [len(theirs.load(k).smaller()) for k in range(11)] == [levels] * 11


class Deaf(Source):
    """A source that refuses to decode."""

    name = "deaf"

    def __len__(self):
        return 1

    def load(self, k):
        raise AssertionError("decoded again")

    def where(self, k):
        return "image=deaf"


def test_shared_pictures_are_mapped_and_not_decoded(picture, tmp_path):
    ours = Pictures(File(picture))
    ours.share(tmp_path)
    theirs = Pictures(Deaf(), tmp_path).load(0)
    assert (theirs.pixels == ours.load(0).pixels).all()
    assert type(theirs.pixels) is np.ndarray and isinstance(theirs.pixels.base.base, np.memmap)
    assert [file.name for file in tmp_path.iterdir()] == ["0.raw"]


def shared(album, folder) -> Pictures:
    """With their levels."""
    ours, raster = Pictures(Folder(str(album))), Raster()
    ours.share(folder, lambda picture: picture.levels(raster))
    return ours.shared_in(folder)


def test_those_that_are_mapped_take_no_room_from_one_another(album, tmp_path, monkeypatch):
    monkeypatch.setattr(Pictures, "kept", 1)
    theirs = shared(album, tmp_path)
    first = [theirs.load(k) for k in range(len(theirs))]
    assert all(theirs.load(k) is first[k] for k in range(len(theirs)))


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files as Linux lists them")
def test_mapped_pictures_are_open_files_and_a_process_may_have_few(album, tmp_path, monkeypatch):
    monkeypatch.setattr("singleimg.engines.picture._MAPPED", 4)
    theirs, before = shared(album, tmp_path), len(os.listdir("/proc/self/fd"))
    pixels = [theirs.load(k).pixels[0, 0].tolist() for k in range(11)]
    assert pixels == [[k, 2 * k, 3] for k in range(11)]
    assert len(os.listdir("/proc/self/fd")) == before + 4


def test_of_those_that_are_decoded_as_many_are_kept_as_have_room(album, monkeypatch):
    monkeypatch.setattr(Pictures, "kept", 8.5 * 2 * 200 * 150 * 3)  # levels are as large again
    ours = Pictures(Folder(str(album)))
    first = [ours.load(k) for k in range(len(ours))]
    assert [ours.load(k) is first[k] for k in reversed(range(len(ours)))] == [True] * 8 + [
        False
    ] * 3


def test_the_one_that_was_asked_for_last_is_kept_and_no_other_where_there_is_no_room(
    album, monkeypatch
):
    monkeypatch.setattr(Pictures, "kept", 1)
    ours = Pictures(Folder(str(album)))
    first = ours.load(3)
    assert ours.load(3) is first
    ours.load(4)
    assert ours.load(3) is not first


def test_a_few_are_as_if_they_were_all(album):
    ours = Pictures(Folder(str(album)))
    few = Few(ours, [9, 2])
    assert len(few) == 2 and few.load(1) is ours.load(2)
    assert few.load(0).pixels[0, 0].tolist() == [9, 18, 3] and few.size_of(0) == (150, 200)


def test_what_was_not_shared_is_decoded(picture, tmp_path):
    assert Pictures(File(picture), tmp_path).size_of(0) == (150, 200)
    with pytest.raises(AssertionError, match="decoded again"):
        Pictures(Deaf(), tmp_path).load(0)


def test_what_does_not_fit_is_not_shared(picture, tmp_path, monkeypatch):
    monkeypatch.setattr("singleimg.engines.picture.Pictures.room", 100)
    Pictures(File(picture)).share(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files of another machine."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    tempdir._let_go_of_shared()


def test_a_machine_gets_each_picture_once_and_all_its_processes_map_it(
    album, elsewhere, monkeypatch
):
    fetched = []
    whole = Pictures(Folder(album), expected=hashes(Folder(album)))

    def publish(pixels):
        def fetch():
            fetched.append(pixels)
            return pixels

        return fetch

    sent, raster = whole.sent(publish), Raster()
    assert fetched == []  # until somebody wants one
    monkeypatch.setattr(Folder, "decoded", None)  # the files are on another machine
    for _ in range(2):  # as two processes
        process = SentPictures(sent.source, sent.expected, sent._sent)
        process.set_up_process(lambda picture: picture.levels(raster))
        for k in range(len(process)):
            assert np.array_equal(process.load(k).pixels, whole.load(k).pixels)
            assert process.load(k).smaller()
    assert len(fetched) == len(album_of(album))


def album_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def test_of_many_pictures_those_that_have_room_are_sent_and_others_decoded(
    album, elsewhere, monkeypatch
):
    monkeypatch.setattr(Pictures, "room", 200 * 150 * 3 * 4)
    whole = Pictures(Folder(album), expected=hashes(Folder(album)))
    sent = whole.sent(lambda pixels: lambda: pixels)
    assert sorted(sent._sent) == [0, 1, 2, 3]
    assert np.array_equal(sent.load(9).pixels, whole.load(9).pixels)


def test_a_picture_that_was_replaced_is_refused(picture, tmp_path):
    expected = hashes(File(picture))
    assert Pictures(File(picture), None, expected).load(0).size == (150, 200)
    other = tmp_path / "other.png"
    Image.new("RGB", (200, 150)).save(other)
    with pytest.raises(UserError) as caught:
        Pictures(File(other), None, expected).load(0)
    assert str(caught.value) == (
        f"imgpath={other} has changed since this dataset was started: restore the old picture, or "
        "type another targetpath."
    )
    Pictures(File(picture)).share(tmp_path)
    assert Pictures(File(other), tmp_path, expected).size_of(0) == (150, 200)


def test_a_dataset_is_opened_with_the_picture_that_it_was_made_of(run, picture, tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(picture.read_bytes())
    target = tmp_path / "set"
    run(f"imgpath={photo}", "num_imgs=2", "img_size=32", f"targetpath={target}")
    assert SingleImage.open(target).render(0).shape == (32, 32, 3)
    Image.new("RGB", (200, 150)).save(photo)
    decoding.load_picture.cache_clear()
    with pytest.raises(UserError, match="has changed since this dataset was started"):
        SingleImage.open(target).render(0)
