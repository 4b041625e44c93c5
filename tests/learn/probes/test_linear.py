"""Probes, against torch's own linear layer, SGD and BatchNorm."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from singleimg.learn.probes.linear import Probe, Standard, measure_accuracy

WIDTH, CLASSES, BATCH = 12, 3, 32


def probe(lrs: list[float], seed: int = 0) -> Probe:
    return Probe(
        WIDTH, CLASSES, lrs, momentum=0.9, penalty=0.02, deviation=0.1,
        generator=torch.Generator().manual_seed(seed), device=torch.device("cpu"),
    )  # fmt: skip


def batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    random = torch.Generator().manual_seed(1)
    return [
        (5 + 3 * torch.randn(BATCH, WIDTH, generator=random),
         torch.randint(CLASSES, (BATCH,), generator=random))
        for _ in range(count)
    ]  # fmt: skip


def cosine(step: int, total: int) -> float:
    return (1 + math.cos(math.pi * step / total)) / 2


def test_it_is_a_linear_layer_trained_by_sgd():
    ours = probe([0.05])
    linear = nn.Linear(WIDTH, CLASSES)
    with torch.no_grad():
        linear.weight.copy_(ours.weight)
        linear.bias.zero_()
    optimizer = torch.optim.SGD([
        {"params": linear.weight, "weight_decay": 0.02}, {"params": linear.bias}
    ], 0.05, momentum=0.9)  # fmt: skip
    for step, (features, labels) in enumerate(batches(30)):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * cosine(step, 30)
        loss = nn.functional.cross_entropy(linear(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ours.step(features, labels, cosine(step, 30))
    assert torch.allclose(ours.weight, linear.weight, atol=1e-4)
    assert torch.allclose(ours.bias, linear.bias, atol=1e-5)
    features = batches(31)[-1][0]
    assert torch.allclose(ours.scores(features)[:, 0], linear(features), atol=1e-3)


def test_features_are_standardised_as_by_batchnorm_without_affine():
    features = 5 + 3 * torch.randn(2, 1500, WIDTH, generator=torch.Generator().manual_seed(1))
    features[..., 3] = 0.0  # as of a channel that no image activates
    features[..., 4] += 1e3
    norm = nn.BatchNorm1d(WIDTH, affine=False, momentum=None).double()
    norm(features.view(-1, WIDTH).double())
    norm.running_var *= 2999 / 3000  # torch keeps the unbiased one
    others = torch.randn(7, WIDTH) * 4
    expected = norm.eval()(others.double()).float()
    standard = Standard(features)
    assert torch.allclose(standard.apply(others), expected, atol=1e-3)
    whole = standard.apply(features).view(-1, WIDTH)
    spread = torch.tensor([k != 3 for k in range(WIDTH)]).float()
    assert torch.allclose(whole.mean(0), torch.zeros(WIDTH), atol=1e-3)
    assert torch.allclose(whole.std(0), spread, atol=1e-3)


def test_learning_rates_side_by_side_are_those_alone():
    together, alone = probe([0.01, 0.1]), [probe([0.01]), probe([0.1])]
    for features, labels in batches(20):
        together.step(features, labels, 1.0)
        for one in alone:
            one.step(features, labels, 1.0)
    scores = together.scores(batches(1)[0][0])
    for place, one in enumerate(alone):
        assert torch.allclose(scores[:, place], one.scores(batches(1)[0][0])[:, 0], atol=1e-4)


def test_correct_counts_each_learning_rate_by_itself():
    one = probe([0.0, 0.0])
    one.bias = torch.tensor([1.0, 0, 0, 0, 1, 0])  # the first says class 0, the second class 1
    one.weight.zero_()
    labels = torch.tensor([0, 0, 0, 1, 2])
    said = measure_accuracy(one, torch.randn(5, WIDTH), labels)
    assert said.tolist() == pytest.approx([0.6, 0.2])


def test_each_of_several_learning_rates_is_trained_as_torch_does() -> None:
    """From the same weights, beside one another."""
    lrs = [0.003, 0.03, 0.3]
    ours = probe(lrs)
    theirs = []
    for lr in lrs:
        linear = nn.Linear(WIDTH, CLASSES)
        with torch.no_grad():
            linear.weight.copy_(ours.weight[:CLASSES])
            linear.bias.zero_()
        weight = {"params": linear.weight, "weight_decay": 0.02}
        theirs.append(
            (linear, torch.optim.SGD([weight, {"params": linear.bias}], lr, momentum=0.9))
        )
    for features, labels in batches(12):
        for linear, optimizer in theirs:
            optimizer.zero_grad()
            nn.functional.cross_entropy(linear(features), labels).backward()
            optimizer.step()
        ours.step(features, labels, 1.0)
    features = batches(13)[-1][0]
    said = ours.scores(features)
    for place, (linear, _) in enumerate(theirs):
        rows = slice(place * CLASSES, (place + 1) * CLASSES)
        assert torch.allclose(ours.weight[rows], linear.weight, atol=1e-4)
        assert torch.allclose(ours.bias[rows], linear.bias, atol=1e-4)
        assert torch.allclose(said[:, place], linear(features), atol=1e-3)


def test_a_batch_is_left_as_it_was() -> None:
    ((features, labels),) = batches(1)
    before = features.clone()
    one = probe([0.1])
    one.step(features, labels, 1.0)
    measure_accuracy(one, features, labels)
    assert torch.equal(features, before)


def test_weights_begin_at_the_given_deviation_the_same_for_each_learning_rate() -> None:
    made = Probe(
        4000, 5, [0.1, 0.2], momentum=0.9, penalty=0, deviation=0.02,
        generator=torch.Generator().manual_seed(0), device=torch.device("cpu"),
    )  # fmt: skip
    assert made.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert torch.equal(made.weight[:5], made.weight[5:]) and not made.bias.any()
    assert not torch.equal(probe([0.1], 0).weight, probe([0.1], 1).weight)


def test_a_fraction_of_zero_changes_nothing() -> None:
    one = probe([0.1])
    weight = one.weight.clone()
    one.step(*batches(1)[0], 0.0)
    assert torch.equal(one.weight, weight) and not one.bias.any()


def test_what_is_correct_is_counted_over_all_parts() -> None:
    one = probe([0.01, 0.3])
    many = batches(70)
    for features, labels in many[:5]:
        one.step(features, labels, 1.0)
    features, labels = (torch.cat(parts) for parts in zip(*many, strict=True))
    assert len(features) > 2000
    whole = (one.scores(features).argmax(2) == labels[:, None]).float().mean(0)
    assert torch.allclose(measure_accuracy(one, features, labels), whole)
