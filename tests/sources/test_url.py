"""Pictures from the web: what is fetched, and what is given up."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import socket
import threading
import time

import numpy as np
import pytest

from singleimg.errors import UserError
from singleimg.sources import decoding, download
from singleimg.sources import url as url_source
from singleimg.sources.url import Url
from tests.sources.conftest import picture, refused


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
    assert (source.load(0) == np.asarray(picture())).all()
    decoding.load_picture.cache_clear()
    source.load(0)
    small = Url(f"{server.base}/scene.png", server.sha256, allow_http=True, pixels=300)
    assert small.load(0).shape == (15, 20, 3)
    assert server.asked.count("/scene.png") == 1


def test_without_a_cache_it_is_fetched_once_a_process(server, tmp_path, monkeypatch):
    """The file lies in a folder of the process, which goes with it."""
    (tmp_path / "cache").write_text("a file in its place")
    source = Url(f"{server.base}/scene.png", server.sha256, allow_http=True)
    for _ in range(2):
        assert (np.asarray(source.load(0)) == np.asarray(picture())).all()
        decoding.load_picture.cache_clear()
    assert server.asked.count("/scene.png") == 1
    (file,) = url_source._unkept.values()
    url_source._until_the_end.close()
    assert not file.parent.exists()


def test_where_nothing_can_be_written_is_one_sentence(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SINGLEIMG_CACHE", "/proc/nowhere")
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    url = f"{server.base}/scene.png"
    assert refused(lambda: Url(url, server.sha256, allow_http=True)) == (
        "The folder for temporary files cannot be written (No such file or directory): make room "
        "there, or type TMPDIR=/another/folder before the command."
    )


def test_what_is_wrong_with_a_url_is_said(server, tmp_path):
    url = f"{server.base}/scene.png"
    assert refused(lambda: Url(url, "0" * 64, allow_http=True)) == (
        f"image.url={url} holds another file than image.sha256={'0' * 64} (it has "
        f"{server.sha256}): type the correct address or SHA-256."
    )
    assert refused(lambda: Url(f"{server.base}/no.png", "0" * 64, allow_http=True)) == (
        f"image.url={server.base}/no.png answers 404 File not found: type another address."
    )
    assert refused(lambda: Url(url, server.sha256, 10, allow_http=True)) == (
        f"image.url={url} is larger than image.max_bytes=10: type a larger limit if you trust it."
    )
    assert refused(lambda: Url("http://127.0.0.1:9/a.png", "0" * 64, allow_http=True)).startswith(
        "image.url=http://127.0.0.1:9/a.png cannot be fetched ("
    )
    assert not (tmp_path / "cache").exists()


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
        "redirects in a loop, or to an address without https://" in said
        or "redirects: image.url=" in said
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
    assert said.startswith(f"image.url={secure} redirects: image.url=http://127.0.0.1:")
    assert said.endswith("type one that does, or image.allow_http=true if you trust it.")


def _open_plainly(made, real, request, **options):
    if isinstance(request, download.urllib.request.Request):
        request = download.urllib.request.Request(request.full_url.replace("https:", "http:"))
    return real(made, request, **options)


def test_redirects_have_an_end(rough):
    found = answer(b"", "Location: @/b.png?{}", "Content-Length: 0", status="302 Found")
    url = rough(*(found.replace(b"{}", str(i).encode()) for i in range(9)))
    assert fetched(url) == (
        f"image.url={url} redirects in a loop, or to an address without https://: type the address "
        "of the file itself."
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
    assert not (tmp_path / "cache").exists()
