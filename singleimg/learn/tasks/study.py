"""``task=study``: the control, the rows, the ablation, the findings, in one command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
from singleimg.learn.study.design import Row, left_out, rows_of
from singleimg.learn.study.findings import Rows, augmentation_findings, findings
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

WHOLE = ("table", "students")  # parts whose page lies in the folder itself


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
    budget = OmegaConf.to_container(cfg.budget, resolve=True)
    parts = rows_of(cfg.task.parts, budget)
    control = str(run_control(cfg, folder / "shortcut")) if set(parts) != {"choices"} else ""
    log.info("%s", control)
    made: dict[Row, RowResult] = {}
    for step in in_steps(parts):
        made |= {one.row: one for one in make(cfg, folder, step)}
    results = {part: [made[row] for row in rows] for part, rows in parts.items()}
    told = Rows([*results.get("table", ()), *results.get("students", ())])
    said = [*findings(told), *augmentation_findings(Rows(results.get("ablation", [])))]
    place = folder if {*WHOLE} <= set(parts) else folder / "+".join(parts)
    more = {
        "data": instantiate(cfg, "data").name,
        "network": called(cfg.network),
        "budget": cfg.budget.name,
        "probe": called(cfg.probe),
        "not_run": left_out(list(made), budget),
        "made_with": versions(["torch"]),
    }
    text = report.write(place, results, said, control, more)
    log.info("\n%s", text)
    log.info("Report:  %s", write_page(place, cfg.trusted_modules))


def in_steps(parts: Mapping[str, Sequence[Row]]) -> list[list[Row]]:
    """All rows, each once: students after their teacher."""
    rows = list(dict.fromkeys(row for rows in parts.values() for row in rows))
    students = [row for row in rows if row.role == "student"]
    others = [row for row in rows if row.role != "student"]
    return [step for step in (others, students) if step]


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
                layers = one.score.layers if one.score else ()
                said = [percent((layer.accuracy, None)) for layer in layers]
                said += [f"{name} {percent((share, None))}" for name, share in one.facts.items()]
                log.info("%s: %s (%.1f minutes)", one.row.label, ", ".join(said), one.minutes)
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
