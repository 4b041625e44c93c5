"""Sweeps (``-m``): a job that fails stops no other, and at the end one table tells of all.

Hydra's own sweepers stop at the first job that fails, and its launchers at the first whose process
is killed. So what runs as a job catches all that can be caught and writes down what became of it
(``config/outcomes.py``); and between sweeper and launcher stands one that looks at these files when
a launcher gives up, and has it go on with what is left.
"""

from __future__ import annotations

import csv
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from singleimg.config.command_line import as_started, command
from singleimg.config.explain import explain, one_line
from singleimg.config.outcomes import (
    BEGUN,
    DONE,
    FAILED,
    Outcome,
    made_in,
    read_outcome,
    read_outcomes,
)
from singleimg.config.paths import literal
from singleimg.config.saved import JOBS, RUN, SWEPT
from singleimg.errors import UserError
from singleimg.system.bars import labelled
from singleimg.system.figures import size
from singleimg.system.logs import quiet

_MADE = ("generate", "export")  # tasks that end in a dataset, and whose value is images/s
_KILLED = "its process was killed, most likely because memory ran out"
_COLUMNS = ("status", "images", "bytes", "value", "seconds", "folder", "error")


# --- one job, in whatever process it runs --------------------------------------------------------


def run_job(
    cfg: DictConfig, work: Callable[[DictConfig], tuple[float | None, str | None]]
) -> float | None:
    """Does ``work``, which gives a value and the place of what it made; None where it failed."""
    hydra_cfg = HydraConfig.get()
    choices, number = hydra_cfg.runtime.choices, hydra_cfg.job.num
    cwd = OmegaConf.to_container(hydra_cfg.runtime, resolve=False)["cwd"]  # it may hold a ${
    folder = Path(cwd) / hydra_cfg.sweep.dir
    typed = OmegaConf.to_container(hydra_cfg.overrides.task, resolve=False)
    swept = [one for one in typed if one.partition("=")[0].lstrip("+") in choices[SWEPT]]
    outcome = Outcome(number, choices[RUN], swept, typed)
    before = read_outcome(folder, number)
    if before is not None and before.typed == typed:
        failed_now = before.status == FAILED and before.run == outcome.run
        if failed_now or before.status == DONE:
            return before.value
    outcome.write(folder)
    of = f" of {choices[JOBS]}" if choices[JOBS] else ""
    label, begin = f"job {number + 1}{of}, {' '.join(swept)}".removesuffix(", "), time.monotonic()
    with labelled(label), quiet(cfg.task.name in _MADE):
        try:
            outcome.value, outcome.folder = work(cfg)
            outcome.status = DONE
        except (UserError, OmegaConfBaseException, OSError) as error:
            mistake = error if isinstance(error, UserError) else UserError(explain(error))
            outcome.status, outcome.error = FAILED, as_started(one_line(mistake))
        except Exception as error:
            traceback.print_exc()
            outcome.status, outcome.error = FAILED, f"{type(error).__name__}: {error}"
    outcome.seconds = time.monotonic() - begin
    if outcome.status == DONE and cfg.task.name in _MADE:
        outcome.images, outcome.bytes = made_in(outcome.folder)
    outcome.write(folder)
    print(f"{label}: {_told(outcome)}", flush=True)
    return outcome.value


def _told(outcome: Outcome) -> str:
    if outcome.status != DONE:
        return outcome.status
    told = [] if outcome.images is None else [f"{outcome.images:,} images", size(outcome.bytes)]
    if told and outcome.value is not None:
        told.append(f"{outcome.value:,.0f} images/s")
    return ", ".join([*told, outcome.folder or "done"])


# --- all of them ---------------------------------------------------------------------------------


