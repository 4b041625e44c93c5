"""The page of a study, from its record and the folders of its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from singleimg.config.command_line import replay, trusting
from singleimg.dataset.target import PAGE
from singleimg.errors import UserError
from singleimg.learn.probes.page import ACCURACY, SPREAD, layer_chart, layer_names, layer_table
from singleimg.learn.probes.scores import LayerScore, RunScore, percent
from singleimg.learn.study.design import HALF, Row, student_name
from singleimg.learn.study.findings import FAILS, HOLDS
from singleimg.learn.study.report import RECORD, TITLES, facts_over_seeds, scores_of
from singleimg.learn.study.row_run import RowResult
from singleimg.learn.training.page import FILTERS, curves_of_runs, last_pictures
from singleimg.report.charts import Chart, Series, by_layer
from singleimg.report.results import Cell, Picture, ResultsPage, Section, Table, two_columns
from singleimg.storage.local import LocalStore

ROWS = "rows"  # the folder of the rows' own folders
_WHY = (
    "What tells why, %: kNN is the share of images that their 20 nearest neighbours at the last "
    "layer name rightly; pretext is the share of right answers to the method's own question"
)
FACTS_SAID = {
    "table": _WHY,
    "ablation": _WHY,
    "choices": _WHY,
    "students": "Accuracy of student and teacher, and how often they say the same, %",
}  # above the second table of each part


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
    parts = {part: [_result(one) for one in rows] for part, rows in record["rows"].items() if rows}
    everyone = [one for made in parts.values() for one in made]
    rows = {one.row.name for one in everyone}
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
    page.sections = [
        *(_group(part, made) for part, made in parts.items()),
        _findings(record),
        Section("What was not run", items=record["not_run"]),
        Section("First-layer filters", pictures=_filters(home, everyone)),
        Section("Curves of the trainings", parts=_curves(home, everyone)),
        Section("Each run", tables=[_runs(everyone)]),
        Section("Commands of the rows", tables=[_commands(everyone)]),
        Section("The same again", commands=[
            replay(home, f"task.parts=[{','.join(parts)}]", "targetpath=elsewhere",
                   *trusting(trusted_modules))
        ]),
        Section("Made with", tables=[
            two_columns(("what", "version"), list(record["made_with"].items()))
        ]),
    ]  # fmt: skip
    return page


def _result(one: dict[str, Any]) -> RowResult:
    """A row as it stands in the record."""
    row = Row(**{**one["row"], "overrides": tuple(one["row"]["overrides"])})
    scores = [
        score and RunScore(score["row"], score["seed"], score["data"],
                           tuple(LayerScore(**layer) for layer in score["layers"]))
        for score in (one["score"], one["recomputed"])
    ]  # fmt: skip
    return RowResult(row, *scores, one["facts"], one["minutes"])


def _group(part: str, made: Sequence[RowResult]) -> Section:
    """A part: its figures, the accuracies of its rows by layer, and what else is known of them."""
    scores = [score for one in made for score in scores_of(one)]
    section = Section(TITLES[part], said=[SPREAD])
    if scores:
        minutes = {score.row: Cell("") for score in scores}
        for name in dict.fromkeys(one.row.name for one in made):
            spent = mean(one.minutes for one in made if one.row.name == name)
            minutes[name] = Cell(f"{spent:.1f}", spent)
        whole = [one for one in scores if not one.row.endswith(f", {HALF}")]
        section.charts = [layer_chart(whole, caption=ACCURACY)]
        paired = [one for one in scores if one.row.removesuffix(f", {HALF}") + f", {HALF}"
                  in {other.row for other in scores}]  # fmt: skip
        if paired:
            section.charts.append(layer_chart(paired, caption="at all updates, and at half"))
        section.tables = [
            layer_table(scores, caption="In numbers, %", more={"minutes a run": minutes})
        ]
    names, facts = facts_over_seeds(made)
    if facts:
        cells = [
            [Cell(row), *(Cell(percent(known[name]), known[name][0]) if name in known
                          else Cell("–") for name in names)]
            for row, known in facts.items()
        ]  # fmt: skip
        section.tables.append(Table(("row", *names), cells, FACTS_SAID[part]))
    if part == "students":
        section.charts.append(_students(facts))
    return section


def _students(facts: Mapping[str, Mapping[str, tuple[float, float | None]]]) -> Chart:
    """Accuracy by source, and that of the teacher."""
    rows = [row for row, known in facts.items() if "student" in known]
    series = []
    for place, name in enumerate(("student", "teacher")):
        cells = [facts[row][name] for row in rows]
        errors = [None if deviation is None else 100 * deviation for _, deviation in cells]
        means = [100 * value for value, _ in cells]
        series.append(Series(name, list(range(len(rows))), means, errors, [], str(place)))
    sources = [row.removeprefix(student_name("")) for row in rows]
    return by_layer("test accuracy of students by the picture they saw", sources, series, "%")


def _findings(record: dict[str, Any]) -> Section:
    """The verdicts, and what they do not cover."""
    rows = [
        [Cell(one["letter"]), Cell(one["said"]), Cell(one["verdict"]), Cell(one["numbers"]),
         Cell("–") if one["resolves"] is None else Cell(f"{one['resolves']:.1f}", one["resolves"])]
        for one in record["findings"]
    ]  # fmt: skip
    heads = ("question", "statement", "verdict", "numbers, points", "could be resolved, points")
    decided = sum(one["verdict"] in (HOLDS, FAILS) for one in record["findings"])
    said = [record["control"]]
    if rows:
        said += [
            f"{len(rows)} statements were tested, of which {decided} are decided. They and the "
            "rules by which they are judged were fixed before the rows were made.",
            "Differences are of pairs of runs with the same seed; ± is the half-width of their "
            "one-sided 95 % interval, which is also the smallest difference that could have been "
            "resolved. Seeds cover renderings, initial weights and order; they do not cover the "
            "choice of the picture.",
        ]
    return Section("Findings", said=said, tables=[Table(heads, rows)] if rows else [])


def _folders(home: Path, made: Sequence[RowResult]) -> dict[Row, Path]:
    """Of the rows that have a folder."""
    found = {one.row: home / ROWS / one.row.folder for one in made}
    return {row: folder for row, folder in found.items() if folder.is_dir()}


def _filters(home: Path, made: Sequence[RowResult]) -> list[Picture]:
    """Of the first seed of each row the filters at its end."""
    pictures: dict[str, Picture] = {}
    for row, folder in _folders(home, made).items():
        found = last_pictures(folder).get(FILTERS)
        if found and row.name not in pictures:
            text = f"Filters of the first convolution of {row.label}"
            pictures[row.name] = Picture(found[1], text, row.label)
    return list(pictures.values())


def _curves(home: Path, made: Sequence[RowResult]) -> list[Section]:
    """A section for each row: its curves, a line for each seed."""
    runs: dict[str, dict[str, Path]] = {}
    for row, folder in _folders(home, made).items():
        runs.setdefault(row.name, {})[f"seed {row.seed}"] = folder
    parts = [Section(name, charts=curves_of_runs(folders)) for name, folders in runs.items()]
    return [part for part in parts if part.charts]


def _runs(made: Sequence[RowResult]) -> Table:
    """A line a run: accuracies by layer, the learning rates that were chosen, minutes."""
    probed = [one for one in made if one.score is not None]
    layers = layer_names([one.score for one in probed if one.score])
    rows = []
    for one in made:
        known = one.score.layers if one.score else ()
        at = {f"conv{layer.layer}": layer for layer in known}
        there = [at.get(name) for name in layers]
        rows.append([
            Cell(one.row.name),
            Cell(str(one.row.seed), one.row.seed),
            *(Cell("–") if k is None else Cell(f"{100 * k.accuracy:.2f}", k.accuracy)
              for k in there),
            *(Cell("–") if k is None or k.lr is None else Cell(f"{k.lr:g}", k.lr) for k in there),
            Cell(f"{one.minutes:.1f}", one.minutes),
        ])  # fmt: skip
    rates = [f"lr {name}" for name in layers]
    return Table(("row", "seed", *layers, *rates, "minutes"), rows,
                 "Accuracy, %; the learning rate of each probe; minutes")  # fmt: skip


def _commands(made: Sequence[RowResult]) -> Table:
    """What is typed after ``task=pretrain`` for each row's first seed."""
    first: dict[str, str] = {}
    for one in made:
        first.setdefault(one.row.name, " ".join(one.row.overrides))
    return two_columns(("row", "task=pretrain …, first seed"), list(first.items()))
