"""The protocol for ImageNet: probes of all layers trained together while images stream by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from singleimg.errors import UserError
from singleimg.learn.data.base import Labelled, classes
from singleimg.learn.data.batches import whole_batches
from singleimg.learn.networks.base import Network, Trunk
from singleimg.learn.probes.base import ProbeProtocol
from singleimg.learn.probes.images import evenly_spaced
from singleimg.learn.probes.scores import LayerScore
from singleimg.learn.seeding import numpy_generator, torch_generator
from singleimg.learn.training import checkpoints
from singleimg.system.bars import counted
from singleimg.system.cores import available_cores

_BORDER = 8 / 7  # of the shorter side to the crop: 256 to 224


class LinearProbes(nn.Module):
    """For each layer: pooling, BatchNorm without affine, and one linear map to the classes."""

    def __init__(self, trunk: Trunk, network: Network, number: int, layers: Sequence[int]) -> None:
        super().__init__()
        self.layers = list(layers)
        shapes = trunk.shapes(network.size)
        self.pools, self.norms, self.heads = (nn.ModuleList() for _ in range(3))
        for layer in self.layers:
            channels, side = shapes[layer]
            pool = network.probe_pool(layer, channels, side)
            width = pool(torch.zeros(1, channels, side, side)).numel()
            head = nn.Linear(width, number)
            nn.init.xavier_uniform_(head.weight)
            nn.init.zeros_(head.bias)
            self.pools.append(pool)
            self.norms.append(nn.BatchNorm2d(channels, affine=False))
            self.heads.append(head)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The scores of each layer: B×classes."""
        parts = zip(self.layers, self.pools, self.norms, self.heads, strict=True)
        return [head(norm(pool(maps[layer])).flatten(1)) for layer, pool, norm, head in parts]


