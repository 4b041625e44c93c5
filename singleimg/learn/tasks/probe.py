"""``task=probe``: one training or several, after each convolution, on a labelled set."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from omegaconf import DictConfig

from singleimg.dataset.recipe import canonical
from singleimg.errors import UserError, file_path
from singleimg.learn.probes.checkpoint import FOLDER, accuracy_of, probed_on, row_name, score_of
from singleimg.learn.probes.page import write_scores
from singleimg.learn.probes.scores import table
from singleimg.learn.training.trunk import checkpoint_file, load_record
from singleimg.system.logs import log, logging_to_console


def probe(cfg: DictConfig) -> float:
    """Probes what was not probed yet; leaves JSON, CSV and a page, and prints the table.

    Returns the accuracy after ``task.layer``, the mean over all checkpoints, 0 … 1.
    """
    with logging_to_console():
        files = checkpoints(cfg)
        data, protocol = probed_on(cfg, "probe")
        folder = Path(cfg.targetpath) if cfg.targetpath else files[0].parents[1] / FOLDER
        scores = [score_of(file, cfg, data, protocol) for file in files]
        name = "-".join([data.name, *name_parts(files), protocol])
        page = write_scores(folder, name, scores, files, cfg)
        log.info("%s", table(scores))
        if any(layer.ten_crop is not None for layer in scores[0].layers):
            log.info("Ten crops:\n%s", table(scores, "ten_crop"))
        log.info("Scores:  %s", folder / f"{name}.json")
        log.info("Report:  %s", page)
        return accuracy_of(scores, cfg.task.layer)


def checkpoints(cfg: DictConfig) -> list[Path]:
    """The files that ``task.checkpoint`` names: one text, or a list of them."""
    named = cfg.task.checkpoint
    if named is None:
        raise UserError(
            "task.checkpoint is missing: type task.checkpoint=<folder of a task=pretrain>, or a "
            "list of them, 'task.checkpoint=[a,b]'."
        )
    names = [named] if isinstance(named, str) else list(named)
    files = [checkpoint_file(Path(file_path(name))) for name in names]
    rows = [(row_name(decides, file), decides["seed"]) for decides, file in
            ((load_record(file.parents[1])["decides"], file) for file in files)]  # fmt: skip
    twice = next((file for k, file in enumerate(files) if rows[k] in rows[:k]), None)
    if twice is not None:
        raise UserError(
            f"task.checkpoint={named} names two trainings of the same settings and the same seed "
            f"({twice.parents[1]}): leave one of them out."
        )
    return files


def name_parts(files: list[Path]) -> list[str]:
    """What is probed, for names of files: ``last``, or of several their number and a digest."""
    if len(files) == 1:
        return [files[0].stem]
    return [f"{len(files)}-runs", sha256(canonical(list(map(str, files))).encode()).hexdigest()[:4]]
