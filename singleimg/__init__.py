"""One image in, a training set of any size out.

>>> from singleimg import SingleImage
>>> SingleImage.open("outputs/…").render(7)  # the pixels of image 7

Importing the package imports no torch; what needs it is imported when it is first named.
"""

from __future__ import annotations

from typing import Any

from singleimg.errors import UserError

__version__ = "0.1.0"
__all__ = ["SingleImage", "UserError", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "SingleImage":
        from singleimg.dataset import SingleImage

        return SingleImage
    raise AttributeError(f"module 'singleimg' has no attribute {name!r}")
