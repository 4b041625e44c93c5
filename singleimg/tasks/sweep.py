"""At the end of a sweep: its page, by a callback of Hydra's that ``conf/config.yaml`` names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from singleimg.config.outcomes import Outcome, read_outcomes
from singleimg.jobs.measure import first_images, measured
from singleimg.report.sweep import SweepRow, figure, sweep_page

PAGE, FIGURE = "index.html", "figure.png"
_SHOWN = 8  # images of each job


class SweepPage(Callback):
    """Writes ``index.html``, and ``figure.png`` for two swept keys, into a sweep's folder."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Does it, of all jobs that there are."""
        folder = Path(config.hydra.sweep.dir)
        rows = [_row(outcome) for outcome in read_outcomes(folder)]
        if not rows:
            return
        title = f"Sweep of {', '.join(dict.fromkeys(key for row in rows for key in row.swept))}"
        (folder / PAGE).write_text(sweep_page(title, rows), encoding="utf-8")
        picture = figure(rows)
        if picture is not None:
            picture.save(folder / FIGURE)


def _row(outcome: Outcome) -> SweepRow:
    pairs = (one.partition("=") for one in outcome.swept)
    row = SweepRow(
        number=outcome.number + 1,
        swept={key.lstrip("+"): value for key, _, value in pairs},
        status=outcome.status,
        count=outcome.images,
        bytes=outcome.bytes,
        rate=outcome.value if outcome.images is not None else None,
        value=outcome.value,
        folder=outcome.folder or "",
        error=outcome.error or "",
    )
    if outcome.images:
        row.images = first_images(outcome.folder, min(_SHOWN, outcome.images))
        row.fill, row.area = measured(outcome.folder)
    return row