@dataclass(frozen=True)
class Streamed(ProbeProtocol):
    """Random resized crops and flips of the training images; tested on the middle and ten crops.

    epochs, batch_size: of SGD with momentum .9. lrs: learning rates; at each of the ``milestones``
    (fractions of the training) the next one. workers: processes that decode; None: all cores.
    images: of either split only so many, spread evenly over it; None: all. ten_crop: also test on
    four corners, the middle, and their mirror images, the mean of whose scores counts.

    Source: yukimasano/linear-probes: eval_linear_probes.py and its README.
    """

    epochs: int = 36
    batch_size: int = 192
    lrs: Sequence[float] = (1e-2, 1e-3, 1e-4, 1e-5)
    milestones: Sequence[float] = (10 / 36, 20 / 36, 30 / 36)
    momentum: float = 0.9
    weight_decay: float = 1e-5
    ten_crop: bool = True
    workers: int | None = None
    images: int | None = None
    name: str = "streamed"

    def __post_init__(self) -> None:
        for key in ("epochs", "batch_size", "images"):
            value = getattr(self, key)
            if value is not None and (type(value) is not int or value < 1):
                raise UserError(
                    f"probe.{key}={value} is not a whole number of 1 or more: type for example "
                    f"probe.{key}={getattr(type(self), key) or 1000}."
                )
        if len(self.lrs) != len(self.milestones) + 1:
            raise UserError(
                f"probe.lrs={list(self.lrs)} does not have one number more than "
                f"probe.milestones={list(self.milestones)}, at each of which the next one starts: "
                f"type {len(self.milestones) + 1} numbers."
            )

    def run(
        self,
        trunk: Trunk,
        network: Network,
        data: Labelled,
        *,
        device: torch.device,
        seed: int = 0,
        layers: list[int] | None = None,
        state_file: Path | None = None,
    ) -> list[LayerScore]:
        train = data.train()
        torch.manual_seed(seed)
        chosen = list(range(trunk.depth)) if layers is None else layers
        bank = LinearProbes(trunk, network, len(classes(train)), chosen).to(device)
        trunk = trunk.to(device).eval().requires_grad_(False)
        optimizer = torch.optim.SGD(
            bank.parameters(), self.lrs[0], self.momentum, weight_decay=self.weight_decay
        )
        first = self._restore(bank, optimizer, state_file)
        crop = v2.Compose([
            v2.RandomResizedCrop(network.size), v2.RandomHorizontalFlip(), v2.PILToTensor(),
        ])  # fmt: skip
        images = TransformedDataset(self._subset(train), crop, seed)
        for epoch in range(first, self.epochs):
            self._epoch(epoch, bank, trunk, optimizer, images, device, seed)
            if state_file:
                checkpoints.save(state_file, {
                    "fingerprint": "", "step": epoch + 1, "method": bank.state_dict(),
                    "optimizer": optimizer.state_dict(),
                })  # fmt: skip
        return self._test(bank.eval(), trunk, self._subset(data.test()), network.size, device)

    def _restore(self, bank: LinearProbes, optimizer: Optimizer, state_file: Path | None) -> int:
        if state_file is None or not state_file.exists():
            return 0
        state = checkpoints.load(state_file)
        bank.load_state_dict(state["method"])
        optimizer.load_state_dict(state["optimizer"])
        return state["step"]

    def _subset(self, dataset: Dataset) -> Dataset:
        return Subset(dataset, evenly_spaced(len(dataset), self.images))

    def _loader(self, images: Dataset, batches: Sequence[Sequence[int]]) -> DataLoader:
        return DataLoader(
            images,
            batch_sampler=batches,
            num_workers=available_cores() if self.workers is None else self.workers,
            pin_memory=torch.cuda.is_available(),
        )

    def _epoch(
        self, epoch: int, bank: LinearProbes, trunk: Trunk, optimizer: Optimizer,
        images: TransformedDataset, device: torch.device, seed: int,
    ) -> None:  # fmt: skip
        size = min(self.batch_size, len(images))
        order = numpy_generator(seed, "probe order", epoch).permutation(len(images))
        batches = whole_batches(order, size).tolist()
        bank.train()
        images.epoch = epoch
        loader = self._loader(images, batches)
        seen = counted(loader, len(batches), "batch", f"epoch {epoch + 1}/{self.epochs}")
        for step, (pixels, labels) in enumerate(seen):
            fraction = (epoch * len(batches) + step) / (self.epochs * len(batches))
            lr = self.lrs[sum(fraction >= milestone for milestone in self.milestones)]
            optimizer.param_groups[0]["lr"] = lr
            with torch.no_grad():
                maps = trunk.layers(pixels.to(device).float() / 255)
            truth = labels.to(device)
            loss = sum(nn.functional.cross_entropy(one, truth) for one in bank(maps))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    @torch.no_grad()
    def _test(
        self, bank: LinearProbes, trunk: Trunk, images: Dataset, size: int, device: torch.device
    ) -> list[LayerScore]:
        right = torch.zeros(2, len(bank.layers))
        crops = TransformedDataset(images, TenCrops(size) if self.ten_crop else Middle(size))
        step = max(1, self.batch_size // (10 if self.ten_crop else 1))
        rows = [list(range(k, min(k + step, len(images)))) for k in range(0, len(images), step)]
        for pixels, labels in counted(self._loader(crops, rows), len(rows), "batch", "test"):
            flat = pixels.flatten(0, 1).to(device).float() / 255
            scores = torch.stack(bank(trunk.layers(flat))).view(
                len(bank.layers), len(labels), pixels.shape[1], -1
            )
            truth = labels.to(device)
            right[0] += (scores[:, :, MIDDLE % pixels.shape[1]].argmax(2) == truth).sum(1).cpu()
            right[1] += (scores.mean(2).argmax(2) == truth).sum(1).cpu()
        single, ten = (right / len(images)).tolist()
        return [
            LayerScore(layer + 1, single[k], self.lrs[0], None, ten[k] if self.ten_crop else None)
            for k, layer in enumerate(bank.layers)
        ]


MIDDLE = 4  # of the ten crops, the fifth is the one in the middle


class TransformedDataset(Dataset):
    """A dataset of (Pillow image, class), its images as RGB and transformed.

    seed: with one, what a random transform draws is a function of it, the epoch and the index: the
    same in any number of processes. It then moves torch's generator.
    """

    def __init__(
        self, dataset: Dataset, transform: Callable[[Image.Image], Tensor], seed: int | None = None
    ) -> None:
        self.dataset, self.transform, self.seed = dataset, transform, seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self.dataset[index]
        if self.seed is not None:
            word = torch_generator(self.seed, f"probe crop {self.epoch}", index).initial_seed()
            torch.default_generator.manual_seed(word)
        return self.transform(image.convert("RGB")), int(label)


@dataclass(frozen=True)
class TenCrops:
    """Shorter side to 8/7 of ``size``; corners, middle, and all mirrored: ``uint8`` 10×3×S×S."""

    size: int

    def __call__(self, image: Image.Image) -> Tensor:
        """Of a Pillow image."""
        image = functional.pil_to_tensor(functional.resize(image, [round(self.size * _BORDER)]))
        return torch.stack(list(functional.ten_crop(image, [self.size])))


@dataclass(frozen=True)
class Middle:
    """Shorter side to 8/7 of ``size``, and the middle of that: ``uint8`` 1×3×S×S."""

    size: int

    def __call__(self, image: Image.Image) -> Tensor:
        """Of a Pillow image."""
        image = functional.pil_to_tensor(functional.resize(image, [round(self.size * _BORDER)]))
        return functional.center_crop(image, [self.size])[None]
