"""Every command of the guides is run as it stands there; see ``test_commands``."""

from __future__ import annotations

import pytest

from tests.docs.pages import pages
from tests.docs.shell import follow

pytestmark = pytest.mark.pages
GUIDES = [page for page in pages() if "/guides/" in page]


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_can_be_followed(page, tmp_path, stores):
    names = follow(page, tmp_path, stores(page), slow=False)
    if "loss" in names:
        assert names["loss"].isfinite(), "its training loop trains"
