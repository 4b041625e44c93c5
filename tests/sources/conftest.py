"""A cache of each test's own."""

from __future__ import annotations

import pytest

from singleimg.sources import dead_leaves, decoding


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SINGLEIMG_CACHE", str(tmp_path / "cache"))
    decoding.load_picture.cache_clear()
    dead_leaves._dead_leaves.cache_clear()
