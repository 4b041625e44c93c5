"""DeepCluster: clusters as labels, fair shares of them, a last layer that begins anew."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from singleimg.errors import UserError
from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods import deepcluster
from singleimg.learn.methods.clustering import mutual_information
from singleimg.learn.methods.deepcluster import DeepCluster
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.base import Top
from tests.learn.tiny import Fabric, built, epochs, levels, new_state, same, updates, weights

pytest.importorskip("faiss")


def made(images: InMemory, k: int | None = 4, **settings: object) -> DeepCluster:
    """Not trained yet."""
    return built(DeepCluster, images, **{"k": k, "batch_size": 8, "components": 8, **settings})


def cluster_as(monkeypatch: pytest.MonkeyPatch, *clusterings: list[int]) -> None:
    """Has k-means find these, one after another."""
    found = iter(clusterings)
    monkeypatch.setattr(deepcluster, "kmeans", lambda *_: np.array(next(found)))


@pytest.fixture
def many() -> InMemory:
    """64 images of noise."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return InMemory(pixels)


# --- how many clusters ---------------------------------------------------------------------------


@pytest.mark.parametrize(("images", "k"), [
    (10, 2), (299, 2), (300, 3), (50_000, 500), (1_000_000, 10_000), (1_281_167, 10_000),
])  # fmt: skip
def test_there_is_a_cluster_for_a_hundred_images_and_10_000_at_most(images: int, k: int) -> None:
    assert DeepCluster(name="deepcluster").clusters(images) == k


def test_k_is_what_is_asked_for_and_the_last_layer_as_wide(many: InMemory) -> None:
    assert DeepCluster(name="deepcluster", k=77).clusters(50_000) == 77
    assert made(many, 5).head.out_features == 5 and made(many, None).head.out_features == 2


@pytest.mark.parametrize(("k", "images", "example"), [(500, 400, 4), (401, 400, 4), (91, 90, 2)])
def test_more_clusters_than_images_are_refused(k: int, images: int, example: int) -> None:
    with pytest.raises(UserError) as mistake:
        DeepCluster(name="deepcluster", k=k, batch_size=8).check_count(images)
    assert str(mistake.value) == (
        f"method.k={k} is not a number of clusters from 2 to {images}, the number of images: type "
        f"for example method.k={example}, or a larger num_imgs."
    )


@pytest.mark.parametrize("k", [1, 0, 2.5])
def test_fewer_clusters_than_two_or_a_part_of_one_are_refused(k: float) -> None:
    with pytest.raises(UserError) as mistake:
        DeepCluster(name="deepcluster", k=k)
    assert str(mistake.value) == (
        f"method.k={k} is not a whole number of 2 or more: type for example method.k=2."
    )


def test_as_many_clusters_as_images_are_allowed_and_too_large_a_batch_is_not() -> None:
    DeepCluster(name="deepcluster", k=400, batch_size=8).check_count(400)
    with pytest.raises(UserError, match=r"^method\.batch_size=500 is too large for 400 images"):
        DeepCluster(name="deepcluster", k=4, batch_size=500).check_count(400)


# --- what an epoch begins with -------------------------------------------------------------------


