"""The transforms that torchvision does not have, in torchvision's own protocol.

``make_params`` draws (from ``torch.rand`` alone, in float64) and ``transform`` renders, so that
they work in any ``v2.Compose`` as well as in ours. Their names here are public: configurations and
recipes hold them. Imports errors.
"""

from singleimg.transforms.paper import RotatedCrop
from singleimg.transforms.published import CropResizeAffine, RandomSquareCrop

__all__ = ["CropResizeAffine", "RandomSquareCrop", "RotatedCrop"]
