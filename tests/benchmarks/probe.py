"""The linear probe against scikit-learn's logistic regression, on the same features.

``python -m tests.benchmarks.probe --checkpoint A B --data FOLDER``: of each checkpoint, at conv2
and conv4, 5,000 training images and their mirror images, standardised as the probe has them; the
best C and the best learning rate by the same held-out tenth; then both on all test images.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from singleimg.config.compose import compose
from singleimg.config.make import instantiate
from singleimg.learn.probes.features import FeatureExtractor, extract
from singleimg.learn.probes.images import split, split_images
from singleimg.learn.probes.linear import Standard
from singleimg.learn.training.trunk import load_method

IMAGES, LAYERS, CPU = 5000, [1, 3], torch.device("cpu")
COSTS = 10.0 ** np.arange(-5.5, -0.9, 0.5)  # C of scikit-learn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", nargs="+", required=True)
    parser.add_argument("--data", required=True, help="CIFAR-10 as a folder of classes")
    asked = parser.parse_args()
    cfg = compose("task=probe", "data=imagefolder", f"data.path={asked.data}")
    data, probe = instantiate(cfg, "data"), replace(instantiate(cfg, "probe"), images=IMAGES)
    print("| checkpoint | layer | probe | scikit-learn | difference | rate | C |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for checkpoint in asked.checkpoint:
        method, network, _ = load_method(checkpoint)
        train, number = split_images(data, "train", network.size, IMAGES)
        test, _ = split_images(data, "test", network.size, None)
        extractor = FeatureExtractor(method.trunk, network, LAYERS)
        known = extract(extractor, train, network.size, CPU, mirrored=True)
        asked_of = extract(extractor, test, network.size, CPU)
        fitted, _ = split(train.labels, probe.held_out)
        for layer, kept, tested in zip(LAYERS, known, asked_of, strict=True):
            standard = Standard(kept)
            standard.apply(kept)
            standard.apply(tested)
            ours = probe.choose([kept], train.labels, number, CPU, 0)
            rate, _ = ours[0]
            (one,) = probe.fit([kept], train.labels, number, np.arange(IMAGES), [[rate]], CPU, 0)
            right = float((one.scores(tested[0]).argmax(2)[:, 0] == test.labels).float().mean())
            cost = best(kept, train.labels, fitted)
            theirs = logistic(kept, train.labels, np.arange(IMAGES), cost)
            their = theirs.score(tested[0].numpy(), test.labels.numpy())
            cells = [checkpoint, f"conv{layer + 1}", f"{100 * right:.2f}", f"{100 * their:.2f}",
                     f"{100 * (right - their):+.2f}", f"{rate:g}", f"{cost:.2g}"]  # fmt: skip
            print(f"| {' | '.join(cells)} |", flush=True)


def logistic(
    features: torch.Tensor, labels: torch.Tensor, rows: np.ndarray, cost: float
) -> LogisticRegression:
    """Fitted on both views of these rows."""
    views = features[:, torch.from_numpy(rows)].flatten(0, 1).numpy()
    twice = labels.numpy()[rows]
    return LogisticRegression(C=cost, max_iter=2000).fit(views, np.concatenate([twice, twice]))


def best(features: torch.Tensor, labels: torch.Tensor, fitted: np.ndarray) -> float:
    """The C of which the held-out images say the most."""
    held = np.setdiff1d(np.arange(len(labels)), fitted)
    scores = [
        logistic(features, labels, fitted, cost).score(
            features[0, torch.from_numpy(held)].numpy(), labels.numpy()[held]
        )
        for cost in COSTS
    ]
    return float(COSTS[int(np.argmax(scores))])


if __name__ == "__main__":
    main()
