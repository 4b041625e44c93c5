"""Where source pixels come from, and what is refused."""

from __future__ import annotations

import functools
import hashlib
import http.server
import pickle
import threading

import numpy as np
import pytest
from PIL import Image

from singleimg import source as sources
from singleimg.errors import UserError
from singleimg.source import DeadLeaves, File, Folder, Noise, Url, hashes, to_rgb
from singleimg.synthetic import DEAD_LEAVES_SHA256


def picture() -> Image.Image:
    rows, columns = np.mgrid[:30, :40]
    return Image.fromarray(np.stack([rows * 8, columns * 6, rows + columns], -1).astype(np.uint8))


def refused(source) -> str:
    with pytest.raises(UserError) as caught:
        source().load(0)
    return str(caught.value)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SINGLEIMG_CACHE", str(tmp_path / "cache"))
    sources._load.cache_clear()
    sources._dead_leaves.cache_clear()


# --- formats and modes ---------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "ppm", "webp", "jpg", "gif"])
def test_every_format_is_read(tmp_path, suffix):
    path = tmp_path / f"a picture.{suffix}"
    picture().save(path, **({"lossless": True} if suffix == "webp" else {}))
    image = File(path).load(0)
    assert (image.size, image.mode, File(path).name) == ((40, 30), "RGB", "a_picture")
    difference = np.abs(np.asarray(image).astype(int) - np.asarray(picture())).mean()
    assert difference == 0 if suffix not in ("jpg", "gif") else difference < 20


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
    converted = to_rgb(image)
    assert converted.mode == "RGB"
    assert [converted.getpixel((x, 0))[0] for x in range(3)] == reds


def test_transparency_is_laid_over_the_background():
    clear = Image.new("RGBA", (1, 1), (200, 0, 0, 0))
    half = Image.new("LA", (1, 1), (0, 128))
    assert to_rgb(clear).getpixel((0, 0)) == (255, 255, 255)
    assert to_rgb(clear, (1, 2, 3)).getpixel((0, 0)) == (1, 2, 3)
    assert to_rgb(half).getpixel((0, 0)) == (127, 127, 127)


def test_a_palette_and_its_transparency(tmp_path):
    image = picture().quantize(16)
    image.save(tmp_path / "p.png", transparency=image.getpixel((0, 0)))
    loaded = File(tmp_path / "p.png", background=[9, 8, 7]).load(0)
    assert loaded.getpixel((0, 0)) == (9, 8, 7)


def test_exif_orientation_is_applied(tmp_path):
    image, exif = picture(), Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter, clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    loaded = File(tmp_path / "turned.png").load(0)
    expected = image.transpose(Image.Transpose.ROTATE_270)
    assert (np.asarray(loaded) == np.asarray(expected)).all()


def test_the_first_frame_of_several_is_taken(tmp_path):
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "two.tiff", save_all=True, append_images=[blue])
    assert File(tmp_path / "two.tiff").load(0).getpixel((0, 0)) == (255, 0, 0)


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
            f"imgpath={tmp_path}/{name} is not a picture in one of these formats: "
            "JPEG PNG WEBP TIFF BMP GIF PPM."
        )
    assert refused(lambda: File(tmp_path / "cut.jpg")).startswith(
        f"imgpath={tmp_path}/cut.jpg cannot be read to its end ("
    )


def test_a_bomb_is_refused_unless_it_is_trusted(tmp_path):
    path = tmp_path / "large.png"
    Image.new("L", (10_000, 9_000)).save(path)
    assert refused(lambda: File(path)) == (
        f"imgpath={path} has 90,000,000 pixels and the limit is 89,478,485, against files that "
        "unpack to more than memory holds: type max_pixels=90000000 if you trust it."
    )
    assert File(path, max_pixels=90_000_000).load(0).size == (10_000, 9_000)


def test_a_background_must_be_a_colour():
    with pytest.raises(UserError, match=r"^image.background=\[1, 2\] is not a colour, three whole"):
        File("a.png", background=[1, 2])


# --- the others ----------------------------------------------------------------------------------


