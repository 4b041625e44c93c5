"""From features to labels: whitening, k-means without empty clusters, fair sampling, NMI."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singleimg.learn.methods.clustering import (
    kmeans,
    mutual_information,
    split_for_empty,
    uniform_over_clusters,
    whiten,
)


def test_whitened_components_have_one_variance_and_no_correlation_and_rows_length_one():
    random = np.random.default_rng(0)
    features = (random.normal(size=(5000, 6)) * [1, 5, 20, 0.3, 2, 8]) @ random.normal(size=(6, 6))
    points = whiten(features.astype(np.float32) + 100, 6)
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)
    covariance = np.cov(points.T)
    assert np.allclose(covariance, np.eye(6) / 6, atol=0.01)


def test_the_first_components_are_kept():
    random = np.random.default_rng(0)
    strong = np.repeat([[3.0, 0], [-3, 0]], 100, axis=0)
    features = np.hstack([strong, random.normal(0, 0.1, (200, 3))]).astype(np.float32)
    points = whiten(features, 1)
    assert points.shape == (200, 1)
    assert abs(points[:100].sum()) == 100 and points[0] != points[150]


def test_identical_images_give_numbers():
    points = whiten(np.ones((50, 8), np.float32), 4)
    assert np.isfinite(points).all()
    two = whiten(np.repeat([[1.0, 2, 3], [3, 2, 1]], 25, axis=0).astype(np.float32), 3)
    assert np.isfinite(two).all() and not np.allclose(two[0], two[-1])


def blobs(sizes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Tight groups around unit vectors, and which one each belongs to."""
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    points = np.eye(len(sizes))[labels] + random.normal(0, 0.02, (len(labels), len(sizes)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), labels


def test_kmeans_finds_groups_and_the_seed_decides_it():
    pytest.importorskip("faiss")
    points, labels = blobs([40, 40, 40, 40])
    best = max((kmeans(points, 4, seed) for seed in range(5)),
               key=lambda found: mutual_information(found, labels))  # fmt: skip
    assert mutual_information(best, labels) == pytest.approx(1)
    assert np.array_equal(kmeans(points, 4, 3), kmeans(points, 4, 3))


def test_an_empty_cluster_takes_half_of_the_largest():
    points, _ = blobs([100, 10])
    centroids = np.stack([points[0], points[105], np.full(2, -9)]).astype(np.float32)
    sizes = np.bincount(split_for_empty(points, centroids), minlength=3)
    assert sizes.all() and sizes[1] == 10 and sizes[0] + sizes[2] == 100


def test_points_that_coincide_leave_clusters_empty():
    pytest.importorskip("faiss")
    points = np.repeat(np.eye(2, dtype=np.float32), 30, axis=0)
    found = kmeans(points, 10, 0)
    assert len(np.unique(found)) >= 2
    assert len(set(found[:30]) & set(found[30:])) == 0


def test_each_cluster_is_seen_as_often():
    assigned = np.repeat([0, 1, 2, 7], [600, 300, 90, 10])
    order = uniform_over_clusters(assigned, 1000, np.random.default_rng(0))
    assert len(order) == 1000
    counts = np.bincount(assigned[order], minlength=8)
    assert counts[3:7].sum() == 0 and counts[[0, 1, 2, 7]].min() >= 248
    large = order[assigned[order] == 0]
    assert len(np.unique(large)) == len(large)  # a large cluster shows none twice
    assert not np.array_equal(np.sort(assigned[order]), assigned[order])  # shuffled


clusterings = st.lists(st.integers(0, 4), min_size=2, max_size=60).map(np.array)


@given(clusterings, st.permutations(range(5)))
@settings(max_examples=60, deadline=None)
def test_mutual_information_is_one_for_the_same_clusters_by_other_names(first, names):
    assert mutual_information(first, np.array(names)[first]) == pytest.approx(1)


@given(clusterings, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_mutual_information_is_symmetric_and_between_0_and_1(first, random):
    second = np.array([random.randrange(4) for _ in first])
    value = mutual_information(first, second)
    assert -1e-9 <= value <= 1 + 1e-9
    assert value == pytest.approx(mutual_information(second, first))


def test_mutual_information_of_unrelated_clusters_is_near_nothing():
    random = np.random.default_rng(0)
    assert mutual_information(*random.integers(0, 5, (2, 20000))) < 0.01
