"""A real S3 server on this machine, and a network in front of it that fails as networks do."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import wait_until

BUCKET = "bucket"
_HOST = "127.0.0.1"
_PORTS = count(os.getpid())  # other tests on this machine begin elsewhere
_DECIDED = ("train", "params", "manifest", "recipe.json", "dataset.json")  # by the recipe


def environment(url: str) -> dict[str, str]:
    """Variables that lead a command to the server at ``url``, whatever files lie at home."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextmanager
def server() -> Iterator[int]:
    """The port of a server that keeps its objects in memory; it has one bucket."""
    pytest.importorskip("moto.server", reason="moto[server] is not installed")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", _HOST, "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: process.poll() is not None or _make_bucket(port))
        assert process.poll() is None, "the server ended by itself"
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _make_bucket(port: int) -> bool:
    connection = http.client.HTTPConnection(_HOST, port, timeout=30)
    try:
        connection.request("PUT", f"/{BUCKET}")
        return connection.getresponse().status == 200
    except ConnectionError:
        time.sleep(0.1)
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port on which nobody listens, nor will: one of a thousand that this test worker has.

    They lie below those that systems give to whoever asks for any.
    """
    first = 20_000 + 1000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    for number in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind((_HOST, first + number % 1000))
            return first + number % 1000
    raise AssertionError("unreachable")


def tree(target: str | Path) -> dict[str, bytes]:
    """All that a recipe decides, by its path below a target, which is a folder or a URL."""
    import fsspec

    options = {"use_listings_cache": False} if "://" in str(target) else {}
    files, root = fsspec.core.url_to_fs(str(target), **options)
    names = [file.removeprefix(f"{root}/") for file in files.find(root)]
    decided = [name for name in names if name.partition("/")[0] in _DECIDED]
    return {name: files.cat_file(f"{root}/{name}") for name in decided}


# --- the network ---------------------------------------------------------------------------------


class Proxy:
    """Passes requests on to a server; what is set on it says which of them come to grief."""

    def __init__(self, behind: int) -> None:
        self.behind, self.port = behind, free_port()
        self.every = 0  # of so many requests one is answered by status 500
        self.cuts = 0  # uploads of data still to be cut off in the middle of their bytes
        self.losses = 0  # uploads of data still to be done, and never answered
        self.forbids = False  # answers 403 to everything
        self.holds = ""  # uploads with this in their paths wait, until it stops
        self.lets = 0  # how many of them pass before
        self.done: list[str] = []  # requests that the server did, in order: "PUT /bucket/…"
        self.happened: Counter[str] = Counter()  # faults, by their names
        self._count, self._lock, self._stopped = 0, threading.Lock(), threading.Event()
        self._server: _Server | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead a command through here."""
        return environment(f"http://{_HOST}:{self.port}")

    def uploads(self, folder: str) -> list[str]:
        """The names of what was uploaded to a folder of a target, in order."""
        puts = [path.split("/") for path in self.done if path.startswith("PUT ")]
        return [parts[-1] for parts in puts if parts[-2] == folder]

    def start(self) -> None:
        """Listens, at the same port as before."""
        self._stopped.clear()
        self._server = _Server((_HOST, self.port), _Handler)
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Listens no more, and cuts all connections; nothing happens when it does not listen."""
        self._stopped.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_all()
            self._server = None

    def fault(self, request: str) -> str | None:
        """What is to go wrong with a request; counts it."""
        with self._lock:
            self._count += 1
            what = self._choose(request, request.startswith("PUT ") and "/train/" in request)
            self.happened[what or "none"] += 1
            return what

    def wait(self) -> None:
        """Until it stops."""
        self._stopped.wait()

    def _choose(self, request: str, of_data: bool) -> str | None:
        if self.forbids:
            return "forbidden"
        if self.every and self._count % self.every == 0:
            return "error"
        if of_data and self.cuts:
            self.cuts -= 1
            return "cut"
        if of_data and self.losses:
            self.losses -= 1
            return "lost"
        if self.holds and request.startswith("PUT ") and self.holds in request:
            self.lets -= 1
            return "held" if self.lets < 0 else None
        return None


@contextmanager
def proxy(port: int, **faults: Any) -> Iterator[Proxy]:
    """A proxy in front of the server at ``port``, with these faults."""
    one = Proxy(port)
    vars(one).update(faults)
    one.start()
    try:
        yield one
    finally:
        one.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: Proxy

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what it is for."""


_ANSWERS = {"forbidden": (403, "AccessDenied"), "error": (500, "InternalError")}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def pass_on(self) -> None:
        """Answers one request."""
        proxy, size = self.server.proxy, int(self.headers.get("Content-Length", 0))
        request = f"{self.command} {self.path}"
        fault = proxy.fault(request)
        if fault == "cut":
            self.rfile.read(size // 2)
            return self._hang_up()
        body = self.rfile.read(size)
        if fault in _ANSWERS:
            status, code = _ANSWERS[fault]
            text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
            return self._answer(status, {"Content-Type": "application/xml"}, text.encode())
        if fault == "held":
            proxy.wait()
            return self._hang_up()
        status, headers, answer = self._ask(body)
        if status < 300:
            proxy.done.append(request)
        if fault == "lost":
            return self._hang_up()
        return self._answer(status, headers, answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(_HOST, self.server.proxy.behind, timeout=60)
        headers = {name: text for name, text in self.headers.items() if name.lower() != "expect"}
        try:
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        own = ("connection", "transfer-encoding", "content-length")
        for name, text in headers.items():
            if name.lower() not in own:
                self.send_header(name, text)
        empty = self.command == "HEAD"
        size = headers.get("Content-Length", "0") if empty else str(len(body))
        self.send_header("Content-Length", size)
        self.end_headers()
        self.wfile.write(b"" if empty else body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
