"""The protocol without training: each test image votes with its nearest training images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from singleimg.errors import UserError
from singleimg.learn.data.base import Labelled
from singleimg.learn.networks.base import Network, Trunk
from singleimg.learn.probes.base import ProbeProtocol, check_scored_on
from singleimg.learn.probes.features import FeatureExtractor, extract
from singleimg.learn.probes.images import split, split_images
from singleimg.learn.probes.scores import LayerScore

_CHUNK = 500  # images that are compared with all others at once


@dataclass(frozen=True)
class Nearest(ProbeProtocol):
    """Of each layer's map, averaged over its places, the ``k`` nearest by cosine.

    Each has one vote; the class of the most wins, of two that have as many the one whose votes are
    nearer. images: of either split only so many; None: all. scored_on, held_out: as of Cached.

    Source: Wu et al.: Unsupervised feature learning via non-parametric instance discrimination
    (CVPR 2018), which weighs the votes.
    """

    k: int = 20
    images: int | None = None
    scored_on: str = "test"
    held_out: float = 0.1
    name: str = "knn"

    def __post_init__(self) -> None:
        if type(self.k) is not int or self.k < 1:
            raise UserError(
                f"probe.k={self.k} is not a number of images: type for example probe.k=20."
            )
        check_scored_on(self.scored_on)

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
        extractor = FeatureExtractor(trunk, network, layers, pool=_Mean()).to(device)
        known, number = split_images(data, "train", network.size, self.images)
        features = [one[0] for one in extract(extractor, known, network.size, device)]
        labels = known.labels
        if self.scored_on == "validation":
            fitted, held = (torch.from_numpy(rows) for rows in split(labels, self.held_out))
            asked, truth = [one[held] for one in features], labels[held]
            features, labels = [one[fitted] for one in features], labels[fitted]
        else:
            test, _ = split_images(data, "test", network.size, self.images)
            asked = [one[0] for one in extract(extractor, test, network.size, device)]
            truth = test.labels
        if self.k > len(labels):
            raise UserError(
                f"probe.k={self.k} is more than the {len(labels):,} images there are: type a "
                "smaller number."
            )
        scores = []
        for layer, train, test_ in zip(extractor.chosen, features, asked, strict=True):
            said = vote(train.to(device), labels.to(device), test_.to(device), self.k, number)
            right = float((said.cpu() == truth).float().mean())
            scores.append(LayerScore(layer + 1, right, None))
        return scores


def vote(known: Tensor, labels: Tensor, asked: Tensor, k: int, classes: int) -> Tensor:
    """The class of each of ``asked`` (M×D) by its ``k`` nearest of ``known`` (N×D): ``int64`` M."""
    known = nn.functional.normalize(known)
    said = []
    for part in nn.functional.normalize(asked).split(_CHUNK):
        nearness, nearest = (part @ known.T).topk(k)
        votes = part.new_zeros(len(part), classes)
        # A cosine is at most 1: among k of them it decides between equal numbers of votes alone.
        weights = 1 + nearness / (2 * k + 1)
        votes.scatter_add_(1, labels[nearest], weights)
        said.append(votes.argmax(1))
    return torch.cat(said)


class _Mean(nn.Module):
    """Over all places of a map."""

    def forward(self, values: Tensor) -> Tensor:
        return values.mean((2, 3))
