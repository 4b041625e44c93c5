"""What a study leaves: the table as CSV, JSON and Markdown, the figure, the findings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from singleimg.learn.probes.chart import draw_layers, make_figure
from singleimg.learn.probes.scores import over_seeds, table, write_csv
from singleimg.learn.study.design import (
    FULL,
    METHODS,
    ONE,
    RANDOM,
    RANDOM_CRITIC,
    SUPERVISED,
    table_name,
)
from singleimg.learn.study.findings import Finding
from singleimg.learn.study.row_run import RowResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TABLE, SCORES, FIGURE, RECORD = "table.md", "scores.csv", "figure.png", "study.json"


def write(
    folder: Path, made: Sequence[RowResult], ablation: Sequence[RowResult], said: Sequence[Finding],
    control: str,
) -> str:  # fmt: skip
    """All of it into ``folder``; gives the text of ``table.md``."""
    text = "\n".join([
        control,
        "",
        table_with_minutes(made),
        *(["", "Augmentations (DeepCluster, one image):", "", table_with_minutes(ablation)]
          if ablation else []),
        "",
        *(f"- {finding}" for finding in said),
        "",
    ])  # fmt: skip
    scores = [one.score for one in made]
    folder.mkdir(exist_ok=True)
    (folder / TABLE).write_text(text, encoding="utf-8")
    write_csv(folder / SCORES, [*scores, *(one.score for one in ablation)])
    record = {
        "control": control,
        "rows": [_plain(one) for one in made],
        "ablation": [_plain(one) for one in ablation],
        "findings": [asdict(finding) for finding in said],
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    draw(folder / FIGURE, made, ablation)
    return text


def _plain(made: RowResult) -> dict:
    return {**asdict(made), "early": {f"{k:.2f}": asdict(v) for k, v in made.early.items()}}


def table_with_minutes(made: Sequence[RowResult]) -> str:
    """The table of scores, with the mean minutes of a run of each row."""
    lines = table([one.score for one in made]).splitlines()
    minutes: dict[str, list[float]] = {}
    for one in made:
        minutes.setdefault(one.row.name, []).append(one.minutes)
    lines[0] += " minutes a run |"
    lines[1] += "---:|"
    for place, values in enumerate(minutes.values()):
        lines[2 + place] += f" {mean(values):.1f} |"
    return "\n".join(lines)


def draw(file: Path, made: Sequence[RowResult], ablation: Sequence[RowResult]) -> None:
    """Left the rows by layer, right the augmentations."""
    picture = make_figure(11 if ablation else 6, 5)
    left, *right = picture.subplots(1, 2 if ablation else 1, squeeze=False)[0]
    draw_layers(left, [one.score for one in made], _styles())
    left.set_title("one image, the full set, and none", fontsize=10)
    if ablation:
        _draw_ablation(right[0], ablation)
    picture.savefig(file)


def _styles() -> dict[str, dict]:
    styles = {
        RANDOM: {"color": "0.5", "linestyle": ":"},
        RANDOM_CRITIC: {"color": "0.7", "linestyle": ":"},
        SUPERVISED: {"color": "0.0", "linestyle": "-."},
    }
    for place, method in enumerate(METHODS):
        styles[table_name(method, ONE)] = {"color": f"C{place}"}
        styles[table_name(method, FULL)] = {"color": f"C{place}", "linestyle": "--"}
    return styles


def _draw_ablation(axes: Axes, ablation: Sequence[RowResult]) -> None:
    means = over_seeds([one.score for one in ablation])
    layers = len(next(iter(means.values())))
    width = 0.8 / layers
    for layer in range(layers):
        heights = [100 * cells[layer][0] for cells in means.values()]
        errors = [100 * (cells[layer][1] or 0) for cells in means.values()]
        positions = [row + (layer - (layers - 1) / 2) * width for row in range(len(means))]
        axes.errorbar(positions, heights, errors, fmt="o", markersize=4, label=f"conv{layer + 1}")
    axes.set_xticks(range(len(means)), means, rotation=30, ha="right", fontsize=8)
    axes.set_title("augmentations of the one image, DeepCluster", fontsize=10)
    axes.legend(fontsize=7, loc="lower right")
    axes.grid(axis="y", alpha=0.3)
