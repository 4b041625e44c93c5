"""A cache of each test's own."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from singleimg.errors import UserError
from singleimg.sources import cache, dead_leaves, decoding, url


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SINGLEIMG_CACHE", str(tmp_path / "cache"))
    decoding.load_picture.cache_clear()
    cache._say.cache_clear()
    url._unkept.clear()
    dead_leaves._dead_leaves.cache_clear()


def picture() -> Image.Image:
    rows, columns = np.mgrid[:30, :40]
    return Image.fromarray(np.stack([rows * 8, columns * 6, rows + columns], -1).astype(np.uint8))


def refused(source) -> str:
    with pytest.raises(UserError) as caught:
        source().load(0)
    return str(caught.value)
