"""What a study leaves beside its page: tables and findings as CSV, JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

from singleimg.learn.probes.scores import RunScore, percent, spread, table, write_csv
from singleimg.learn.study.findings import Finding
from singleimg.learn.study.row_run import RowResult
from singleimg.storage.local import LocalStore

TABLE, SCORES, RECORD = "table.md", "scores.csv", "study.json"
TITLES = {
    "table": "Rows",
    "students": "Students of one picture each",
    "ablation": "Augmentations of the one image",
    "choices": "What was tried, on validation images",
}  # of each part, what stands above it


def write(
    folder: Path,
    made: Mapping[str, Sequence[RowResult]],
    said: Sequence[Finding],
    control: str,
    more: Mapping[str, Any],
) -> str:
    """All of it into ``folder``; gives the text of ``table.md``.

    made: the rows of each part. more: what else of the study its record is to hold, JSON values by
    name.
    """
    lines = [control, ""]
    for part, rows in made.items():
        lines += [f"{TITLES[part]}:", ""]
        probed = [one for one in rows if one.score is not None]
        lines += [table_with_minutes(probed), ""] if probed else []
        lines += [facts_table(rows), ""] if any(one.facts for one in rows) else []
    lines += [*(f"- {finding}" for finding in said), ""] if said else []
    text = "\n".join(lines)
    folder.mkdir(exist_ok=True)
    store = LocalStore(folder)
    store.write(TABLE, text)
    everyone = [one for rows in made.values() for one in rows]
    write_csv(folder / SCORES, [score for one in everyone for score in scores_of(one)])
    record = {
        **more,
        "control": control,
        "rows": {part: [asdict(one) for one in rows] for part, rows in made.items()},
        "findings": [asdict(finding) for finding in said],
    }
    store.write(RECORD, json.dumps(record, indent=2) + "\n")
    return text


def scores_of(one: RowResult) -> list[RunScore]:
    """Of its probes, those with recomputed statistics under a name of their own."""
    scores = [] if one.score is None else [one.score]
    if one.recomputed is not None:
        name = f"{one.row.name}, statistics recomputed"
        scores.append(RunScore(name, one.row.seed, one.recomputed.data, one.recomputed.layers))
    return scores


def table_with_minutes(made: Sequence[RowResult]) -> str:
    """The table of scores, with the mean minutes of a run of each row."""
    lines = table([score for one in made for score in scores_of(one)]).splitlines()
    minutes: dict[str, list[float]] = {}
    for one in made:
        for place, score in enumerate(scores_of(one)):
            minutes.setdefault(score.row, []).extend([one.minutes] if not place else [])
    lines[0] += " minutes a run |"
    lines[1] += "---:|"
    for place, values in enumerate(minutes.values()):
        lines[2 + place] += f" {mean(values):.1f} |" if values else " |"
    return "\n".join(lines)


def facts_over_seeds(
    made: Sequence[RowResult],
) -> tuple[list[str], dict[str, dict[str, tuple[float, float | None]]]]:
    """The names of all facts, and of each row their means and deviations."""
    rows: dict[str, list[RowResult]] = {}
    for one in made:
        rows.setdefault(one.row.name, []).append(one)
    names = list(dict.fromkeys(name for one in made for name in one.facts))
    return names, {
        row: {
            name: spread([run.facts[name] for run in runs])
            for name in names
            if all(name in run.facts for run in runs)
        }
        for row, runs in rows.items()
        if any(run.facts for run in runs)
    }


def facts_table(made: Sequence[RowResult]) -> str:
    """Markdown: a line a row, each fact in percent."""
    names, rows = facts_over_seeds(made)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for row, facts in rows.items():
        cells = [percent(facts[name]) if name in facts else "–" for name in names]
        lines.append("| " + " | ".join([row, *cells]) + " |")
    return "\n".join(lines)
