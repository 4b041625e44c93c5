"""Every command of the guides is run as it stands there; see ``test_commands``."""

from __future__ import annotations

import math

import pytest

from tests.docs.pages import blocks_of, pages
from tests.docs.shell import follow

GUIDES = [page for page in pages() if "/guides/" in page]


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_can_be_followed(page, tmp_path, stores):
    names = follow(page, tmp_path, stores(page), slow=False)
    assert math.isfinite(names.get("loss", 0)), "its training loop trains"


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in GUIDES if any(b.slow for b in blocks_of(page))])
def test_a_guide_can_be_followed_with_what_is_long(page, tmp_path, stores):
    follow(page, tmp_path, stores(page), slow=True)
