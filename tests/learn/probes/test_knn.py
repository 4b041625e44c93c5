"""Nearest neighbours, against scikit-learn's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from singleimg.errors import UserError
from singleimg.learn.probes.images import split
from singleimg.learn.probes.knn import Nearest, vote
from tests.learn.probes.test_cached import NETWORK, toy, trunk


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([1, 3, 5]), st.integers(2, 6))
def test_it_votes_as_scikit_learn_does(seed: int, k: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    known, asked = random.normal(size=(60, 8)), random.normal(size=(700, 8))
    known *= random.uniform(0.1, 10, (60, 1))  # lengths do not matter
    labels = random.integers(classes, size=60)
    theirs = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(known, labels)
    ours = vote(torch.tensor(known), torch.tensor(labels), torch.tensor(asked), k, classes).numpy()
    chances = theirs.predict_proba(asked)
    sure = np.sort(chances, 1)[:, -1] > np.sort(chances, 1)[:, -2] + 1e-9
    assert sure.any()
    assert (ours[sure] == theirs.classes_[chances.argmax(1)][sure]).all()


def test_of_two_classes_with_as_many_votes_the_nearer_wins() -> None:
    known = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    labels = torch.tensor([0, 0, 1, 1])
    assert vote(known, labels, torch.tensor([[1.0, 0.9], [0.9, 1.0]]), 4, 2).tolist() == [0, 1]


def test_classes_that_are_easily_told_are_told_at_each_layer() -> None:
    said = Nearest(k=5).run(trunk(), NETWORK, toy(), device=torch.device("cpu"))
    assert [one.layer for one in said] == [1, 2, 3, 4]
    assert said[0].accuracy > 0.9 and min(one.accuracy for one in said) > 0.6
    assert all(one.lr is None and one.validation is None for one in said)


def test_scored_on_validation_images_it_reads_no_test_image_and_asks_none_that_it_knows() -> None:
    data = toy(contrast=0)
    data.tested.seen.clear()
    (said,) = Nearest(k=1, scored_on="validation").run(
        trunk(), NETWORK, data, device=torch.device("cpu"), layers=[3]
    )
    assert data.tested.seen == []
    assert said.layer == 4 and said.accuracy < 0.9  # 1.0, if it knew what it is asked
    _, held = split(torch.tensor(data.trained.targets), 0.1)
    assert said.accuracy * len(held) == pytest.approx(round(said.accuracy * len(held)))


def test_more_neighbours_than_images_are_refused() -> None:
    with pytest.raises(UserError) as mistake:
        Nearest(k=31).run(trunk(), NETWORK, toy(train=10), device=torch.device("cpu"))
    assert str(mistake.value) == (
        "probe.k=31 is more than the 30 images there are: type a smaller number."
    )


def test_mistakes_in_its_settings() -> None:
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(UserError, match=rf"^probe\.k={wrong} is not a number of images: type"):
            replace(Nearest(), k=wrong)
    with pytest.raises(UserError) as mistake:
        Nearest(scored_on="train")
    assert str(mistake.value) == (
        "probe.scored_on=train is not one of test, validation: type probe.scored_on=test, or "
        "probe.scored_on=validation to read no test image."
    )
