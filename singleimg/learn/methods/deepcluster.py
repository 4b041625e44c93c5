"""DeepCluster: clusters of the network's own features are the labels that it learns next."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD

from singleimg.errors import UserError
from singleimg.learn.data.batches import Images
from singleimg.learn.data.crops import centre
from singleimg.learn.methods.base import (
    Method,
    accuracy,
    check_positive,
    check_whole,
    set_lr,
)
from singleimg.learn.methods.clustering import (
    kmeans,
    mutual_information,
    uniform_over_clusters,
    whiten,
)
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.base import Network
from singleimg.learn.seeding import numpy_generator, torch_generator

MAX_CLUSTERS, IMAGES_A_CLUSTER = 10_000, 100
_CHUNK = 500  # images a pass when features are computed


class DeepCluster(Method):
    """Before each epoch the features of all images are clustered; the last layer begins anew.

    k: clusters; None: one for 100 images, at most 10,000. components: principal components that
    are clustered. lr, momentum, weight_decay: of SGD; the last layer has an SGD of its own, of the
    same ``lr`` and no momentum.

    Source: Caron et al.: Deep clustering for unsupervised learning of visual features (ECCV 2018),
    and its code, facebookresearch/deepcluster: main.py, clustering.py.
    """

    metrics = ("loss", "accuracy")

    def __init__(
        self,
        *,
        k: int | None = None,
        components: int = 256,
        lr: float = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 1e-5,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_positive(lr=lr)
        check_whole("components", components, 1)
        if k is not None:
            check_whole("k", k, 2)
        self.k, self.components = k, components
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.assigned = torch.zeros(0, dtype=torch.int64)  # the cluster of each image
        self.facts: dict[str, float] = {}

    def check_count(self, images: int) -> None:
        super().check_count(images)
        if not 2 <= self.clusters(images) <= images:
            raise UserError(
                f"method.k={self.k} is not a number of clusters from 2 to {images:,}, the number "
                f"of images: type for example method.k={max(2, images // IMAGES_A_CLUSTER)}, or a "
                "larger num_imgs."
            )

    def clusters(self, images: int) -> int:
        """How many to make of so many images."""
        if self.k is not None:
            return self.k
        return min(MAX_CLUSTERS, max(images // IMAGES_A_CLUSTER, 2))

    def build(self, network: Network, images: int, classes: int) -> None:
        """Trunk, top, and a linear layer to the clusters."""
        self.k, self.size = self.clusters(images), network.size
        self.trunk = network.trunk()
        self.top = network.top(self.trunk.features(network.size))
        self.head = nn.Linear(self.top.size, self.k)
        body = [*self.trunk.parameters(), *self.top.parameters()]
        self.optimizers["body"] = SGD(body, self.lr, self.momentum, weight_decay=self.weight_decay)
        self.optimizers["head"] = SGD(
            self.head.parameters(), self.lr, weight_decay=self.weight_decay
        )

    def get_extra_state(self) -> dict[str, Any]:
        """The clusters: labels of an epoch that is gone on with, and what NMI compares with."""
        return {"assigned": self.assigned.cpu(), "facts": dict(self.facts)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The clusters of a checkpoint."""
        self.assigned, self.facts = state["assigned"], state["facts"]

    def schedule(self, fraction: float) -> None:
        for optimizer in self.optimizers.values():
            set_lr(optimizer, self.lr)

    def order(self, epoch: int, images: Images, state: TrainState) -> np.ndarray:
        """Clusters all images anew, and draws as many from each cluster."""
        assigned = self._clusters(epoch, images, state)
        before = self.assigned.cpu().numpy()
        self.assigned = torch.from_numpy(assigned)
        self.facts = {"clusters": float(len(np.unique(assigned)))}
        self.facts["nmi"] = mutual_information(before, assigned) if len(before) else 0.0
        self._begin_head(epoch, state)
        return uniform_over_clusters(
            assigned, len(images), numpy_generator(state.seed, "order", epoch)
        )

    def _clusters(self, epoch: int, images: Images, state: TrainState) -> np.ndarray:
        assigned = torch.zeros(len(images), dtype=torch.int64)
        if state.fabric.is_global_zero:  # the others wait
            points = whiten(self._features(images, state), self.components)
            seed = int(numpy_generator(state.seed, "k-means", epoch).integers(2**31))
            assigned = torch.from_numpy(kmeans(points, self.k, seed))
        return state.fabric.broadcast(assigned).numpy()

    @torch.no_grad()
    def _features(self, images: Images, state: TrainState) -> np.ndarray:
        """Of every image's middle, before the last activation: ``float32`` N×F.

        Those of the fully connected layers, as DeepCluster's code has them; where there are none,
        those of the trunk: a vector with signs says more than one that is cut at 0.
        """
        self.eval()
        indices = [
            np.arange(first, min(first + _CHUNK, len(images)))
            for first in range(0, len(images), _CHUNK)
        ]
        parts = []
        for pixels in images.batches(indices):
            batch = centre(pixels.to(state.device).float() / 255, self.size)
            with state.fabric.autocast():
                values = self.trunk.signed(batch) if self.top.is_empty else self.trunk(batch)
                parts.append(self.top.before_activation(values).float().cpu())
        self.train()
        return torch.cat(parts).numpy()

    def _begin_head(self, epoch: int, state: TrainState) -> None:
        random = torch_generator(state.seed, "head", epoch)
        with torch.no_grad():
            weight = 0.01 * torch.randn(self.head.weight.shape, generator=random)
            self.head.weight.copy_(weight)
            self.head.bias.zero_()

    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        self.assigned = self.assigned.to(images.device)  # once an epoch
        clusters = self.assigned[indices]
        with state.fabric.autocast():
            scores = self.head(self.top(self.trunk(images)))
            loss = nn.functional.cross_entropy(scores, clusters)
        state.descend(loss, *self.optimizers.values())
        return {"loss": loss.detach(), "accuracy": accuracy(scores, clusters)}

    def end_epoch(self) -> dict[str, float]:
        """NMI with the clusters of the epoch before, and how many clusters are not empty."""
        return self.facts
