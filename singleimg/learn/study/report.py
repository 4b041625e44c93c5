"""What a study leaves beside its page: tables and findings as CSV, JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

from singleimg.learn.probes.scores import table, write_csv
from singleimg.learn.study.findings import Finding
from singleimg.learn.study.row_run import RowResult
from singleimg.storage.local import LocalStore

TABLE, SCORES, RECORD = "table.md", "scores.csv", "study.json"


def write(
    folder: Path, made: Sequence[RowResult], ablation: Sequence[RowResult], said: Sequence[Finding],
    control: str, more: Mapping[str, Any],
) -> str:  # fmt: skip
    """All of it into ``folder``; gives the text of ``table.md``.

    more: what else of the study its record is to hold, JSON values by name.
    """
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
    store = LocalStore(folder)
    store.write(TABLE, text)
    write_csv(folder / SCORES, [*scores, *(one.score for one in ablation)])
    record = {
        **more,
        "control": control,
        "rows": [_plain(one) for one in made],
        "ablation": [_plain(one) for one in ablation],
        "findings": [asdict(finding) for finding in said],
    }
    store.write(RECORD, json.dumps(record, indent=2) + "\n")
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
