"""``data=cifar100``."""

from __future__ import annotations

from dataclasses import dataclass

from torchvision import datasets

from singleimg.learn.data.cifar10 import Cifar10


@dataclass(frozen=True)
class Cifar100(Cifar10):
    """CIFAR-100, of as many images."""

    kind = datasets.CIFAR100

    name: str = "cifar100"
