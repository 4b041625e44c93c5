"""Where source pixels come from, and what is refused."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import pickle
import socket
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from singleimg.errors import UserError
from singleimg.sources import dead_leaves, decoding, download
from singleimg.sources.base import hashes
from singleimg.sources.dead_leaves import DeadLeaves
from singleimg.sources.decoding import to_rgb
from singleimg.sources.file import File
from singleimg.sources.folder import Folder
from singleimg.sources.noise import Noise
from singleimg.sources.synthetic import DEAD_LEAVES_SHA256
from singleimg.sources.url import Url


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
    decoding.load_picture.cache_clear()
    dead_leaves._dead_leaves.cache_clear()


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
        dead_leaves._dead_leaves.cache_clear()
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
    source = Url(f"{server.base}/scene.png", server.sha256, allow_http=True)
    assert source.name == "scene"
    assert (np.asarray(source.load(0)) == np.asarray(picture())).all()
    decoding.load_picture.cache_clear()
    source.load(0)
    assert server.asked.count("/scene.png") == 1


def test_what_is_wrong_with_a_url_is_said(server, tmp_path):
    url = f"{server.base}/scene.png"
    assert refused(lambda: Url(url, "0" * 64, allow_http=True)) == (
        f"image.url={url} holds another file than image.sha256={'0' * 64} (it has "
        f"{server.sha256}): type the right one of the two."
    )
    assert refused(lambda: Url(f"{server.base}/no.png", "0" * 64, allow_http=True)) == (
        f"image.url={server.base}/no.png answers 404 File not found: type another."
    )
    assert refused(lambda: Url(url, server.sha256, 10, allow_http=True)) == (
        f"image.url={url} is larger than image.max_bytes=10: type a larger limit if you trust it."
    )
    assert refused(lambda: Url("http://127.0.0.1:9/a.png", "0" * 64, allow_http=True)).startswith(
        "image.url=http://127.0.0.1:9/a.png cannot be fetched ("
    )
    assert not list((tmp_path / "cache").iterdir())


def test_only_https_and_only_with_a_hash():
    with pytest.raises(UserError) as caught:
        Url("http://example.org/a.png", "0" * 64)
    assert str(caught.value) == (
        "image.url=http://example.org/a.png does not start with https://: type one that does, or "
        "image.allow_http=true if you trust it."
    )
    with pytest.raises(UserError, match=r"^image.sha256=abc is not the SHA-256 of a file"):
        Url("https://example.org/a.png", "abc")


@pytest.mark.parametrize(
    "url", ["https://[::1", "https://", "https:///a.png", "a.png", "https://a b/c.png", "5",
            "https://example.org:99999/a.png", "https://example.org/a\n.png"]
)  # fmt: skip
def test_what_is_no_address(url):
    with pytest.raises(
        UserError, match=r"^image.url is not the address of a file on the web: type"
    ):
        Url(url, "0" * 64)


def test_a_password_is_refused_and_not_repeated():
    with pytest.raises(UserError) as caught:
        Url("https://me:secret@example.org/a.png", "0" * 64)
    assert str(caught.value).startswith("image.url holds a name or a password, which a dataset")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key, value", [("max_bytes", 0), ("max_seconds", float("nan")),
                                        ("max_seconds", "9"), ("max_bytes", True)])  # fmt: skip
def test_limits_of_a_download_are_numbers(key, value):
    with pytest.raises(
        UserError, match=rf"^image.{key}={value} is not a number over 0: type a lar"
    ):
        Url("https://example.org/a.png", "0" * 64, **{key: value})
    with pytest.raises(UserError, match=r"^image.allow_http=yes is not true or false"):
        Url("https://example.org/a.png", "0" * 64, allow_http="yes")


@pytest.fixture
def rough():
    """``rough(answer)``: the address of a server that sends these bytes, or lets them drip."""
    sockets = []

    def serve(*answers: bytes, drip: float = 0) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        sockets.append(server)
        base = f"http://127.0.0.1:{server.getsockname()[1]}"

        def work() -> None:
            for answer in answers:
                with contextlib.suppress(OSError), server.accept()[0] as connection:
                    connection.recv(65536)
                    parts = [answer[i : i + 1] for i in range(len(answer))] if drip else [answer]
                    for part in parts:
                        connection.sendall(part.replace(b"@", base.encode()))
                        time.sleep(drip)

        threading.Thread(target=work, daemon=True).start()
        return f"{base}/a.png"

    yield serve
    for server in sockets:
        server.close()


def answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def fetched(url: str, **options) -> str:
    return refused(lambda: Url(url, "0" * 64, **{"allow_http": True, **options}))


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/a.png", "data:image/png,a", "//[::1"]
)
def test_a_redirect_to_what_is_not_on_the_web_is_refused(rough, location):
    url = rough(answer(b"", f"Location: {location}", "Content-Length: 0", status="302 Found"))
    said = fetched(url)
    assert said.startswith(f"image.url={url} "), said
    assert (
        "leads in circles or to what is no https address" in said
        or "leads elsewhere" in said
        or (location == "//[::1" and "cannot be fetched" in said)
    )


def test_a_redirect_follows_the_rule_of_the_address(rough, monkeypatch):
    """From https to http: the address begins with https, and the server is made to speak http."""
    url = rough(answer(b"", "Location: @/b.png", "Content-Length: 0", status="302 Found"))
    opener = download.urllib.request.build_opener

    def plain(*handlers):
        made = opener(*handlers)
        made.open = functools.partial(_open_plainly, made, type(made).open)
        return made

    monkeypatch.setattr(download.urllib.request, "build_opener", plain)
    secure = url.replace("http://", "https://")
    said = fetched(secure, allow_http=False)
    assert said.startswith(f"image.url={secure} leads elsewhere: image.url=http://127.0.0.1:")
    assert said.endswith("type one that does, or image.allow_http=true if you trust it.")


def _open_plainly(made, real, request, **options):
    if isinstance(request, download.urllib.request.Request):
        request = download.urllib.request.Request(request.full_url.replace("https:", "http:"))
    return real(made, request, **options)


def test_redirects_have_an_end(rough):
    found = answer(b"", "Location: @/b.png?{}", "Content-Length: 0", status="302 Found")
    url = rough(*(found.replace(b"{}", str(i).encode()) for i in range(9)))
    assert fetched(url) == (
        f"image.url={url} leads in circles or to what is no https address: type the address of the "
        "file itself."
    )


@pytest.mark.parametrize("where", ["body", "headers"])
def test_a_server_that_drips_is_given_up(rough, where):
    text = answer(b"x" * 1000) if where == "body" else answer(b"", *["X-Header: 1"] * 80)
    begin = time.monotonic()
    url = rough(text, drip=0.02)
    assert fetched(url, max_seconds=0.6).startswith(
        f"image.url={url} cannot be fetched within image.max_seconds=0.6: type a larger limit"
    )
    assert time.monotonic() - begin < 3


def test_what_is_larger_than_it_says_is_given_up(rough):
    url = rough(answer(b"x" * 5000, "Transfer-Encoding: identity"))
    assert fetched(url, max_bytes=100).endswith("image.max_bytes=100: type a larger limit if you "
                                                "trust it.")  # fmt: skip


@pytest.mark.parametrize(
    "text, reason",
    [
        (answer(b"abc", "Content-Length: many"), "holds another file than"),
        (answer(b"abc", "Content-Length: -5"), "holds another file than"),
        (answer(b"abc", "Content-Length: " + "9" * 30), "holds another file than"),
        (
            answer(b"abc", "Content-Length: 1000"),
            "cannot be fetched (the connection ended after 3 of",
        ),
        (answer(b"abc", "Transfer-Encoding: chunked"), "cannot be fetched ("),
        (answer(b"5\r\nab", "Transfer-Encoding: chunked"), "cannot be fetched ("),
        (b"", "cannot be fetched ("),
        (b"nonsense\r\n\r\n", "cannot be fetched ("),
        (answer(b"", *["X: 1"] * 200), "cannot be fetched ("),
    ],
    ids=range(9),
)
def test_a_broken_answer_gets_a_sentence(rough, text, reason, tmp_path):
    url = rough(text)
    assert fetched(url, max_seconds=5).startswith(f"image.url={url} {reason}")
    assert not list((tmp_path / "cache").iterdir())


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


def test_names_are_names(tmp_path):
    assert File(tmp_path / "a.png", name="../b").name == "b"
    for source in (DeadLeaves, Noise):
        with pytest.raises(
            UserError, match=r"^image.name=../b is not made of letters, digits, - and"
        ):
            source(name="../b")
    with pytest.raises(UserError, match=r"^imgpath=a+ cannot be opened \(File name too long\)"):
        File("a" * 300).load(0)


def test_a_picture_that_is_replaced_is_read_anew(tmp_path):
    path = tmp_path / "a.png"
    for level in (10, 200):
        Image.new("RGB", (20, 20), (level,) * 3).save(path)
        assert File(str(path)).load(0).getpixel((0, 0)) == (level,) * 3
