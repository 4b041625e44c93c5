"""From features to the labels of DeepCluster: whitened principal components, k-means, sampling."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from singleimg.errors import UserError
from singleimg.system.extras import install

FLOOR = 1e-6  # of an eigenvalue, as a share of the largest: below it there is only rounding
ITERATIONS = 20  # of k-means
_NUDGE = 1e-4  # by which the halves of a split cluster's centroid differ


def whiten(features: np.ndarray, components: int) -> np.ndarray:
    """Principal components of unit variance, each row of length 1: ``float32`` N×components.

    features: ``float32`` N×F; there are at most min(N, F) components. Small eigenvalues are raised
    to a floor: identical images leave no variance to divide by.

    Source: ``preprocess_features`` in clustering.py of facebookresearch/deepcluster (PCA with
    eigenvalues to the power of -0.5, then L2).
    """
    centred = features - features.mean(0, dtype=np.float64).astype(np.float32)
    covariance = (centred.T @ centred).astype(np.float64) / len(centred)
    values, vectors = np.linalg.eigh(covariance)
    kept = min(components, len(centred))
    values, vectors = values[::-1][:kept], vectors[:, ::-1][:, :kept]
    floor = max(values[0] * FLOOR, np.finfo(np.float32).tiny)
    scaled = centred @ (vectors / np.sqrt(np.maximum(values, floor))).astype(np.float32)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.ascontiguousarray(scaled / np.maximum(lengths, 1e-12), dtype=np.float32)


def kmeans(points: np.ndarray, k: int, seed: int) -> np.ndarray:
    """The cluster of each point, ``int64`` N of 0 … k - 1, by faiss.

    An empty cluster takes half of a large one. Where points coincide, clusters stay empty.
    """
    faiss = _faiss()
    clustering = faiss.Kmeans(
        points.shape[1], k, niter=ITERATIONS, seed=seed, gpu=faiss.get_num_gpus() > 0,
        max_points_per_centroid=len(points), min_points_per_centroid=1,
    )  # fmt: skip
    clustering.train(points)
    centroids = clustering.centroids.copy()
    return split_for_empty(points, centroids)


def split_for_empty(points: np.ndarray, centroids: np.ndarray, rounds: int = 10) -> np.ndarray:
    """The nearest centroid of each point, after the largest clusters were split for empty ones.

    In a round each cluster is split once at most, at its mean, into halves nudged apart along it.
    ``centroids`` are changed in place. Ends when no cluster is empty, or a round filled none.
    """
    assigned = _nearest(points, centroids)
    for _ in range(rounds):
        sizes = np.bincount(assigned, minlength=len(centroids))
        if sizes.all():
            break
        for full in np.flatnonzero(sizes):
            centroids[full] = points[assigned == full].mean(0)
        largest = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
        for empty, split in zip(np.flatnonzero(sizes == 0), largest, strict=False):
            centroids[empty] = centroids[split] * (1 + _NUDGE)
            centroids[split] *= 1 - _NUDGE
        again = _nearest(points, centroids)
        if len(np.unique(again)) <= len(np.unique(assigned)):
            break
        assigned = again
    return assigned


def _nearest(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The nearest centroid of each point (the points are as long as one another)."""
    half = (centroids**2).sum(1) / 2
    chunks = np.array_split(points, max(1, len(points) // 4096))
    return np.concatenate([(chunk @ centroids.T - half).argmax(1) for chunk in chunks])


def uniform_over_clusters(
    assigned: np.ndarray, count: int, random: np.random.Generator
) -> np.ndarray:
    """``count`` indices, as many from each cluster that is not empty, shuffled.

    A cluster that is smaller than its share gives its points more than once, a larger one some of
    them. Source: ``UnifLabelSampler`` in util.py of facebookresearch/deepcluster.
    """
    clusters = [np.flatnonzero(assigned == label) for label in np.unique(assigned)]
    share = count // len(clusters) + 1
    picked = [random.choice(cluster, share, replace=len(cluster) <= share) for cluster in clusters]
    return random.permutation(np.concatenate(picked))[:count]


def mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Normalised mutual information of two clusterings of the same points, 0 … 1.

    I / √(H₁ H₂), as DeepCluster reports it (its figure 2). 1 where both have one cluster only.
    """
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)  # counts are exact, and a share of all of them is 1
    rows, columns = table.sum(1) / len(first), table.sum(0) / len(first)
    table /= len(first)
    entropies = [-(p[p > 0] * np.log(p[p > 0])).sum() for p in (rows, columns)]
    if min(entropies) <= 0:
        return 1.0 if max(entropies) <= 0 else 0.0
    expected = np.outer(rows, columns)
    there = table > 0
    information = (table[there] * np.log(table[there] / expected[there])).sum()
    return float(np.clip(information / np.sqrt(entropies[0] * entropies[1]), 0, 1))


def _faiss() -> ModuleType:
    try:
        import faiss
    except ModuleNotFoundError:
        raise UserError(
            "method=deepcluster needs the module faiss, which is not installed: type "
            f"{install('train')}."
        ) from None
    return faiss
