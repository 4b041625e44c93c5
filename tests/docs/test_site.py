"""The site of docs/: built without a warning, and shown by a browser that has no network."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser import faults, opened
from tests.conftest import ROOT

pytest.importorskip("mkdocs", reason="mkdocs-material is not installed")
PAGES = ("index.html", "tutorial.html", "speed.html", "reference/settings.html")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """The folder of the site, and what the build said."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},  # a notice of Material's about its future
    )  # fmt: skip
    return folder, done


@pytest.fixture(scope="module")
def site(built) -> Path:
    folder, _ = built
    if not (folder / "index.html").exists():
        pytest.fail("there is no site: see test_it_is_built_without_a_warning")
    return folder


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    """Where a server of this machine shows the site."""
    handler = functools.partial(_Silent, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_it_is_built_without_a_warning(built):
    _, done = built
    warned = [line for line in done.stderr.splitlines() if not line.startswith("INFO ")]
    assert (done.returncode, warned) == (0, [])


def test_no_page_takes_anything_from_another_host(site):
    for file in site.rglob("*.html"):
        taken = _Taken()
        taken.feed(file.read_text(encoding="utf-8"))
        assert [one for one in taken.addresses if "//" in one] == [], file.name
    for file in site.rglob("*.css"):
        text = file.read_text(encoding="utf-8")
        found = re.findall(r"(?:url\(|@import)[\s\"']*(?:https?:)?//[^\s)]+", text)
        assert found == [], file.name


def test_no_markup_is_left_as_text(site):
    for file in site.rglob("*.html"):
        shown = re.sub(r"(?s)<(code|script|style)\b.*?</\1>|<[^>]*>", "", file.read_text("utf-8"))
        assert re.findall(r"\{[#.:][^}]*\}|\?\?\? \w+|\*\*\w|\]\([^)]*\)|&lt;!--", shown) == [], (
            file.name
        )


class _Taken(HTMLParser):
    """The addresses of what a page shows or runs; links to follow are none of them."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = ("src", "srcset", "poster", "data") if tag != "link" else ("href",)
        said = dict(attributes)
        if tag == "link" and said.get("rel") in ("canonical", "prev", "next"):
            return
        self.addresses += [value for name, value in attributes if name in named and value]


# The front page is examined in each, and a page of code or of wide tables where they are hardest.
@pytest.mark.parametrize(("dark", "width", "examined"), [
    (False, 1200, PAGES[:1]), (True, 1200, PAGES[:2]), (False, 390, PAGES[:3:2]),
], ids=["light", "dark", "phone"])  # fmt: skip
def test_a_browser_shows_it_and_people_can_read_it(address, dark, width, examined):
    with opened(address, dark=dark, width=width) as page:
        page.wait_for_selector("article h1")
        scheme = page.evaluate("document.body.dataset.mdColorScheme")
        assert scheme == ("slate" if dark else "default")
        for name in PAGES:
            page.goto(address + name)
            page.wait_for_selector("article h1")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            if name in examined:
                assert faults(page) == [], name


def test_the_search_needs_no_network(address):
    with opened(address) as page:
        page.click(".md-search__input")
        page.keyboard.type("shear")
        page.wait_for_selector(".md-search-result__item a")
        found = page.eval_on_selector_all(
            ".md-search-result__item a", "links => links.map(link => link.href)"
        )
    assert any("reference/settings.html" in link for link in found)
