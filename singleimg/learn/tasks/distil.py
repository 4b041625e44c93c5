"""``task=distil``: a classifier that saw renderings of one picture, and what a teacher says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from singleimg.config.make import instantiate
from singleimg.errors import UserError
from singleimg.learn.data.base import Labelled, classes, identity
from singleimg.learn.distil import compare
from singleimg.learn.distil.compare import REAL, STUDENT, TEACHER, Comparison, Row
from singleimg.learn.distil.page import write_page
from singleimg.learn.training import checkpoints
from singleimg.learn.training.devices import check_one_device, open_fabric
from singleimg.learn.training.run import Run, Trained, describe_run, pretraining, train
from singleimg.learn.training.trunk import checkpoint_file, load_method
from singleimg.system.cores import available_cores
from singleimg.system.logs import log, logging_to_console


def distil(cfg: DictConfig) -> float:
    """Trains the student (and with ``task.real`` one on real images), then tests it once.

    It leaves what ``task=pretrain`` leaves, ``distil.json``, and a table on the page.

    Returns the student's accuracy on the test images of ``data``, 0 … 1.
    """
    with logging_to_console():
        if cfg.data is None:
            raise UserError("data is missing: type for example data=cifar10 data.path=….")
        data = instantiate(cfg, "data")
        check_one_device(cfg.train, "distil")
        runs = describe_runs(cfg, data)
        trained = {name: train(run) for name, run in runs.items()}
        folder = runs[STUDENT].folder
        compared = _known(folder, runs, data) or _compare(cfg, runs, trained, data)
        compare.write(folder, compared)
        log.info("%s", compared.markdown())
        log.info("Report:  %s", write_page(folder, cfg.trusted_modules))
        return next(row.accuracy for row in compared.rows if row.name == STUDENT)


def describe_runs(cfg: DictConfig, data: Labelled) -> dict[str, Run]:
    """The trainings, by the names of their rows; UserError when one does not fit ``data``."""
    if cfg.method is not None and not (method := instantiate(cfg, "method")).is_taught:
        raise UserError(
            f"task=distil trains a student of a teacher, and method={method.name} has none: type "
            "method=distil method.teacher=<the folder of a training>."
        )
    student = replace(describe_run(pretraining(cfg)), settings=cfg)  # by which it is replayed
    known, wanted = student.teacher.classes, len(classes(data.test()))
    if known != wanted:
        raise UserError(
            f"method.teacher={student.teacher.path} tells {known} classes apart, and "
            f"data={data.name} has {wanted}: type a teacher that was trained on its classes."
        )
    if not cfg.task.real:
        return {STUDENT: student}
    made = pretraining(cfg, real=True)
    made.method.updates = student.method.total_updates(student.inputs.count)
    made.targetpath = str(student.folder / "real")
    return {STUDENT: student, REAL: describe_run(made)}


def _depends_on(runs: Mapping[str, Run], data: Labelled) -> dict[str, str]:
    """What decides the result: each training, and the test images."""
    return {
        **{name: run.fingerprint for name, run in runs.items()},
        data.name: identity(data.test()),
    }


def _known(folder: Path, runs: Mapping[str, Run], data: Labelled) -> Comparison | None:
    """The result of an earlier run of the same, which reads no test image again."""
    if not (folder / compare.RECORD).exists():
        return None
    found = compare.read(folder)
    return found if found.of == _depends_on(runs, data) else None


def _compare(
    cfg: DictConfig, runs: Mapping[str, Run], trained: Mapping[str, Trained], data: Labelled
) -> Comparison:
    student, device = runs[STUDENT], open_fabric(cfg.train).device
    models = {TEACHER: student.teacher.model.to(device)}
    for name, run in runs.items():
        models[name] = load_method(run.folder, cfg.trusted_modules)[0].to(device)
    said = compare.classes_said(
        models, data, student.network.size, device,
        workers=available_cores() if cfg.threads is None else cfg.threads,
        memory=cfg.train.memory,
    )  # fmt: skip
    shares = compare.shares(said, data)
    teacher = student.teacher
    rows = [Row(TEACHER, "its own, with labels", None, teacher.seconds, *shares[TEACHER])]
    for name, run in runs.items():
        images = f"{run.inputs.count:,} of {run.inputs.name}"
        updates = checkpoints.load(checkpoint_file(run.folder))["step"]
        rows.append(Row(name, images, updates, trained[name].seconds, *shares[name]))
    return Comparison(data.name, len(said[TEACHER]), _depends_on(runs, data), rows)
