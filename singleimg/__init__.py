"""One image in, a training set of any size out.

>>> import singleimg
>>> singleimg.SingleImage.open("photo.jpg", augment="paper").render(7)  # the pixels of image 7
>>> singleimg.RenderedDataset("photo.jpg", num_imgs="1M")[7]  # (a Pillow image, 0), not stored
>>> singleimg.StoredDataset("outputs/…")[7]  # (the stored image 7, 0), whatever the format
>>> singleimg.compose("augment=strong", imgpath="photo.jpg")  # what would be typed
>>> singleimg.load_trunk("outputs/pretrain-…")  # what a training learned

Importing the package imports no torch; what needs it is imported when it is first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from singleimg.errors import UserError
from singleimg.version import __version__

if TYPE_CHECKING:  # as type checkers and editors see what __getattr__ gives
    from singleimg.config.compose import compose
    from singleimg.dataset.torch import RenderedDataset, StoredDataset
    from singleimg.images import SingleImage
    from singleimg.learn.training.trunk import load_trunk

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


def __dir__() -> list[str]:
    return sorted(__all__)