class _Surviving(Launcher):
    """A launcher that goes on when one of its processes was killed."""

    def __init__(self, inner: Launcher, run: str) -> None:
        self._inner, self._run = inner, run
        self._folder = Path(str(inner.config.hydra.sweep.dir)).absolute()

    def setup(self, **_: Any) -> None:
        """The inner one is set up."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        jobs = dict(enumerate(job_overrides, initial_job_idx))
        loader, sweeper = self._inner.hydra_context.config_loader, self._inner.config.hydra.sweeper
        batches = sweeper.get("max_batch_size") is not None
        loader.run = self._run
        loader.jobs = sweeper.get("n_trials") or (None if batches else len(jobs))
        if type(self._inner).__name__ == "JoblibLauncher" and jobs:
            print("hydra/launcher=joblib: jobs run side by side, each in one process "
                  "(as by backend=sequential).", flush=True)  # fmt: skip
        while True:
            try:
                with _results_survive(self._inner):
                    returns = self._inner.launch(list(jobs.values()), initial_job_idx)
                break
            except Exception:
                lost = [number for number in jobs if self._status(number) == BEGUN]
                if not lost:
                    raise
                print(f"A process of the sweep was killed: {len(lost)} jobs were running, and "
                      "are run once more, one at a time.", file=sys.stderr, flush=True)  # fmt: skip
                for number in lost:
                    self._alone(number, jobs[number])
        for number, overrides in jobs.items():
            if self._status(number) not in (DONE, FAILED):
                self._fail(number, overrides)
        return returns

    def _status(self, number: int) -> str | None:
        """What became of a job in this run."""
        found = read_outcome(self._folder, number)
        if found is None or (found.run != self._run and found.status != DONE):
            return None
        return found.status

    def _alone(self, number: int, overrides: Sequence[str]) -> None:
        try:
            self._inner.launch([overrides], number)
        except Exception:
            self._fail(number, overrides)

    def _fail(self, number: int, overrides: Sequence[str]) -> None:
        outcome = read_outcome(self._folder, number)
        if outcome is None or outcome.typed != list(overrides):  # it did not even begin
            outcome = Outcome(number, self._run, list(overrides), list(overrides))
        outcome.run, outcome.status, outcome.error = self._run, FAILED, _KILLED
        outcome.write(self._folder)


@contextmanager
def _results_survive(launcher: Launcher) -> Iterator[None]:
    """Has submitit give nothing for a job that was lost, where it would give up all of them."""
    if not type(launcher).__module__.startswith("hydra_plugins.hydra_submitit_launcher"):
        yield
        return
    from submitit.core.core import Job

    results = Job.results

    def surviving(job: Job) -> list[Any]:
        try:
            return results(job)
        except Exception:
            nothing = JobReturn(status=JobStatus.COMPLETED)
            nothing.return_value = None
            return [nothing]

    Job.results = surviving
    try:
        yield
    finally:
        Job.results = results


@contextmanager
def surviving() -> Iterator[None]:
    """Launchers that Hydra makes within go on when a job, or a process of theirs, is lost."""
    make, run = Plugins.instantiate_launcher, uuid4().hex

    def instantiate_launcher(self: Plugins, *args: Any, **kwargs: Any) -> Launcher:
        launcher = _Surviving(make(self, *args, **kwargs), run)
        folders.append(launcher._folder)
        return launcher

    folders: list[Path] = []
    Plugins.instantiate_launcher = instantiate_launcher
    try:
        yield
    except KeyboardInterrupt:
        for folder in filter(read_outcomes, folders):
            try:
                conclude(folder)
            except UserError as error:
                print(as_started(one_line(error)), file=sys.stderr)
        raise
    except Exception:  # of a search in which every job failed, say
        for folder in filter(read_outcomes, folders):
            conclude(folder)
        raise
    finally:
        Plugins.instantiate_launcher = make
    for folder in folders:
        conclude(folder)


def conclude(folder: Path) -> None:
    """Prints the table of a sweep, and writes it beside its jobs; UserError if any failed."""
    outcomes = read_outcomes(folder)
    keys = list(dict.fromkeys(_key(one) for outcome in outcomes for one in outcome.swept))
    rows = [_row(outcome, keys) for outcome in outcomes]
    with open(folder / "sweep.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["job", *keys, *_COLUMNS])
        writer.writeheader()
        writer.writerows(rows)
    OmegaConf.save(OmegaConf.create(rows), folder / "sweep.yaml")
    print(_table(keys, outcomes))
    print(f"Sweep:   {folder}/index.html, sweep.csv, sweep.yaml", flush=True)
    failed = [outcome for outcome in outcomes if outcome.status != DONE]
    stopped = any(outcome.status == BEGUN for outcome in failed)
    for outcome in failed:
        label = f"job {outcome.number + 1}, {' '.join(outcome.swept)}".removesuffix(", ")
        print(f"{label}: {outcome.error or 'was stopped'}", file=sys.stderr)
    if failed:
        typed = [one for one in sys.argv[1:] if not one.startswith("hydra.sweep.dir=")]
        where = f"hydra.sweep.dir={literal(str(folder))}"
        again = f"those again, type {command(*typed, where)}"
        if any(one.startswith("hydra/sweeper=") for one in typed):  # its jobs are others each time
            again = f"the first of them alone, type {command(*failed[0].typed)}"
        raise UserError(
            f"{len(failed)} of {len(outcomes)} jobs {'were stopped or ' * stopped}failed: "
            f"to run {again}"
        )


def _key(swept: str) -> str:
    return swept.partition("=")[0].lstrip("+")


def _row(outcome: Outcome, keys: Sequence[str]) -> dict[str, Any]:
    own = {_key(one): one.partition("=")[2] for one in outcome.swept}
    about = {name: getattr(outcome, name) for name in _COLUMNS}
    return {"job": outcome.number + 1, **{key: own.get(key, "") for key in keys}, **about}


def _table(keys: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    """Columns side by side, for a terminal."""
    made = any(outcome.images is not None for outcome in outcomes)
    figures = ("images", "size", "images/s") if made else ("value",)
    lines = [["job", *keys, "status", *figures, "folder"]]
    for outcome in outcomes:
        row, cells = _row(outcome, keys), dict.fromkeys(figures, "")
        if outcome.images is not None:
            cells["images"], cells["size"] = f"{outcome.images:,}", size(outcome.bytes)
        if outcome.value is not None:
            cells[figures[-1]] = f"{outcome.value:,.0f}" if made else f"{outcome.value:,.4g}"
        own = [str(outcome.number + 1), *(row[key] for key in keys), outcome.status]
        lines.append([*own, *cells.values(), outcome.folder or ""])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