def test_an_epoch_shows_each_cluster_as_often(
    many: InMemory, state: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster_as(monkeypatch, [0] * 50 + [1] * 12 + [3] * 2)
    method = made(many)
    order = method.order(0, many, state)
    assert order.shape == (64,) and order.min() >= 0 and order.max() < 64
    counts = np.bincount(method.assigned.numpy()[order], minlength=4)
    assert counts[2] == 0 and counts[[0, 1, 3]].min() >= 20
    assert method.end_epoch()["clusters"] == 3


def test_its_clusters_are_k_means_of_whitened_features_before_the_last_activation(
    many: InMemory, state: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(deepcluster, "whiten", lambda *a: given.append(a) or a[0])
    cluster_as(monkeypatch, list(np.arange(64) % 4))
    method = made(many)
    method.top = Top(144, [12], 0.5, False)
    method.order(0, many, state)
    ((features, components),) = given
    assert features.shape == (64, 12) and components == 8
    with torch.no_grad():
        expected = method.eval().top.layers(method.trunk(levels(many)))
    assert np.allclose(features, expected.numpy(), atol=1e-5) and features.min() < 0


def test_clustering_leaves_weights_statistics_and_mode_as_they_are(
    many: InMemory, state: TrainState
) -> None:
    method = made(many)
    before = [value.clone() for value in method.trunk.state_dict().values()]
    method.order(0, many, state)
    assert same(before, list(method.trunk.state_dict().values())) and method.training


def test_epoch_and_seed_decide_clusters_and_order(many: InMemory) -> None:
    orders = [made(many).order(epoch, many, new_state(seed)).tolist()
              for epoch, seed in ((0, 0), (0, 0), (1, 0), (0, 1))]  # fmt: skip
    assert orders[0] == orders[1] and orders[2] != orders[0] != orders[3]


def test_the_last_layer_begins_anew_each_epoch_the_same_for_the_same_epoch(
    many: InMemory, state: TrainState
) -> None:
    method = made(many)
    method.order(0, many, state)
    first = weights(method.head)
    updates(method, many, state, 3)
    assert not same(weights(method.head), first)
    body = weights(method.trunk, method.top)
    method.order(1, many, state)
    weight, bias = weights(method.head)
    assert not bias.any() and not torch.equal(weight, first[0])
    assert float(weight.std()) == pytest.approx(0.01, rel=0.2) and abs(float(weight.mean())) < 0.002
    assert same(body, weights(method.trunk, method.top))
    again = made(many)
    again.order(0, many, state)
    assert same(weights(again.head), first)


def test_the_clusters_of_the_first_processor_are_those_of_all(
    many: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = torch.arange(64) % 4

    class Second(Fabric):
        def broadcast(self, value: torch.Tensor) -> torch.Tensor:
            assert value.shape == sent.shape and value.dtype == sent.dtype
            return sent

    cluster_as(monkeypatch)  # it must not ask
    method = made(many)
    method.order(0, many, TrainState(Second(1, 2), 0, None))
    assert method.assigned.tolist() == sent.tolist()


# --- training on them ----------------------------------------------------------------------------


def test_an_update_takes_the_clusters_of_its_images_for_labels(
    many: InMemory, state: TrainState
) -> None:
    method = made(many)
    method.assigned = torch.arange(64) % 4
    indices = torch.tensor([5, 0, 62, 7])
    with torch.no_grad():
        scores = method.head(method.top(method.trunk(levels(many)[indices])))
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([1, 0, 2, 3]))
    said = method.update(levels(many)[indices], indices, many.labels[indices], state)
    assert float(said["loss"]) == pytest.approx(float(expected), rel=1e-4)


def test_the_last_layer_has_no_momentum_and_one_learning_rate_throughout(many: InMemory) -> None:
    method = made(many, lr=0.03)
    body, head = (method.optimizers[key].param_groups[0] for key in ("body", "head"))
    assert (body["momentum"], head["momentum"]) == (0.9, 0)
    for fraction in (0.0, 0.5, 1.0):
        method.schedule(fraction)
        assert body["lr"] == head["lr"] == 0.03


def test_every_weight_moves(many: InMemory, state: TrainState) -> None:
    method = made(many)
    method.order(0, many, state)
    before = weights(method)
    updates(method, many, state, 2)  # in the first, the last layer is next to nothing
    assert not any(map(torch.equal, before, weights(method)))


def test_deepcluster_overfits_clusters_that_stay(pictures: InMemory, state: TrainState) -> None:
    method = made(pictures)
    method.assigned = pictures.labels // 2
    said = updates(method, pictures, state, 60)
    assert said[-1]["accuracy"] > 0.9 and said[0]["accuracy"] < 0.6


def test_epoch_after_epoch_its_clusters_agree_more(pictures: InMemory, state: TrainState) -> None:
    method, agreement = made(pictures), []
    for _ in range(6):
        list(epochs(method, pictures, state, 8, 1))
        agreement.append(method.end_epoch()["nmi"])
    assert agreement[0] == 0 and all(0 < value <= 1 + 1e-9 for value in agreement[1:])


def test_nmi_is_with_the_clusters_of_the_epoch_before_and_said_from_the_second_on(
    many: InMemory, state: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = np.arange(64) % 4, np.arange(64) // 16
    mixed = np.where(np.arange(64) < 40, first, second)
    cluster_as(monkeypatch, first, first, mixed)
    method, said = made(many), []
    for epoch in range(3):
        method.order(epoch, many, state)
        said.append(method.end_epoch()["nmi"])
    assert said == pytest.approx([0, 1, mutual_information(first, mixed)]) and 0.1 < said[2] < 0.9


# --- going on ------------------------------------------------------------------------------------


def test_clusters_travel_with_a_checkpoint_that_runs_no_code(
    many: InMemory, state: TrainState
) -> None:
    method = made(many)
    method.order(0, many, state)
    file = io.BytesIO()
    torch.save(method.state_dict(), file)
    file.seek(0)
    other = made(many)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.assigned, method.assigned) and other.assigned.dtype == torch.int64
    assert other.end_epoch() == method.end_epoch()
    orders = [one.order(1, many, state) for one in (method, other)]
    assert np.array_equal(*orders) and method.end_epoch() == other.end_epoch()


def test_before_the_first_epoch_there_is_nothing_to_travel(many: InMemory) -> None:
    other = made(many)
    other.load_state_dict(made(many).state_dict())
    assert len(other.assigned) == 0 and other.end_epoch() == {}
