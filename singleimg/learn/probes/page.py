"""What a probe leaves: its scores as JSON and CSV, every value it ran with, and a page of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from singleimg.config.command_line import replay, trusting
from singleimg.config.saved import run_text
from singleimg.dataset.recipe import versions
from singleimg.learn.probes.scores import (
    RunScore,
    over_seeds,
    percent,
    write_csv,
    write_json,
)
from singleimg.learn.training.page import called, flat
from singleimg.report.charts import Chart, Series, by_layer
from singleimg.report.results import Cell, ResultsPage, Section, Table, two_columns
from singleimg.storage.local import LocalStore

ACCURACY = "test accuracy of linear probes by layer"
SPREAD = "Mean over seeds ± standard deviation; of one seed no deviation is known."


def write_scores(
    folder: Path, name: str, scores: Sequence[RunScore], files: Sequence[Path], cfg: DictConfig
) -> Path:
    """``<name>.json``, ``.csv``, ``.yaml`` and ``.html`` into ``folder``; where the page is.

    files: the checkpoints, one for each of the scores.
    """
    store = LocalStore(folder)
    with store.errors():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{name}.json", scores)
        write_csv(folder / f"{name}.csv", scores)
        store.write(f"{name}.yaml", run_text(cfg))
        store.write(f"{name}.html", _page(folder, name, scores, files, cfg).html())
    return folder / f"{name}.html"


def _page(
    folder: Path, name: str, scores: Sequence[RunScore], files: Sequence[Path], cfg: DictConfig
) -> ResultsPage:
    data = scores[0].data
    page = ResultsPage(
        title=f"Linear probes on {data}",
        lead="A linear classifier after each convolution of a frozen trunk.",
    )
    page.facts = [
        ("data", data),
        ("probe", called(cfg.probe)),
        ("checkpoints", f"{len(files):,}"),
        ("seed of the probe", str(cfg.seed)),
    ]
    ten = any(layer.ten_crop is not None for one in scores for layer in one.layers)
    keys = {"accuracy": ACCURACY, **({"ten_crop": f"{ACCURACY}, ten crops"} if ten else {})}
    settings = OmegaConf.to_container(cfg.probe, resolve=True)
    labelled = OmegaConf.to_container(cfg.data, resolve=True)
    page.sections = [
        Section(
            "Accuracy by layer",
            said=[SPREAD],
            charts=[layer_chart(scores, key, said) for key, said in keys.items()],
            tables=[layer_table(scores, key, caption=f"In numbers: {said}, %")
                    for key, said in keys.items()],
        ),
        Section("Each run", tables=[runs_table(scores, files)]),
        Section("Settings", tables=[two_columns(("key", "value"),
                                                flat({"probe": settings, "data": labelled}))]),
        Section("The same again",
                commands=[replay(folder, *trusting(cfg.trusted_modules), name=name)]),
        Section("Made with", tables=[two_columns(("what", "version"),
                                                 list(versions(["torch"]).items()))]),
    ]  # fmt: skip
    return page


def layer_names(scores: Sequence[RunScore]) -> list[str]:
    """Of all layers that any of these runs was probed at."""
    return [f"conv{k}" for k in sorted({layer.layer for one in scores for layer in one.layers})]


def layer_chart(
    scores: Sequence[RunScore], key: str = "accuracy", caption: str = ACCURACY
) -> Chart:
    """A line for each row through its means, with error bars, and every run as a dot.

    Rows whose names are the same up to a comma share a colour.
    """
    layers = layer_names(scores)
    series = []
    for row, cells in over_seeds(scores, key).items():
        runs = [one for one in scores if one.row == row]
        places = [layers.index(f"conv{layer.layer}") for layer in runs[0].layers]
        dots = [
            (place, 100 * getattr(layer, key))
            for one in (runs if len(runs) > 1 else ())
            for place, layer in zip(places, one.layers, strict=True)
        ]
        errors = [None if deviation is None else 100 * deviation for _, deviation in cells]
        means = [100 * mean for mean, _ in cells]
        series.append(Series(row, places, means, errors, dots, row.partition(",")[0]))
    return by_layer(caption, layers, series, "%")


def layer_table(
    scores: Sequence[RunScore],
    key: str = "accuracy",
    caption: str = "",
    more: Mapping[str, Mapping[str, Cell]] | None = None,
) -> Table:
    """A line a row, a column a layer, and how many seeds; ``more``: columns, a cell a row."""
    layers, more = layer_names(scores), more or {}
    rows = []
    for row, cells in over_seeds(scores, key).items():
        runs = [one for one in scores if one.row == row]
        at = {f"conv{layer.layer}": cell for layer, cell in zip(runs[0].layers, cells, strict=True)}
        shown = [Cell(percent(at[k]), at[k][0]) if k in at else Cell("–") for k in layers]
        others = [column[row] for column in more.values()]
        rows.append([Cell(row), *shown, Cell(str(len(runs)), len(runs)), *others])
    return Table(["row", *layers, "seeds", *more], rows, caption)


def runs_table(scores: Sequence[RunScore], files: Sequence[Path] = ()) -> Table:
    """A line for each layer of each run, with the learning rate that was chosen for it."""
    numbers: dict[str, Any] = {"accuracy, %": "accuracy", "on held-out images, %": "validation",
                               "ten crops, %": "ten_crop"}  # fmt: skip
    known = {
        head: key
        for head, key in numbers.items()
        if any(getattr(layer, key) is not None for one in scores for layer in one.layers)
    }
    rows = []
    for place, one in enumerate(scores):
        for layer in one.layers:
            values = [getattr(layer, key) for key in known.values()]
            rows.append([
                Cell(one.row), Cell(str(one.seed), one.seed),
                Cell(f"conv{layer.layer}"),
                *(Cell("–") if v is None else Cell(f"{100 * v:.2f}", v) for v in values),
                Cell("–") if layer.lr is None else Cell(f"{layer.lr:g}", layer.lr),
                *([Cell(str(files[place]))] if files else []),
            ])  # fmt: skip
    heads = ["row", "seed", "layer", *known, "learning rate", *(["checkpoint"] if files else [])]
    return Table(heads, rows)
