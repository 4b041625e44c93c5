"""The protocol for small images: features computed once, probes of all layers trained on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from singleimg.errors import UserError
from singleimg.learn.data.base import Labelled
from singleimg.learn.data.batches import whole_batches
from singleimg.learn.networks.base import Network, Trunk
from singleimg.learn.probes.base import ProbeProtocol, check_scored_on
from singleimg.learn.probes.features import FeatureExtractor, extract
from singleimg.learn.probes.images import evenly_spaced, split, split_images
from singleimg.learn.probes.linear import Probe, Standard, measure_accuracy
from singleimg.learn.probes.scores import LayerScore
from singleimg.learn.seeding import numpy_generator, torch_generator
from singleimg.system.bars import counted


@dataclass(frozen=True)
class Cached(ProbeProtocol):
    """Every choice is made on a part of the training images; the test images are read once.

    lrs: learning rates of which each layer takes the best on ``held_out`` of the training images
    (that share of each class), before it is trained again on all of them. epochs, batch_size:
    of SGD with ``momentum``, cosine schedule; updates: at least so many, by more epochs where there
    are few images. cost: inverse of the L2 penalty, C as scikit-learn counts it; None: no penalty.
    deviation: of the first weights.
    memory: of images and features, GB at most. images: of either split only so many, spread
    evenly over it; None: all. scored_on: ``test``, or ``validation``: the held-out part, by the
    classifiers that were chosen on it, and no test image is read.

    Features are those of each image and of its mirror image, one of which an epoch takes at random;
    they are standardised once, by the statistics of all training images.
    """

    epochs: int = 10
    updates: int = 2000
    batch_size: int = 256
    lrs: Sequence[float] = (0.001, 0.003, 0.01, 0.03)
    momentum: float = 0.9
    cost: float | None = 0.003
    deviation: float = 0.001
    held_out: float = 0.1
    memory: float = 24.0
    images: int | None = None
    scored_on: str = "test"
    name: str = "cached"

    def __post_init__(self) -> None:
        check_scored_on(self.scored_on)
        whole = type(self.epochs) is int and type(self.batch_size) is int
        if not whole or self.epochs < 1 or self.batch_size < 2:
            raise UserError(
                f"probe.epochs={self.epochs} and probe.batch_size={self.batch_size} are not whole "
                "numbers of at least 1 and 2: type for example probe.epochs=10 "
                "probe.batch_size=256."
            )
        if self.images is not None and self.images < 1:
            raise UserError(
                f"probe.images={self.images} is not a number of images: type for example "
                "probe.images=1000, or leave it out."
            )
        if not self.lrs or min(self.lrs) <= 0:
            raise UserError(
                f"probe.lrs={list(self.lrs)} is not a list of learning rates over 0: type for "
                "example 'probe.lrs=[0.003,0.01]'."
            )
        if self.updates < 0 or (self.cost is not None and self.cost <= 0):
            raise UserError(
                f"probe.updates={self.updates} and probe.cost={self.cost} are not a number of "
                "updates and a number over 0: type for example probe.updates=2000 probe.cost=0.003."
            )
        if not 0 < self.held_out < 1:
            raise UserError(
                f"probe.held_out={self.held_out:g} is not a share between 0 and 1: type for "
                "example probe.held_out=0.1."
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
        # Nothing is left in ``state_file``: it takes minutes.
        extractor = FeatureExtractor(trunk, network, layers).to(device)
        self._check_memory(extractor, network, data)
        train, number = split_images(data, "train", network.size, self.images)
        features = extract(extractor, train, network.size, device, mirrored=True)
        standards = [Standard(kept) for kept in features]
        for standard, kept in zip(standards, features, strict=True):
            standard.apply(kept)
        chosen = self.choose(features, train.labels, number, device, seed)
        if self.scored_on == "validation":
            return [
                LayerScore(layer + 1, validation, lr, validation)
                for layer, (lr, validation) in zip(extractor.chosen, chosen, strict=True)
            ]
        probes = self.fit(
            features, train.labels, number, np.arange(len(train)), [[lr] for lr, _ in chosen],
            device, seed,
        )  # fmt: skip
        del features
        test, _ = split_images(data, "test", network.size, self.images)
        tested = extract(extractor, test, network.size, device)
        return [
            LayerScore(
                layer + 1,
                float(measure_accuracy(probe, standard.apply(kept[0]), test.labels)[0]),
                lr,
                validation,
            )
            for layer, probe, standard, kept, (lr, validation) in zip(
                extractor.chosen, probes, standards, tested, chosen, strict=True
            )
        ]

    def _check_memory(self, extractor: FeatureExtractor, network: Network, data: Labelled) -> None:
        train, test = (len(evenly_spaced(len(s), self.images)) for s in (data.train(), data.test()))
        wanted = sum(extractor.sizes) * (2 * train + test) * 4 + 3 * network.size**2 * (
            train + test
        )
        if wanted > self.memory * 1e9:
            raise UserError(
                f"probe=cached would keep {wanted / 1e9:.1f} GB of features in memory, more than "
                f"probe.memory={self.memory:g}: type probe=streamed, or a larger probe.memory."
            )

    def choose(
        self, features: list[Tensor], labels: Tensor, classes: int, device: torch.device, seed: int
    ) -> list[tuple[float, float]]:
        """Of each layer the best learning rate, and its accuracy on what was held out."""
        fitted, held = split(labels, self.held_out)
        if not len(fitted):
            raise UserError(
                f"probe.images={len(labels)} leaves no image to train the probe on, since one of "
                "each class is held out: type a larger number."
            )
        rates = [list(self.lrs)] * len(features)
        probes = self.fit(features, labels, classes, fitted, rates, device, seed)
        rows = torch.from_numpy(held)
        best = []
        for probe, kept in zip(probes, features, strict=True):
            scores = measure_accuracy(probe, kept[0, rows], labels[rows]).cpu()
            place = int(scores.argmax())
            best.append((float(self.lrs[place]), float(scores[place])))
        return best

    def fit(
        self,
        features: list[Tensor],
        labels: Tensor,
        classes: int,
        rows: np.ndarray,
        rates: Sequence[Sequence[float]],
        device: torch.device,
        seed: int,
    ) -> list[Probe]:
        """Trains the probes of all layers on these rows, in one pass through each epoch."""
        random = torch_generator(seed, "probe weights")
        views = features[0].shape[0]
        penalty = 0.0 if self.cost is None else 1 / (self.cost * views * len(rows))
        probes = [
            Probe(
                kept.shape[2], classes, lrs, momentum=self.momentum, penalty=penalty,
                deviation=self.deviation, generator=random, device=device,
            )
            for kept, lrs in zip(features, rates, strict=True)
        ]  # fmt: skip
        size = min(self.batch_size, len(rows))
        batches = len(rows) // size
        epochs = max(self.epochs, -(-self.updates // batches))
        for epoch in counted(range(epochs), epochs, "epoch", "probe"):
            draws = numpy_generator(seed, "probe order", epoch)
            order = whole_batches(draws.permutation(rows), size)
            mirror = draws.integers(views, size=order.shape)
            for number in range(batches):
                done = (epoch * batches + number) / (epochs * batches)
                cosine = (1 + math.cos(math.pi * done)) / 2
                seen, view = torch.from_numpy(order[number]), torch.from_numpy(mirror[number])
                truth = labels[seen].to(device)
                for probe, kept in zip(probes, features, strict=True):
                    probe.step(kept[view, seen].to(device), truth, cosine)
        return probes
