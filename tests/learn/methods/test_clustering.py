"""From features to labels: whitening, k-means without empty clusters, fair shares, NMI."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singleimg.errors import UserError
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


def rng(seed: int = 0) -> np.random.Generator:
    """A generator of NumPy's."""
    return np.random.default_rng(seed)


def spread(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Points of length 1 in all directions."""
    points = rng(seed).normal(size=(count, size))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def tight_groups(sizes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Tight groups of points of length 1, shuffled, and which one each belongs to."""
    labels = rng(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    points = np.eye(len(sizes))[labels] + rng(2).normal(0, 0.05, (len(labels), len(sizes)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points.astype(np.float32), labels


# --- whitening -----------------------------------------------------------------------------------


def components_of(features: np.ndarray, count: int) -> np.ndarray:
    """The principal components of unit variance, by a singular value decomposition."""
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    left, _, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :count] * np.sqrt(len(features))


def test_rows_are_those_of_components_of_unit_variance_made_one_long() -> None:
    features = rng().normal(size=(300, 8)) @ rng(1).normal(size=(8, 8)) + 50
    expected = components_of(features, 5)
    assert np.allclose(expected.var(0), 1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    points = whiten(features.astype(np.float32), 5)
    assert points.dtype == np.float32 and points.flags.c_contiguous
    signs = np.sign((points * expected).sum(0))
    assert np.allclose(points, expected * signs, atol=2e-3)


@pytest.mark.parametrize(("count", "size", "asked"), [(50, 8, 3), (50, 8, 99), (12, 64, 256)])
def test_there_are_at_most_as_many_components_as_features_and_as_images(
    count: int, size: int, asked: int
) -> None:
    points = whiten(rng().normal(size=(count, size)).astype(np.float32), asked)
    assert points.shape == (count, min(count, size, asked))
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)


def test_a_constant_added_to_a_feature_changes_nothing() -> None:
    features = rng().normal(size=(200, 6)).astype(np.float32)
    moved = whiten(features + np.float32(64), 4)
    assert np.allclose(np.abs(moved), np.abs(whiten(features, 4)), atol=1e-2)


@pytest.mark.parametrize("level", [0.0, 0.1, -3e4, 1e-30])
def test_identical_images_give_identical_numbers_and_no_nan(level: float) -> None:
    points = whiten(np.full((40, 6), level, np.float32), 4)
    assert np.isfinite(points).all() and (points == points[0]).all()


def test_copies_of_a_few_images_stay_copies_and_the_images_apart() -> None:
    features = np.repeat(rng().normal(size=(4, 16)), 10, 0).astype(np.float32)
    points = whiten(features, 8)
    assert np.isfinite(points).all()
    across = points @ points.T
    labels = np.repeat(np.arange(4), 10)
    alike = labels[:, None] == labels
    assert across[alike].min() > 0.999 and across[~alike].max() < 0.9


# --- k-means -------------------------------------------------------------------------------------


def test_separated_groups_are_found_however_large_they_are() -> None:
    pytest.importorskip("faiss")
    points, labels = tight_groups([80, 60, 40, 20])
    scores = [mutual_information(kmeans(points, 4, seed), labels) for seed in range(6)]
    assert max(scores) == pytest.approx(1)


def test_the_seed_decides_the_clusters() -> None:
    pytest.importorskip("faiss")
    points = spread(300, 8)
    first, again, other = (kmeans(points, 10, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.dtype == np.int64 and first.shape == (300,)


@pytest.mark.parametrize("k", [2, 30, 150])
def test_no_cluster_is_empty_where_points_differ(k: int) -> None:
    pytest.importorskip("faiss")
    assert np.bincount(kmeans(spread(300, 8), k, 0), minlength=k).all()


def test_each_point_belongs_to_the_nearest_of_the_centroids() -> None:
    points, centroids = spread(200, 5), spread(7, 5, seed=1) * 0.7
    expected = ((points[:, None] - centroids) ** 2).sum(2).argmin(1)
    assert np.array_equal(split_for_empty(points, centroids, rounds=0), expected)


def test_fewer_different_points_than_clusters_are_allowed() -> None:
    pytest.importorskip("faiss")
    points = np.repeat(spread(3, 4), 20, axis=0)
    found = kmeans(points, 12, 0)
    of_point = [set(found[first : first + 20]) for first in (0, 20, 40)]
    assert [len(clusters) for clusters in of_point] == [1, 1, 1]
    assert len(set.union(*of_point)) == 3


def test_as_many_clusters_as_points_give_each_point_its_own() -> None:
    pytest.importorskip("faiss")
    assert sorted(kmeans(np.eye(8, dtype=np.float32), 8, 0)) == list(range(8))


def test_a_doubled_centroid_leaves_no_cluster_empty_and_touches_no_other() -> None:
    points, labels = tight_groups([300, 30])
    means = np.stack([points[labels == label].mean(0) for label in (0, 1)])
    sizes = np.bincount(split_for_empty(points, means[[0, 1, 0]].copy()), minlength=3)
    assert sizes[1] == 30 and sizes[0] + sizes[2] == 300 and min(sizes[0], sizes[2]) > 60


def test_centroids_that_faiss_leaves_twice_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    points, labels = tight_groups([300, 30])
    means = np.stack([points[labels == label].mean(0) for label in (0, 1, 0)])
    left = SimpleNamespace(train=lambda _: None, centroids=means)
    faiss = SimpleNamespace(Kmeans=lambda *_, **__: left, get_num_gpus=lambda: 0)
    monkeypatch.setitem(sys.modules, "faiss", faiss)
    assert np.unique(kmeans(points, 3, 0)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("k", [3, 8])
def test_a_centroid_that_is_there_several_times_leaves_no_cluster_empty(k: int) -> None:
    points = spread(1000, 8)
    found = split_for_empty(points, np.repeat(points.mean(0, keepdims=True), k, axis=0))
    assert np.unique(found).tolist() == list(range(k))


def test_where_no_cluster_is_empty_no_centroid_is_moved() -> None:
    points, labels = tight_groups([30, 30])
    centroids = np.stack([points[labels == label].mean(0) for label in (0, 1)])
    before = centroids.copy()
    assert np.array_equal(split_for_empty(points, centroids), labels)
    assert np.array_equal(centroids, before)


def test_without_faiss_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError) as mistake:
        kmeans(spread(8, 2), 2, 0)
    assert str(mistake.value) == (
        "method=deepcluster needs the module faiss, which is not installed: type pip install "
        '-e ".[train]".'
    )


# --- fair shares ---------------------------------------------------------------------------------


def test_small_and_large_clusters_are_seen_as_often() -> None:
    assigned = rng(3).permutation(np.repeat([0, 1, 4], [2000, 100, 7]))
    order = uniform_over_clusters(assigned, 3000, rng())
    assert order.shape == (3000,)
    counts = np.bincount(assigned[order], minlength=5)
    assert counts[[2, 3]].tolist() == [0, 0] and np.ptp(counts[[0, 1, 4]]) <= 3


def test_a_large_cluster_shows_no_point_twice_and_a_small_one_all_of_its_own() -> None:
    assigned = np.repeat([0, 1], [2000, 20])
    order = uniform_over_clusters(assigned, 2000, rng())
    large, small = order[order < 2000], order[order >= 2000]
    assert len(np.unique(large)) == len(large) and len(np.unique(small)) == 20


def test_each_point_of_a_cluster_is_as_likely() -> None:
    assigned = np.repeat([0, 1], [30, 3])
    counts = np.zeros(33)
    for seed in range(300):
        np.add.at(counts, uniform_over_clusters(assigned, 33, rng(seed)), 1)
    assert np.ptp(counts[:30]) / counts[:30].mean() < 0.35
    assert np.ptp(counts[30:]) / counts[30:].mean() < 0.1


def test_clusters_are_mixed_in_the_order() -> None:
    assigned = np.repeat([0, 1], [500, 500])
    seen = assigned[uniform_over_clusters(assigned, 1000, rng())]
    assert 400 < np.abs(np.diff(seen)).sum() < 600


def test_the_generator_decides_the_order() -> None:
    assigned = np.arange(100) % 7
    first, again, other = (uniform_over_clusters(assigned, 100, rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


# --- mutual information --------------------------------------------------------------------------

pairs = st.integers(1, 80).flatmap(
    lambda count: st.tuples(*[st.lists(st.integers(0, 3), min_size=count, max_size=count)] * 2)
)


@given(pairs)
@settings(max_examples=150, deadline=None)
def test_mutual_information_of_any_two_is_symmetric_and_between_0_and_1(pair: tuple) -> None:
    first, second = map(np.array, pair)
    value = mutual_information(first, second)
    assert -1e-9 <= value <= 1 + 1e-9
    assert value == pytest.approx(mutual_information(second, first), abs=1e-9)


@given(pairs, st.permutations(range(9)))
@settings(max_examples=100, deadline=None)
def test_names_of_clusters_do_not_matter(pair: tuple, names: list[int]) -> None:
    first, second = map(np.array, pair)
    again = np.array(names)[first]
    assert mutual_information(first, again) == pytest.approx(1)
    expected = mutual_information(first, second)
    assert mutual_information(again, second) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("count", [1, 6, 7, 49, 1000])
def test_one_cluster_says_nothing_but_of_itself(count: int) -> None:
    one, many = np.zeros(count, int), np.arange(count) % 3
    assert mutual_information(one, one) == pytest.approx(1, abs=1e-9)
    if count > 1:
        assert mutual_information(one, many) == pytest.approx(0, abs=1e-9)


def test_independent_clusters_have_next_to_none_and_a_halved_one_half_of_it() -> None:
    assert mutual_information(*rng().integers(0, 10, (2, 50_000))) < 0.005
    product = np.arange(4).repeat(25)
    assert mutual_information(product, np.tile(np.arange(5), 20)) == pytest.approx(0, abs=1e-9)
    # I = log 2, H₁ = log 4, H₂ = log 2
    assert mutual_information(np.arange(4), np.arange(4) // 2) == pytest.approx(0.5**0.5)
