"""A real browser without a window, for pages that are one file and for a site on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


@contextmanager
def opened(shown: Path | str, *, dark: bool = False, width: int = 1200) -> Iterator[Any]:
    """A page of playwright's; fails if it complains, or asks for what it should not.

    shown: a file, which asks for nothing, or an address ``http://host:port/…``, which asks its own
    server alone.
    """
    address = shown if isinstance(shown, str) else shown.as_uri()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser_file = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser_file is None:
        pytest.skip("no Chromium is on this machine")
    asked, said = [], []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=browser_file, args=_FLAGS)
        try:
            page = browser.new_page(
                viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
            )
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(address)
            yield page
        finally:
            browser.close()
    assert said == []
    own = "/".join(address.split("/")[:3]) + "/" if isinstance(shown, str) else address
    assert [url for url in asked if not url.startswith(("data:", own))] == []
    assert isinstance(shown, str) or asked.count(address) == 1


def faults(page: Any) -> list[str]:
    """What axe-core finds that keeps people from reading a page, serious or worse."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not there")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html']}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def seen_by_everyone(file: Path) -> None:
    """Fails unless a page is whole, in light and dark, wide and on a phone, and for who has it read
    aloud; nor may it ask for anything (see ``opened``)."""
    with opened(file) as page:
        for scheme, width in (("light", 1200), ("dark", 390)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            assert faults(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("[...document.images].filter(one => !one.naturalWidth).length") == 0
        said = 'img[alt]:not([alt=""]), svg[aria-label]:not([aria-label=""])'
        assert page.locator("main figure").count() == page.locator(f"figure :is({said})").count()
