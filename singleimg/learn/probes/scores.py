"""What probes say: a score of each layer, of each run, and over seeds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

from singleimg.errors import UserError
from singleimg.storage.local import LocalStore


@dataclass(frozen=True)
class LayerScore:
    """layer: 1 … . accuracy: on the images that were asked for, 0 … 1. lr: the learning rate that
    was chosen, by its accuracy on held-out training images, ``validation``; None: nothing is
    learned. ten_crop: mean of ten crops, or None.
    """

    layer: int
    accuracy: float
    lr: float | None
    validation: float | None = None
    ten_crop: float | None = None


@dataclass(frozen=True)
class RunScore:
    """row: what runs that differ in their seed alone have in common."""

    row: str
    seed: int
    data: str
    layers: tuple[LayerScore, ...]


def write_json(file: Path, scores: Sequence[RunScore]) -> None:
    """All runs, written whole or not at all."""
    LocalStore(file.parent).write(
        file.name, json.dumps([asdict(score) for score in scores], indent=2) + "\n"
    )


def read_json(file: Path) -> list[RunScore]:
    """What :func:`write_json` wrote."""
    try:
        runs = json.loads(file.read_text(encoding="utf-8"))
        if not runs:
            raise ValueError("it holds none")
        return [
            RunScore(one["row"], one["seed"], one["data"],
                     tuple(LayerScore(**layer) for layer in one["layers"]))
            for one in runs
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} cannot be read as scores ({error}): remove it.") from None


def write_csv(file: Path, scores: Sequence[RunScore]) -> None:
    """A line a run and layer."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "seed", "data", *LayerScore.__dataclass_fields__])
    for score in scores:
        for layer in score.layers:
            writer.writerow([score.row, score.seed, score.data, *asdict(layer).values()])
    LocalStore(file.parent).write(file.name, text.getvalue())


def over_seeds(
    scores: Sequence[RunScore], key: str = "accuracy"
) -> dict[str, list[tuple[float, float | None]]]:
    """For each row and layer the mean over seeds, and the standard deviation (None of one seed).

    key: ``accuracy``, or another field of a LayerScore that all of them have.
    """
    rows: dict[str, list[RunScore]] = {}
    for score in scores:
        rows.setdefault(score.row, []).append(score)
    return {
        row: [
            spread([getattr(score.layers[place], key) for score in runs])
            for place in range(len(runs[0].layers))
        ]
        for row, runs in rows.items()
    }


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean, and standard deviation of a sample."""
    return mean(values), stdev(values) if len(values) > 1 else None


def table(scores: Sequence[RunScore], key: str = "accuracy") -> str:
    """Markdown: a line a row, accuracy in percent, mean ± standard deviation over seeds."""
    means = over_seeds(scores, key)
    layers = max(len(cells) for cells in means.values())
    lines = ["| | " + " | ".join(f"conv{k + 1}" for k in range(layers)) + " | seeds |",
             "|---|" + "---:|" * (layers + 1)]  # fmt: skip
    for row, cells in means.items():
        seeds = sum(score.row == row for score in scores)
        lines.append("| " + " | ".join([row, *map(percent, cells)]) + " |"
                     + " |" * (layers - len(cells)) + f" {seeds} |")  # fmt: skip
    return "\n".join(lines)


def percent(cell: tuple[float, float | None]) -> str:
    """``54.7 ± 0.3``."""
    value, deviation = cell
    return f"{100 * value:.1f}" + ("" if deviation is None else f" ± {100 * deviation:.1f}")