def test_dead_leaves_is_kept_in_the_cache_and_made_anew_when_harmed(tmp_path):
    assert hashes(DeadLeaves()) == [DEAD_LEAVES_SHA256]
    (file,) = (tmp_path / "cache").iterdir()
    for harm in (b"rubbish", file.read_bytes()[:-500]):
        file.write_bytes(harm)
        sources._dead_leaves.cache_clear()
        assert hashes(DeadLeaves()) == [DEAD_LEAVES_SHA256]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SINGLEIMG_CACHE", str(tmp_path / "file" / "below"))
    assert DeadLeaves().load(0).size == (2560, 1920)


def test_noise_is_loaded_by_its_settings():
    assert Noise(width=64, height=32).load(0).size == (64, 32)
    assert hashes(Noise(64, 32, seed=1)) != hashes(Noise(64, 32, seed=2))
    with pytest.raises(UserError, match=r"^image.exponent=9 is not from 0 \(white noise\) to 4"):
        Noise(exponent=9)


def test_a_folder_is_its_pictures_in_the_order_of_their_names(tmp_path):
    for name, colour in (("b.png", "blue"), ("a.PNG", "red")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / name, format="png")
    (tmp_path / "notes.txt").write_text("not a picture")
    folder = Folder(tmp_path)
    assert len(folder) == len(hashes(folder)) == 2
    assert [folder.load(k).getpixel((0, 0)) for k in range(2)] == [(255, 0, 0), (0, 0, 255)]


def test_a_folder_without_pictures_and_a_file_are_refused(tmp_path):
    with pytest.raises(UserError, match="holds no picture"):
        Folder(tmp_path)
    (tmp_path / "a.png").write_text("")
    with pytest.raises(UserError, match=r"a.png is not a folder: type a folder of pictures"):
        Folder(tmp_path / "a.png")


@pytest.mark.parametrize("source", [DeadLeaves(), Noise(), File("a.png")])
def test_sources_travel_to_workers_without_pixels(source):
    assert len(pickle.dumps(source)) < 1000


# --- the web -------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    """A web server on loopback that serves one picture, and counts what it was asked for."""
    site = tmp_path / "site"
    site.mkdir()
    picture().save(site / "scene.png")

    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        running.base = f"http://127.0.0.1:{running.server_port}"
        running.asked = asked
        running.sha256 = hashlib.sha256((site / "scene.png").read_bytes()).hexdigest()
        yield running
        running.shutdown()


def test_a_url_is_fetched_once(server):
    source = Url(f"{server.base}/scene.png", server.sha256)
    assert source.name == "scene"
    assert (np.asarray(source.load(0)) == np.asarray(picture())).all()
    sources._load.cache_clear()
    source.load(0)
    assert server.asked.count("/scene.png") == 1


def test_what_is_wrong_with_a_url_is_said(server, tmp_path):
    url = f"{server.base}/scene.png"
    assert refused(lambda: Url(url, "0" * 64)) == (
        f"image.url={url} holds another file than image.sha256={'0' * 64} (it has "
        f"{server.sha256}): type the right one of the two."
    )
    assert refused(lambda: Url(f"{server.base}/no.png", "0" * 64)) == (
        f"image.url={server.base}/no.png answers 404 File not found: type another."
    )
    assert refused(lambda: Url(url, server.sha256, max_bytes=10)) == (
        f"image.url={url} is larger than image.max_bytes=10: type a larger limit if you trust it."
    )
    assert refused(lambda: Url("http://127.0.0.1:9/a.png", "0" * 64)).startswith(
        "image.url=http://127.0.0.1:9/a.png cannot be fetched ("
    )
    assert not list((tmp_path / "cache").iterdir())


def test_only_https_and_only_with_a_hash():
    with pytest.raises(UserError) as caught:
        Url("http://example.org/a.png", "0" * 64)
    assert str(caught.value) == (
        "image.url=http://example.org/a.png does not start with https://: type one that does."
    )
    with pytest.raises(UserError, match=r"^image.sha256=abc is not the SHA-256 of a file"):
        Url("https://example.org/a.png", "abc")
