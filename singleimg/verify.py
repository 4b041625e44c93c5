"""``task=verify``: every byte of a dataset against its manifest, and mending what is bad."""

from __future__ import annotations

import multiprocessing
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from tqdm import tqdm

from singleimg import config, saved
from singleimg.checking import Check, Problem, check_shard, foreign_file
from singleimg.durable import is_local
from singleimg.errors import UserError
from singleimg.lock import hold
from singleimg.logs import log, logging_to_console
from singleimg.manifest import FOLDER, Plan, parse_entries
from singleimg.recipe import Recipe
from singleimg.saved import command, go_on, typed
from singleimg.signals import ignore
from singleimg.target import DATASET, PARAMS, RECIPE, Target

_SAMPLE = 100  # images that deep=true renders again
_CONNECTIONS = 8  # to a store at once
FOREIGN = "foreign"  # where repair=true puts files that are not of the dataset


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk, by its own configuration and manifest."""

    settings: DictConfig
    target: Target
    recipe: Recipe
    altered: bool  # whether recipe.json is not what was written
    summary: dict[str, Any] | None
    output: Any

    @property
    def plan(self) -> Plan:
        """All shards that are there, or will be."""
        return Plan(self.settings.num_imgs, self.output.shard_size)


def verify(cfg: DictConfig) -> None:
    """Names everything that is not as it was committed, and mends it when asked to.

    Raises UserError, which says how to go on, when something is wrong or missing.
    """
    target = find_target(cfg)
    held = hold(target.path) if cfg.repair else nullcontext()  # nobody writes between look and mend
    with logging_to_console(), held:
        dataset = open_dataset(cfg, target)
        problems, missing = inspect(dataset, workers(cfg))
        if cfg.deep:
            bad = {problem.shard for problem in problems if problem.shard is not None}
            problems += render_again(dataset, bad)
        for problem in problems:
            log.info("%s", problem)
        if cfg.repair and (problems or missing):
            repair(dataset, problems, cfg.allow_version_change)
        else:
            conclude(dataset, problems, missing)


def find_target(cfg: DictConfig) -> Target:
    """The folder ``cfg.targetpath``; UserError when it holds no dataset."""
    if cfg.targetpath is None:
        raise UserError(f"task={cfg.task.name} needs the folder of a dataset: type targetpath=….")
    target = Target.at(cfg.targetpath, cfg.durable)
    if target.disk.read(target.path / RECIPE) is None:
        raise UserError(f"targetpath={target.path} holds no dataset: type the folder of one.")
    return target


def open_dataset(cfg: DictConfig, target: Target) -> Dataset:
    """The dataset in ``target``, by its own files; UserError when they do not fit each other."""
    settings = saved.load(target.path, list(cfg.trusted_modules))
    settings.durable, settings.targetpath = cfg.durable, str(target.path)  # it may have moved
    settings.threads, settings.backend = cfg.threads or settings.threads, cfg.backend
    output = config.instantiate(settings, "output")
    recipe, altered = stated_recipe(target, settings)
    layout = {**(output.layout() or {}), "save_params": settings.save_params}
    writers = layout.get("writer"), recipe.layout.get("writer")
    if writers[0] != writers[1]:
        raise UserError(
            f"{target.path} was written by another version of this program (writer {writers[1]}, "
            f"here {writers[0]}): make it again with if_exists=overwrite, or use that version."
        )
    if layout != recipe.layout:
        raise UserError(
            f"{target.path}: config.yaml and recipe.json do not belong together: bring back the "
            "one that was altered."
        )
    return Dataset(settings, target, recipe, altered, target.summary(), output)


def stated_recipe(target: Target, settings: DictConfig) -> tuple[Recipe, bool]:
    """``recipe.json``, or where that was altered what the configuration describes; and which."""
    from singleimg.job import prepare

    text = target.disk.read(target.path / RECIPE)
    try:
        recipe = target.recipe()
    except UserError:
        recipe = None
    committed = files_of(target.summary() or {}).get(RECIPE)
    altered = recipe is None or recipe.text().encode() != text
    if altered or committed not in (None, target.digest_of(RECIPE)):
        return prepare(settings.copy()).recipe, True
    return recipe, False


def files_of(summary: dict[str, Any]) -> dict[str, Any]:
    """The files that ``dataset.json`` lists; none when it is harmed."""
    files = summary.get("files")
    return files if isinstance(files, dict) else {}


def workers(cfg: DictConfig) -> int:
    """How many processes check, by the same rule as for those that render."""
    return config.instantiate(cfg, "backend").workers(cfg.threads)


# --- every byte ----------------------------------------------------------------------------------


def inspect(dataset: Dataset, workers: int) -> tuple[list[Problem], int]:
    """All that is wrong, and how many images are still to be made."""
    target, plan = dataset.target, dataset.plan
    recorded = {file.stem for file in target.manifest.files()}
    finished = dataset.summary is not None
    shards = [shard for shard in plan if finished or shard.name in recorded]
    files = dataset.output.files(target.path)
    checks = [
        Check(files, shard, dataset.output.place(shard), dataset.recipe.fingerprint)
        for shard in shards
    ]
    problems = list(check_all(checks, workers))
    problems += foreign(dataset)
    problems += summary_problems(dataset, problems)
    return problems, plan.num_imgs - sum(map(len, shards))


def check_all(checks: Sequence[Check], workers: int) -> Iterator[Problem]:
    """Checks shards in processes, under a bar of images."""
    total = sum(len(check.shard) for check in checks)
    with (
        tqdm(total=total, unit="img", desc="verify", disable=None) as bar,
        _mapping(workers, in_threads=any(not is_local(c.files.target) for c in checks)) as apply,
    ):
        for check, found in zip(checks, apply(check_shard, checks), strict=True):
            bar.update(len(check.shard))
            yield from found


@contextmanager
def _mapping(workers: int, in_threads: bool) -> Iterator[Any]:
    """``map``, here or in processes. Forked where that is safe: a check needs nothing imported.

    In threads where a store is waited for: its connections survive no fork.
    """
    if in_threads:
        with ThreadPoolExecutor(max(workers, _CONNECTIONS)) as threads:
            yield threads.map
        return
    if workers == 1:
        yield map
        return
    method = "fork" if sys.platform == "linux" else None
    context = multiprocessing.get_context(method)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=ignore)
    try:
        yield pool.map
    except BrokenProcessPool:
        raise UserError(
            "a process that checked was killed, most likely because memory ran out: type fewer "
            "workers (threads=1)."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def foreign(dataset: Dataset) -> list[Problem]:
    """What lies between the shards, and is of none. Inside of shards, check_shard looks."""
    output = dataset.output
    allowed: dict[str, set[str]] = {FOLDER: set()}

    def allow(path: str | None) -> None:
        parts = (path or "").split("/")
        for depth in range(1, len(parts)):
            allowed.setdefault("/".join(parts[:depth]), set()).add(parts[depth])

    for shard in dataset.plan:
        allow(output.place(shard))
        allow(f"{FOLDER}/{shard.name}.jsonl")
        if dataset.settings.save_params and not output.draws_inside:
            allow(f"{PARAMS}/{shard.name}.jsonl")
    for path in (*output.closing, *output.kept):
        allow(path)
    files = output.files(dataset.target.path)
    return [
        foreign_file(f"{folder}/{name}")
        for folder, names in allowed.items()
        for name in files.names(folder)
        if name not in names
    ]


def summary_problems(dataset: Dataset, problems: Sequence[Problem]) -> list[Problem]:
    """Whether ``dataset.json`` and ``recipe.json`` are those that were written."""
    found = [Problem(None, "", RECIPE, "is altered")] if dataset.altered else []
    if dataset.summary is None:
        return found
    target, listed = dataset.target, files_of(dataset.summary)
    for name in dataset.output.closing:
        digest = target.digest_of(name)
        if digest is None or digest != listed.get(name, digest):
            what = "is missing" if digest is None else "is altered"
            found.append(Problem(None, "", name, what))
    judged = not problems and not found
    if judged and dataset.summary != target.summarise(dataset.recipe, dataset.output):
        found.append(Problem(None, "", DATASET, "does not fit the records"))
    return found


# --- deep ----------------------------------------------------------------------------------------


def render_again(dataset: Dataset, bad: set[int]) -> list[Problem]:
    """Renders a random sample of images again; those whose bytes are not the committed ones."""
    from singleimg.dataset import SingleImage

    manifest, plan = dataset.target.manifest, dataset.plan
    recorded = {file.stem for file in manifest.files()} - {f"{number:06d}" for number in bad}
    good = [shard for shard in plan if shard.name in recorded]
    count = sum(map(len, good))
    chosen = random.SystemRandom().sample(range(count), min(_SAMPLE, count))
    images = SingleImage.from_config(dataset.settings, sources=dataset.recipe.pixels["sources"])
    images.engine.set_up_process()
    encoder, problems = dataset.output.encoder, []
    reader = dataset.output.reader(dataset.target.path)
    for place in tqdm(sorted(chosen), unit="img", desc="render", disable=None):
        shard = good[place // dataset.output.shard_size]
        index = shard.start + place % dataset.output.shard_size
        if encoder.encode(images.render(index)) != reader.read(index):
            what = "is not what its recipe renders here" + other_versions(dataset)
            file = manifest.file(shard)
            entries = parse_entries(file, manifest.disk.read(file) or b"")
            path = next(entry.path for entry in entries if entry.index == index)
            problems.append(Problem(shard.number, f"image {index}", path, what))
    log.info("%d images rendered again, %d of them otherwise.", len(chosen), len(problems))
    return problems


def other_versions(dataset: Dataset) -> str:
    """`` (made with …)`` when the libraries here are not those that made the dataset."""
    from singleimg.recipe import versions

    here = versions([*dataset.settings.engine.libraries, *dataset.output.libraries])
    made_with = dataset.recipe.made_with.items()
    other = [f"{name} {version}" for name, version in made_with if here.get(name) != version]
    return f" (made with {', '.join(other)})" if other else ""


# --- what follows --------------------------------------------------------------------------------


def conclude(dataset: Dataset, problems: Sequence[Problem], missing: int) -> None:
    """The last line: all is well, or how to mend it."""
    plan, path = dataset.plan, dataset.target.path
    if problems:
        raise UserError(
            f"targetpath={path}: {len(problems)} {'things are' if problems[1:] else 'thing is'} "
            f"wrong. To mend it: {command('task=verify', typed('targetpath', path), 'repair=true')}"
        )
    if missing:
        raise UserError(
            f"targetpath={path}: what is there is right, and {missing:,} of {plan.num_imgs:,} "
            f"images are still to be made. {go_on(path)}"
        )
    log.info("All %s images in %s are as they were committed.", f"{plan.num_imgs:,}", path)


def repair(dataset: Dataset, problems: Sequence[Problem], allow_version_change: bool) -> None:
    """Makes the shards that are bad again, and moves what is foreign out of the way.

    For the holder of the lock.
    """
    from singleimg.generate import complete
    from singleimg.job import prepare

    target, settings = dataset.target, dataset.settings
    settings.allow_version_change = allow_version_change
    job = replace(prepare(settings), texts={})  # what lies beside the images stays as it is
    bad = {problem.shard for problem in problems} - {None}
    if any(problem.path == RECIPE for problem in problems):
        restore_recipe(dataset, job.recipe)
    target.check(job.recipe, job.num_imgs, "resume")
    target.check_versions(job.recipe, allow_version_change)
    with target.errors():
        moved = [move_away(target, problem.path) for problem in problems if problem.foreign]
        target.disk.remove(target.path / DATASET)
        target.manifest.remove(job.plan[number] for number in sorted(bad))
    complete(job)
    if moved:
        log.info("%d foreign files lie in %s now.", len(moved), target.path / FOREIGN)
    before = (dataset.summary or {}).get("digest")
    if before not in (None, (target.summary() or {}).get("digest")):
        log.warning("The images are not the same bytes as before%s.", other_versions(dataset))
    log.info("Mended: %d shards made again.", len(bad))


def move_away(target: Target, path: str) -> Path:
    """Moves a file or folder to a free name at the same place below ``foreign/``."""
    place, number = target.path / FOREIGN / path, 0
    while target.disk.exists(place):
        number += 1
        place = target.path / FOREIGN / f"{path}.{number}"
    target.disk.move(target.path / path, place)
    return place


def restore_recipe(dataset: Dataset, recipe: Recipe) -> None:
    """Writes ``recipe.json`` anew, if it is the one that the records speak of."""
    records, _ = dataset.target.manifest.scan()
    if not records or {record.fingerprint for record in records} != {recipe.fingerprint}:
        raise UserError(
            f"{dataset.target.path / RECIPE} is altered and so is config.yaml, or the source: "
            "bring back the files that were altered."
        )
    made_with = Recipe(recipe.pixels, recipe.layout, records[0].made_with)
    dataset.target.disk.write_whole(dataset.target.path / RECIPE, made_with.text())
