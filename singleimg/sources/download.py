"""Fetching one file over https: a server, and what stands between, may be hostile or broken."""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from singleimg.errors import UserError
from singleimg.system.bars import Bar

_CHUNK = 1 << 16
_SILENCE = 30  # seconds without a byte, until a download is given up
_REDIRECTS = 5


@dataclass(frozen=True)
class Limits:
    """When a download is given up."""

    max_bytes: float
    max_seconds: float


@dataclass(frozen=True)
class Address:
    """A URL that may be fetched, of a file; raises UserError for any other."""

    url: str
    allow_http: bool = False

    def __post_init__(self) -> None:
        try:
            parts = urllib.parse.urlsplit(self.url)
            named = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            named = False
        if not named or not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise UserError(
                "image.url is not the address of a file on the web: type for example "
                "image.url=https://example.org/photo.jpg."
            )
        if "@" in parts.netloc:
            raise UserError(
                "image.url holds a name or a password, which a dataset would keep in its files: "
                "type an address without, or fetch the file by hand and type imgpath=…."
            )
        if parts.scheme != "https" and not (parts.scheme == "http" and self.allow_http):
            hint = ", or image.allow_http=true if you trust it" if parts.scheme == "http" else ""
            raise UserError(
                f"image.url={self.url} does not start with https://: type one that does{hint}."
            )

    @property
    def path(self) -> str:
        """The path on the server."""
        return urllib.parse.urlsplit(self.url).path


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, each to an address that could be typed as well."""

    max_redirections = _REDIRECTS

    def __init__(self, address: Address) -> None:
        self.address = address

    def redirect_request(self, *args: Any) -> urllib.request.Request | None:
        try:
            Address(args[-1], self.address.allow_http)
        except UserError as error:
            raise UserError(f"image.url={self.address.url} redirects: {error}") from None
        return super().redirect_request(*args)


def download(address: Address, sha256: str, limits: Limits) -> bytes:
    """What ``address`` gives, if that is its SHA-256; else raises UserError."""
    key = f"image.url={address.url}"
    try:
        data = _in_time(lambda: _fetch(address, limits), limits, key)
    except urllib.error.HTTPError as error:
        if 300 <= error.code < 400:
            raise UserError(
                f"{key} redirects in a loop, or to an address without https://: type the address "
                "of the file itself."
            ) from None
        raise UserError(
            f"{key} answers {error.code} {error.reason}: type another address."
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise UserError(
            f"{key} cannot be fetched ({reason}): check the network, or fetch it by hand and type "
            "imgpath=…."
        ) from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise UserError(
            f"{key} holds another file than image.sha256={sha256} (it has {found}): type the "
            "correct address or SHA-256."
        )
    return data


class _Late(Exception):
    """The time is over."""


def _in_time(fetch: Callable[[], bytes], limits: Limits, key: str) -> bytes:
    """What ``fetch`` returns; UserError when that takes too long, wherever it waits.

    A socket's own timeout begins anew with every byte, of the headers as well.
    """
    answers: list[tuple[bytes, BaseException | None]] = []

    def work() -> None:
        try:
            answers.append((fetch(), None))
        except BaseException as error:  # raised again below, in the thread that waits
            answers.append((b"", error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limits.max_seconds)
    # At the end of the time either of the two threads may be the first to notice.
    if not answers or isinstance(answers[0][1], _Late):
        raise UserError(
            f"{key} cannot be fetched within image.max_seconds={limits.max_seconds:g}: type a "
            "larger limit, or fetch it by hand and type imgpath=…."
        )
    data, error = answers[0]
    if error is not None:
        raise error
    return data


def _fetch(address: Address, limits: Limits) -> bytes:
    """What ``address`` gives, fetched under a progress bar."""
    end = time.monotonic() + limits.max_seconds
    data = bytearray()
    request = urllib.request.Request(address.url, headers={"User-Agent": "singleimg"})
    opener = urllib.request.build_opener(_Redirects(address))
    patience = min(_SILENCE, limits.max_seconds)
    with opener.open(request, timeout=patience) as answer:
        text = answer.headers.get("Content-Length") or ""
        total = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
        with Bar(total, "B", "download") as bar:
            # read1 gives what has come, so that the end of the time is noticed between drops.
            while chunk := answer.read1(_CHUNK):
                if time.monotonic() > end:
                    raise _Late
                data += chunk
                if len(data) > limits.max_bytes:
                    raise UserError(
                        f"image.url={address.url} is larger than image.max_bytes="
                        f"{limits.max_bytes}: type a larger limit if you trust it."
                    )
                bar.update(len(chunk))
        if total is not None and len(data) < total:
            raise OSError(f"the connection ended after {len(data):,} of {total:,} bytes")
    return bytes(data)
