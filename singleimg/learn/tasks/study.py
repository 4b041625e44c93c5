"""``task=study``: the control, the rows, the ablation, the findings, in one command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from singleimg.backends.base import WorkerLost
from singleimg.config import saved
from singleimg.config.make import instantiate
from singleimg.config.paths import here
from singleimg.dataset.recipe import versions
from singleimg.dataset.target import LOG
from singleimg.errors import UserError
from singleimg.jobs.driver import about_run
from singleimg.learn.data.base import Labelled
from singleimg.learn.probes.scores import percent
from singleimg.learn.study import report
from singleimg.learn.study.control import run_control
from singleimg.learn.study.design import (
    ABLATION,
    ONE,
    PARTS,
    Row,
    ablation_name,
    left_out,
    rows_of,
    table_name,
)
from singleimg.learn.study.findings import Rows, findings
from singleimg.learn.study.page import ROWS, write_page
from singleimg.learn.study.row_run import RowResult, RowTask, make_row
from singleimg.learn.training.devices import check_one_device
from singleimg.learn.training.page import called
from singleimg.storage.local import LocalStore
from singleimg.storage.lock import hold
from singleimg.system.bars import Bar
from singleimg.system.cores import available_cores
from singleimg.system.logs import log, logging_to_console, logging_to_file
from singleimg.system.signals import ignore_signals


def study(cfg: DictConfig) -> None:
    """Makes what is missing of the rows, and says what they show."""
    with logging_to_console():
        for group, example in (("data", "cifar10"), ("network", "cifar_conv4")):
            if cfg[group] is None:
                raise UserError(f"{group} is missing: type for example {group}={example}.")
        data = instantiate(cfg, "data")
        for split in (data.train, data.test):  # a wrong path is said now, not after an hour
            split()
        check_one_device(cfg.train, "study")
        folder = Path(cfg.targetpath or here() / "outputs" / _name(cfg, data))
        about = about_run(versions(["torch"]))
        with hold(LocalStore(folder)), logging_to_file(folder / LOG, *about):
            (folder / "config.yaml").write_text(saved.run_text(cfg), encoding="utf-8")
            run(cfg, folder)


def run(cfg: DictConfig, folder: Path) -> None:
    """Everything in its order; what is there already is read."""
    result = run_control(cfg, folder / "shortcut")
    log.info("%s", result)
    budget = OmegaConf.to_container(cfg.budget, resolve=True)
    rows, ablation = rows_of(cfg.task.parts, budget)
    made = {one.row: one for one in make(cfg, folder, [*rows, *ablation])}
    table = [made[row] for row in rows]
    name = ablation_name(ABLATION[-1])
    whole = [
        replace(one, row=replace(one.row, name=name), score=replace(one.score, row=name))
        for one in table
        if one.row.name == table_name("deepcluster", ONE)
    ]
    factors = [*(made[row] for row in ablation), *whole] if ablation else []
    said = findings(Rows(table), Rows(factors))
    place = folder if set(cfg.task.parts) == set(PARTS) else folder / "+".join(cfg.task.parts)
    more = {
        "parts": list(cfg.task.parts),
        "data": instantiate(cfg, "data").name,
        "network": called(cfg.network),
        "budget": cfg.budget.name,
        "probe": called(cfg.probe),
        "not_run": left_out([*rows, *ablation], budget),
        "made_with": versions(["torch"]),
    }
    text = report.write(place, table, factors, said, str(result), more)
    log.info("\n%s", text)
    log.info("Report:  %s", write_page(place, cfg.trusted_modules))


def _name(cfg: DictConfig, data: Labelled) -> str:
    return "-".join(["study", instantiate(cfg, "image").name, data.name, cfg.budget.name])


def make(cfg: DictConfig, folder: Path, rows: Sequence[Row]) -> list[RowResult]:
    """All rows, side by side in worker processes; each is said when it is done."""
    backend = instantiate(cfg, "backend")
    workers = min(backend.workers(cfg.threads), len(rows))
    threads = max(1, available_cores() // workers)
    spec = json.dumps(OmegaConf.to_container(cfg, resolve=True))
    tasks = []
    for row in rows:
        tasks.append(RowTask(row, folder / ROWS / row.folder, spec, threads))
    made = []
    with backend.started(workers), Bar(len(rows), "row") as bar:
        try:
            for one in backend.run(make_row, tasks, workers):
                made.append(one)
                bar.update()
                scores = [percent((layer.accuracy, None)) for layer in one.score.layers]
                log.info("%s: %s (%.1f minutes)", one.row.label, " ".join(scores), one.minutes)
        except WorkerLost:
            raise UserError(
                "a worker process was killed, most likely because memory ran out: type fewer "
                "workers (threads=1), then type the same command again to resume."
            ) from None
        except BaseException:
            with ignore_signals():
                backend.stop()
                log.warning("Stopped: type the same command again to resume.")
            raise
    return made
