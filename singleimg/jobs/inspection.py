"""Every byte of a dataset against its manifest: what verify names, and repair mends."""

from __future__ import annotations

import random
from collections.abc import Sequence

from omegaconf import DictConfig

from singleimg.backends.base import Backend, WorkerLost
from singleimg.backends.joblib import JoblibBackend
from singleimg.config.make import instantiate
from singleimg.dataset.open import from_config
from singleimg.dataset.recipe import check_draws
from singleimg.dataset.target import DATASET, PARAMS, RECIPE
from singleimg.errors import UserError
from singleimg.jobs.estimate import START
from singleimg.jobs.existing import ExistingDataset, files_of, other_versions
from singleimg.storage.integrity import Check, Problem, check_shard, foreign_file
from singleimg.storage.manifest import FOLDER, record_place
from singleimg.system.bars import Bar, counted
from singleimg.system.logs import log
from singleimg.system.signals import ignore_signals

_SAMPLE = 100  # images that are rendered again
_CONNECTIONS = 8  # to a store at once
# Of a check on one core: as measured on a disk of no great speed.
_BYTES_A_SECOND, _SECONDS_AN_IMAGE = 5e8, 3e-5


def inspect(cfg: DictConfig, dataset: ExistingDataset) -> tuple[list[Problem], int]:
    """All that is wrong, each of it said, and how many images are still to be made.

    With ``task.deep`` a sample of the images is rendered again, too.
    """
    backend = instantiate(cfg, "backend")
    if backend.borrowed:  # a machine that has another folder of that name would miss everything
        backend = JoblibBackend("loky")
    problems, missing = compare(dataset, backend, backend.workers(cfg.threads))
    if cfg.task.deep:
        bad = {problem.shard for problem in problems if problem.shard is not None}
        problems += render_again(dataset, bad)
    for problem in problems:
        log.info("%s", problem)
    return problems, missing


def compare(dataset: ExistingDataset, backend: Backend, workers: int) -> tuple[list[Problem], int]:
    """What is not as it was committed, and how many images are still to be made."""
    target = dataset.target
    recorded = set(target.manifest.names())
    finished = dataset.summary is not None
    shards = [shard for shard in dataset.shards if finished or record_place(shard) in recorded]
    files = dataset.output.files(target.store)
    checks = [
        Check(files, shard, dataset.output.place(shard), dataset.recipe.fingerprint)
        for shard in shards
    ]
    if target.store.local_path is not None:
        stated = (dataset.summary or {}).get("bytes")
        size = stated if isinstance(stated, int) else target.bytes()
        images = sum(map(len, shards))
        seconds = size / _BYTES_A_SECOND + images * _SECONDS_AN_IMAGE
        workers = backend.worth_starting(workers, seconds, START)
    else:  # a store is waited for, and its connections go into no other process
        backend, workers = JoblibBackend("threading"), max(workers, _CONNECTIONS)
    problems = check_all(checks, backend, workers)
    problems += foreign(dataset)
    problems += summary_problems(dataset, problems)
    return problems, dataset.shards.num_imgs - sum(map(len, shards))


def check_all(checks: Sequence[Check], backend: Backend, workers: int) -> list[Problem]:
    """Checks every shard, under a bar of images; what was found, in the order of ``checks``."""
    found: dict[int, list[Problem]] = {}
    total = sum(len(check.shard) for check in checks)
    with backend.started(workers), Bar(total, what="verify") as bar:
        try:
            for number, problems in backend.run(_check, enumerate(checks), workers):
                found[number] = problems
                bar.update(len(checks[number].shard))
        except WorkerLost:
            raise UserError(
                "a process that verified was killed, most likely because memory ran out: type "
                "fewer workers (threads=1)."
            ) from None
        except BaseException:
            with ignore_signals():
                backend.stop()
            raise
    return [problem for number in range(len(checks)) for problem in found[number]]


def _check(numbered: tuple[int, Check]) -> tuple[int, list[Problem]]:
    """A check by its number, since backends give results in any order."""
    number, check = numbered
    return number, check_shard(check)


def foreign(dataset: ExistingDataset) -> list[Problem]:
    """What lies between the shards, and is of none. Inside of shards, check_shard looks."""
    output = dataset.output
    allowed: dict[str, set[str]] = {FOLDER: set()}

    def allow(path: str | None) -> None:
        parts = (path or "").split("/")
        for depth in range(1, len(parts)):
            allowed.setdefault("/".join(parts[:depth]), set()).add(parts[depth])

    for shard in dataset.shards:
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


def summary_problems(dataset: ExistingDataset, problems: Sequence[Problem]) -> list[Problem]:
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
    if not problems and not found:
        summary = target.summarise(dataset.recipe, dataset.output)
        if dataset.summary != summary:  # it may be of a version that had another digest
            summary["digest"] = target.manifest.former_digest()
        if dataset.summary != summary:
            found.append(Problem(None, "", DATASET, "does not fit the records"))
    return found


def render_again(dataset: ExistingDataset, bad: set[int]) -> list[Problem]:
    """Renders a random sample of images again; those whose bytes are not the committed ones."""
    manifest = dataset.target.manifest
    without = "leave task.deep out, or use that version."
    check_draws(dataset.recipe, f"targetpath={dataset.target.store}", without)
    recorded = set(manifest.names())
    good = [s for s in dataset.shards if s.number not in bad and record_place(s) in recorded]
    count = sum(map(len, good))
    chosen = random.SystemRandom().sample(range(count), min(_SAMPLE, count))
    images = from_config(dataset.settings, sources=dataset.recipe.pixels["sources"])
    images.set_up_process()
    encoder, problems = dataset.encoder, []
    reader = dataset.output.reader(dataset.target.store)
    for place in counted(sorted(chosen), len(chosen), what="render"):
        shard = good[place // dataset.output.shard_size]
        index = shard.start + place % dataset.output.shard_size
        if encoder.encode(images.render(index)) != reader.read(index):
            what = "is not what its recipe renders here" + other_versions(dataset)
            _, entries = manifest.load(shard)
            path = next(entry.path for entry in entries if entry.index == index)
            problems.append(Problem(shard.number, f"image {index}", path, what))
    log.info("%d images rendered again, %d of them differently.", len(chosen), len(problems))
    return problems
