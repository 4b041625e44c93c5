"""One image in, a training set of any size out.

>>> import singleimg
>>> singleimg.SingleImage.open("outputs/…").render(7)  # the pixels of image 7
>>> singleimg.StoredDataset("outputs/…")[7]  # (the stored image 7, 0), whatever the format
>>> singleimg.RenderedDataset(singleimg.compose("imgpath=photo.jpg"))[7]  # nothing is stored
>>> singleimg.load_trunk("outputs/pretrain-…")  # what a training learned

Importing the package imports no torch; what needs it is imported when it is first named.
"""

from __future__ import annotations

import importlib
from typing import Any

from singleimg.errors import UserError
from singleimg.version import __version__

_WHERE = {
    "StoredDataset": "singleimg.dataset.torch",
    "RenderedDataset": "singleimg.dataset.torch",
    "compose": "singleimg.config.compose",
    "load_trunk": "singleimg.learn.training.trunk",
}
__all__ = [
    "RenderedDataset",
    "SingleImage",
    "StoredDataset",
    "UserError",
    "__version__",
    "compose",
    "load_trunk",
]


def __getattr__(name: str) -> Any:
    if name == "SingleImage":
        from singleimg.dataset.open import from_config, open_images
        from singleimg.images import SingleImage

        # The class itself knows no configuration; whoever uses the package from Python has both.
        SingleImage.from_config = staticmethod(from_config)
        SingleImage.open = staticmethod(open_images)
        return SingleImage
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'singleimg' has no attribute {name!r}")
