"""The page of a study, from its record and the folders of its rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from singleimg.config.command_line import replay, trusting
from singleimg.dataset.target import PAGE
from singleimg.errors import UserError
from singleimg.learn.probes.page import SPREAD, layer_chart, layer_names, layer_table
from singleimg.learn.probes.scores import LayerScore, RunScore
from singleimg.learn.study.design import Row
from singleimg.learn.study.report import RECORD
from singleimg.learn.training.page import FILTERS, curves_of_runs, last_pictures
from singleimg.report.results import Cell, Picture, ResultsPage, Section, Table, two_columns
from singleimg.storage.local import LocalStore

ROWS = "rows"  # the folder of the rows' own folders
_TABLES = {
    "rows": "Rows",
    "ablation": "Augmentations of the one image",
}  # of the record, and what stands above each


def write_page(folder: Path, trusted_modules: Sequence[str] = ()) -> Path:
    """Writes ``report.html`` beside the record of a study; where."""
    store = LocalStore(folder)
    html = study_page(folder, trusted_modules).html()
    with store.errors():
        store.write(PAGE, html)
    return folder / PAGE


def study_page(folder: Path, trusted_modules: Sequence[str] = ()) -> ResultsPage:
    """The page of the study in ``folder``; UserError when its record cannot be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return _page(folder, record, trusted_modules)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / RECORD} cannot be read as the record of a study ({error}): type the "
            "command of the study again, which makes no row twice."
        ) from None


def _page(folder: Path, record: dict[str, Any], trusted_modules: Sequence[str]) -> ResultsPage:
    home = folder if (folder / ROWS).is_dir() else folder.parent  # some parts have their own folder
    groups = {title: record[key] for key, title in _TABLES.items() if record[key]}
    everyone = [one for group in groups.values() for one in group]
    rows = {one["row"]["name"] for one in everyone}
    page = ResultsPage(
        title=f"Study on {record['data']}",
        lead=f"{len(rows):,} rows: trainings of {record['network']}, each with linear probes after "
        f"every convolution on {record['data']}.",
    )
    page.facts = [
        ("data", record["data"]),
        ("network", record["network"]),
        ("probe", record["probe"]),
        ("budget", record["budget"]),
        ("rows", f"{len(rows):,}"),
        ("runs", f"{len(_folders(home, everyone)):,}"),
    ]
    findings = [
        [Cell(one["letter"]), Cell(one["said"]), Cell(one["verdict"]), Cell(one["numbers"])]
        for one in record["findings"]
    ]
    parts = ",".join(record["parts"])
    page.sections = [
        *(_group(title, group) for title, group in groups.items()),
        Section("Findings", said=[record["control"]], tables=[
            Table(("question", "statement", "verdict", "numbers, points"), findings)
        ] if findings else []),
        Section("Earlier in the trainings", tables=_early(everyone)),
        Section("What was not run", items=record["not_run"]),
        Section("First-layer filters", pictures=_filters(home, everyone)),
        Section("Curves of the trainings", parts=_curves(home, everyone)),
        Section("Each run", tables=[_runs(everyone)]),
        Section("Commands of the rows", tables=[_commands(everyone)]),
        Section("The same again", commands=[
            replay(home, f"task.parts=[{parts}]", "targetpath=elsewhere",
                   *trusting(trusted_modules))
        ]),
        Section("Made with", tables=[
            two_columns(("what", "version"), list(record["made_with"].items()))
        ]),
    ]  # fmt: skip
    return page


def _group(title: str, made: Sequence[dict[str, Any]]) -> Section:
    """A table of rows by layers with their minutes, and its figure."""
    scores = [_score(one) for one in made]
    minutes = {}
    for name in dict.fromkeys(score.row for score in scores):
        spent = mean(one["minutes"] for one in made if one["row"]["name"] == name)
        minutes[name] = Cell(f"{spent:.1f}", spent)
    table = layer_table(scores, caption="In numbers, %", more={"minutes a run": minutes})
    return Section(title, said=[SPREAD], charts=[layer_chart(scores)], tables=[table])


def _early(made: Sequence[dict[str, Any]]) -> list[Table]:
    """A table of the probes that were made before the end: a line for each row and moment."""
    scores = [
        replace(_score({"score": score}), row=f"{score['row']}, at {float(part):.0%}")
        for one in made
        for part, score in one["early"].items()
    ]
    unique = list(dict.fromkeys(scores))  # a row that stands in two tables is here once
    caption = "Test accuracy when a part of the training's updates was done, %"
    return [layer_table(unique, caption=caption)] if unique else []


def _score(one: dict[str, Any]) -> RunScore:
    score = one["score"]
    layers = tuple(LayerScore(**layer) for layer in score["layers"])
    return RunScore(score["row"], score["seed"], score["data"], layers)


def _row(one: dict[str, Any]) -> Row:
    return Row(**{**one["row"], "overrides": tuple(one["row"]["overrides"])})


def _folders(home: Path, made: Sequence[dict[str, Any]]) -> dict[Row, Path]:
    """Of the rows that have a folder: one that stands in two tables has it under its first name."""
    found = {row: home / ROWS / row.folder for row in map(_row, made)}
    return {row: folder for row, folder in found.items() if folder.is_dir()}


def _filters(home: Path, made: Sequence[dict[str, Any]]) -> list[Picture]:
    """Of the first seed of each row the filters at its end."""
    pictures: dict[str, Picture] = {}
    for row, folder in _folders(home, made).items():
        found = last_pictures(folder).get(FILTERS)
        if found and row.name not in pictures:
            text = f"Filters of the first convolution of {row.label}"
            pictures[row.name] = Picture(found[1], text, row.label)
    return list(pictures.values())


def _curves(home: Path, made: Sequence[dict[str, Any]]) -> list[Section]:
    """A section for each row: its curves, a line for each seed."""
    runs: dict[str, dict[str, Path]] = {}
    for row, folder in _folders(home, made).items():
        runs.setdefault(row.name, {})[f"seed {row.seed}"] = folder
    parts = [Section(name, charts=curves_of_runs(folders)) for name, folders in runs.items()]
    return [part for part in parts if part.charts]


def _runs(made: Sequence[dict[str, Any]]) -> Table:
    """A line a run: accuracies by layer, the learning rates that were chosen, minutes."""
    layers = layer_names([_score(one) for one in made])
    rows = []
    for one in made:
        at = {f"conv{layer.layer}": layer for layer in _score(one).layers}
        there = [at.get(name) for name in layers]
        rows.append([
            Cell(one["row"]["name"]),
            Cell(str(one["row"]["seed"]), one["row"]["seed"]),
            *(Cell("–") if k is None else Cell(f"{100 * k.accuracy:.2f}", k.accuracy)
              for k in there),
            *(Cell("–") if k is None else Cell(f"{k.lr:g}", k.lr) for k in there),
            Cell(f"{one['minutes']:.1f}", one["minutes"]),
        ])  # fmt: skip
    rates = [f"lr {name}" for name in layers]
    return Table(("row", "seed", *layers, *rates, "minutes"), rows,
                 "Test accuracy, %; the learning rate of each probe; minutes")  # fmt: skip


def _commands(made: Sequence[dict[str, Any]]) -> Table:
    """What is typed after ``task=pretrain`` for each row's first seed."""
    first: dict[str, str] = {}
    for row in map(_row, made):
        first.setdefault(row.name, " ".join(row.overrides))
    return two_columns(("row", "task=pretrain …, first seed"), list(first.items()))
