"""``task=verify``: every byte of a dataset against its manifest, and mending what is bad."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import nullcontext

from omegaconf import DictConfig
from tqdm import tqdm

from singleimg.backends.base import WorkerLost
from singleimg.backends.joblib import JoblibBackend
from singleimg.config.command_line import command, go_on, typed
from singleimg.config.make import instantiate
from singleimg.dataset.target import DATASET, PARAMS, RECIPE
from singleimg.errors import UserError
from singleimg.jobs.existing import Dataset, files_of, find_target, open_dataset, other_versions
from singleimg.storage.integrity import Check, Problem, check_shard, foreign_file
from singleimg.storage.lock import hold
from singleimg.storage.manifest import FOLDER, parse_entries
from singleimg.storage.resolve import is_local
from singleimg.system.logs import log, logging_to_console
from singleimg.system.signals import deaf
from singleimg.tasks.repair import repair

_SAMPLE = 100  # images that deep=true renders again
_CONNECTIONS = 8  # to a store at once
# Of a check on one core: as measured on a disk of no great speed.
_BYTES_A_SECOND, _SECONDS_AN_IMAGE = 5e8, 3e-5


def verify(cfg: DictConfig) -> None:
    """Names everything that is not as it was committed, and mends it when asked to.

    Raises UserError, which says how to go on, when something is wrong or missing.
    """
    target = find_target(cfg)
    held = hold(target.path) if cfg.repair else nullcontext()  # nobody writes between look and mend
    with logging_to_console(), held:
        dataset = open_dataset(cfg, target)
        backend = instantiate(cfg, "backend")
        problems, missing = inspect(dataset, backend, backend.workers(cfg.threads))
        if cfg.deep:
            bad = {problem.shard for problem in problems if problem.shard is not None}
            problems += render_again(dataset, bad)
        for problem in problems:
            log.info("%s", problem)
        if cfg.repair and (problems or missing):
            repair(dataset, problems, cfg.allow_version_change)
        else:
            conclude(dataset, problems, missing)


# --- every byte ----------------------------------------------------------------------------------


def inspect(dataset: Dataset, backend: JoblibBackend, workers: int) -> tuple[list[Problem], int]:
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
    if is_local(target.path):
        stated = (dataset.summary or {}).get("bytes")
        size = stated if isinstance(stated, int) else target.bytes()
        images = sum(map(len, shards))
        seconds = size / _BYTES_A_SECOND + images * _SECONDS_AN_IMAGE
        workers = backend.worth_starting(workers, seconds)
    else:  # a store is waited for, and its connections go into no other process
        backend, workers = JoblibBackend("threading"), max(workers, _CONNECTIONS)
    problems = check_all(checks, backend, workers)
    problems += foreign(dataset)
    problems += summary_problems(dataset, problems)
    return problems, plan.num_imgs - sum(map(len, shards))


def check_all(checks: Sequence[Check], backend: JoblibBackend, workers: int) -> list[Problem]:
    """Checks every shard, under a bar of images; what was found, in the order of ``checks``."""
    found: dict[int, list[Problem]] = {}
    total = sum(len(check.shard) for check in checks)
    with tqdm(total=total, unit="img", desc="verify", disable=None) as bar:
        try:
            for number, problems in backend.run(_check, enumerate(checks), workers):
                found[number] = problems
                bar.update(len(checks[number].shard))
        except WorkerLost:
            raise UserError(
                "a process that checked was killed, most likely because memory ran out: type fewer "
                "workers (threads=1)."
            ) from None
        except BaseException:
            with deaf():
                backend.stop()
            raise
    return [problem for number in range(len(checks)) for problem in found[number]]


def _check(numbered: tuple[int, Check]) -> tuple[int, list[Problem]]:
    """A check by its number, since backends give results in any order."""
    number, check = numbered
    return number, check_shard(check)


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
    from singleimg.dataset.open import from_config

    manifest, plan = dataset.target.manifest, dataset.plan
    recorded = {file.stem for file in manifest.files()} - {f"{number:06d}" for number in bad}
    good = [shard for shard in plan if shard.name in recorded]
    count = sum(map(len, good))
    chosen = random.SystemRandom().sample(range(count), min(_SAMPLE, count))
    images = from_config(dataset.settings, sources=dataset.recipe.pixels["sources"])
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
