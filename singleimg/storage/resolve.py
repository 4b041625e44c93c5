"""Which store a ``targetpath`` names: the one place that chooses."""

from __future__ import annotations

from pathlib import Path

from singleimg.errors import file_path, is_url
from singleimg.storage.base import Store
from singleimg.storage.local import LocalStore
from singleimg.storage.remote import open_url


def store_at(text: str, durable: bool = True) -> Store:
    """The store of a folder or URL; ``durable`` counts for folders only.

    Raises UserError for a URL that cannot be opened here.
    """
    return open_url(text) if is_url(text) else LocalStore(Path(file_path(text)), durable)
