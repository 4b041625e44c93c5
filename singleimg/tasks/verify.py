"""``task=verify``: every byte of a dataset against its manifest, and mending what is bad."""

from __future__ import annotations

import multiprocessing
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from typing import Any

from omegaconf import DictConfig
from tqdm import tqdm

from singleimg.config.command_line import command, go_on, typed
from singleimg.config.make import instantiate
from singleimg.dataset.target import DATASET, PARAMS, RECIPE
from singleimg.errors import UserError
from singleimg.jobs.existing import Dataset, files_of, find_target, open_dataset, other_versions
from singleimg.storage.integrity import Check, Problem, check_shard, foreign_file
from singleimg.storage.lock import hold
from singleimg.storage.manifest import FOLDER, record_place
from singleimg.system.logs import log, logging_to_console
from singleimg.system.signals import ignore
from singleimg.tasks.repair import repair

_SAMPLE = 100  # images that deep=true renders again
_CONNECTIONS = 8  # to a store at once


def verify(cfg: DictConfig) -> None:
    """Names everything that is not as it was committed, and mends it when asked to.

    Raises UserError, which says how to go on, when something is wrong or missing.
    """
    target = find_target(cfg)
    held = (
        hold(target.store) if cfg.repair else nullcontext()
    )  # nobody writes between look and mend
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


def workers(cfg: DictConfig) -> int:
    """How many processes check, by the same rule as for those that render."""
    return instantiate(cfg, "backend").workers(cfg.threads)


# --- every byte ----------------------------------------------------------------------------------


def inspect(dataset: Dataset, workers: int) -> tuple[list[Problem], int]:
    """All that is wrong, and how many images are still to be made."""
    target, plan = dataset.target, dataset.plan
    recorded = set(target.manifest.names())
    finished = dataset.summary is not None
    shards = [shard for shard in plan if finished or record_place(shard) in recorded]
    files = dataset.output.files(target.store)
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
        _mapping(
            workers, in_threads=any(c.files.store.local_path is None for c in checks)
        ) as apply,
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
        allow(record_place(shard))
        if dataset.settings.save_params and not output.draws_inside:
            allow(f"{PARAMS}/{shard.name}.jsonl")
    for path in (*output.closing, *output.kept):
        allow(path)
    files = output.files(dataset.target.store)
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
    from singleimg.dataset.open import from_config

    manifest, plan = dataset.target.manifest, dataset.plan
    recorded = set(manifest.names())
    good = [shard for shard in plan if shard.number not in bad and record_place(shard) in recorded]
    count = sum(map(len, good))
    chosen = random.SystemRandom().sample(range(count), min(_SAMPLE, count))
    images = from_config(dataset.settings, sources=dataset.recipe.pixels["sources"])
    images.engine.set_up_process()
    encoder, problems = dataset.output.encoder, []
    reader = dataset.output.reader(dataset.target.store)
    for place in tqdm(sorted(chosen), unit="img", desc="render", disable=None):
        shard = good[place // dataset.output.shard_size]
        index = shard.start + place % dataset.output.shard_size
        if encoder.encode(images.render(index)) != reader.read(index):
            what = "is not what its recipe renders here" + other_versions(dataset)
            _, entries = manifest.load(shard)
            path = next(entry.path for entry in entries if entry.index == index)
            problems.append(Problem(shard.number, f"image {index}", path, what))
    log.info("%d images rendered again, %d of them otherwise.", len(chosen), len(problems))
    return problems


# --- what follows --------------------------------------------------------------------------------


def conclude(dataset: Dataset, problems: Sequence[Problem], missing: int) -> None:
    """The last line: all is well, or how to mend it."""
    plan, path = dataset.plan, dataset.target.store
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
