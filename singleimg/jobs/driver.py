"""The main job: one image in, a training set of any size out."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Lock

from singleimg.backends.base import WorkerLost
from singleimg.backends.cluster import Cluster
from singleimg.config.command_line import command, replay
from singleimg.dataset.target import LOG, Snapshot
from singleimg.errors import UserError, WriteError, clause
from singleimg.jobs.card import write_card
from singleimg.jobs.estimate import Estimate, check_disk, check_temporary
from singleimg.jobs.job import Job
from singleimg.jobs.parts import FOLDER, clear, sweep
from singleimg.jobs.plan import Plan
from singleimg.jobs.progress import Progress, SentCounts
from singleimg.jobs.trial import try_out
from singleimg.jobs.work import Task, Work
from singleimg.jobs.worker import render_chunk, render_in_worker
from singleimg.outputs.resolve import described
from singleimg.storage.manifest import record_place
from singleimg.storage.shards import WHOLE, Shard
from singleimg.system.figures import duration, rate, size
from singleimg.system.logs import log, logging_to_file
from singleimg.system.signals import ignore_signals
from singleimg.system.tempdir import scratch, temporary_errors

# What nobody waits for without having asked for it: the default number of images is refused.
_MOST_BYTES, _MOST_SECONDS = 10e9, 3600
_PATIENCE = 4.0  # seconds that threads get to drop what they have in hand


def is_whole(job: Job, found: Snapshot) -> bool:
    """Whether nothing is left to do; refuses a target that holds something else."""
    job.target.check(found, job.recipe, job.num_imgs, job.settings.if_exists)
    summary = found.summary
    said = summary is not None and summary.get("images") == job.num_imgs
    return said and not job.todo(found)


def holds_more(job: Job, found: Snapshot) -> bool:
    """Whether all images are there, among more of the same: says so, and how to load them.

    Of a target that was typed the number of images is a word about it, and must be right.
    """
    summary = found.summary
    if job.named or found.recipe is None or not summary or job.settings.if_exists != "resume":
        return False
    count = summary.get("images", 0)
    same = replace(found.recipe, made_with=job.recipe.made_with) == job.recipe
    if not same or count <= job.num_imgs:
        return False
    log.info(
        "%s holds %s images already: the first %s are those of this command.",
        job.store, f"{count:,}", f"{job.num_imgs:,}",
    )  # fmt: skip
    line = f"singleimg.StoredDataset({str(job.store)!r})"
    log.info("Load:    torch.utils.data.Subset(%s, range(%d))", line, job.num_imgs)
    return True


def complete(job: Job, found: Snapshot | None = None) -> float | None:
    """Makes every shard that is not committed, and ``dataset.json``; images/s, if there were any.

    For the holder of the lock, or of a slice, which leaves ``dataset.json`` to the others while
    theirs are missing.

    found: what lies there, by a look before the lock.
    """
    settings, target = job.settings, job.target
    if found is None or target.store.local_path is not None:
        found = target.look()  # another run may have been at work until we held the lock
    target.check(found, job.recipe, job.num_imgs, settings.if_exists)
    todo = job.todo(found)
    overwrites = settings.if_exists == "overwrite"
    if todo and not overwrites:
        target.check_versions(found, job.recipe, settings.allow_version_change)
    effort = announce(job, todo) if todo else Estimate(0, 0, 0)
    if overwrites:
        found = overwrite(job, found)
    target.begin(found, job.recipe, job.texts, job.output, todo, job.slice)
    with log_beside(job):
        speed = make(job, todo, effort) if todo else None
        clear_parts(job)  # also those of a run that was killed after its last shard
        if isinstance(job.backend, Cluster):  # a worker may have been lost, and nothing was said
            job.store.clear_temporary(of=job.slice)
        if job.slice != WHOLE:
            done = target.done(target.look(), job.shards, job.recipe, job.output)
            if len(done) < len(job.shards):
                log.info(
                    "Slice %s is finished: of all %d shards %d are there, the others are still to "
                    "be made.",
                    job.slice, len(job.shards), len(done),
                )  # fmt: skip
                return speed
        target.finish(job.recipe, job.num_imgs, job.output)
        closing_lines(job)
        try:
            write_card(job.store, settings, job.recipe, job.num_imgs, job.output)
        except UserError as error:  # the images are whole all the same
            log.warning("The card is missing (%s): type task=card to write it.", clause(error))
    return speed


def overwrite(job: Job, found: Snapshot) -> Snapshot:
    """Removes the dataset that was ``found``; what lies there then."""
    old = described(found.recipe.layout, job.output) if found.recipe else job.output
    job.target.overwrite(job.recipe, old)
    return job.target.look()


def log_beside(job: Job) -> AbstractContextManager:
    """Writes the log into the dataset's folder; nothing can be added to what is behind a URL."""
    folder = job.store.local_path
    if folder is None:
        return nullcontext()
    with job.store.errors():
        return logging_to_file(folder / LOG, *about_run(job.recipe.made_with))


def about_run(made_with: Mapping[str, str]) -> list[str]:
    """What a log says first: what was typed and where, and by what it is done."""
    versions = [f"Python {platform.python_version()}", *(f"{k} {v}" for k, v in made_with.items())]
    return [f"Command: {command(*sys.argv[1:])} (in {Path.cwd()})", f"With: {', '.join(versions)}"]


def announce(job: Job, todo: Sequence[Shard]) -> Estimate:
    """Says what is about to happen; refuses what cannot be. The first to import torch."""
    remaining = sum(map(len, todo))
    effort = try_out(job, todo)
    global_draws = job.producer.global_draws()
    if job.backend.in_threads and global_draws:
        raise UserError(
            f"{', '.join(global_draws)} draws from Python's or NumPy's global generator, which "
            "threads share: type backend=loky (or backend=sequential)."
        )
    plan = job.plan(effort, todo)
    workers = plan.workers
    seconds = effort.takes(plan.pieces(effort), workers)
    if not job.counted and (effort.bytes > _MOST_BYTES or seconds > _MOST_SECONDS):
        raise UserError(
            f"num_imgs is not typed, and {job.num_imgs:,} images would take "
            f"{effort.describe(seconds)}: type num_imgs=1000 for a first look, or "
            f"num_imgs={job.num_imgs} for all of them."
        )
    folder, free = job.store.local_path, ""
    if job.writes and folder is None:
        check_temporary(effort.parts + plan.staged(effort))
    elif job.writes:  # with what will be overwritten
        freed = job.target.bytes() if job.settings.if_exists == "overwrite" else 0
        free = f", {size(check_disk(folder, effort.disk + effort.parts, freed))} free"
    log.info(
        "%s images of %d px into %s: %s with %d worker%s%s%s.",
        f"{remaining:,}" + (f" of {job.num_imgs:,}" if remaining < job.num_imgs else ""),
        job.settings.img_size,
        job.store if job.writes else "nothing (output=none)",
        effort.describe(seconds),
        workers,
        "s" * (workers > 1),
        f", {kernel} kernel" if (kernel := job.producer.kernel()) else "",
        free,
    )
    return effort


def make(job: Job, todo: Sequence[Shard], effort: Estimate) -> float:
    """Runs the shards; on the way out nothing half-written stays. Images/s."""
    for name, helper in job.producer.slow().items():
        log.info("%s has no fast kernel: %s renders it correctly, but more slowly.", name, helper)
    begin = time.perf_counter()
    plan = job.plan(effort, todo)
    sizes, workers = plan.pieces(effort), plan.workers
    remaining = sum(map(len, todo))
    total = sum(map(len, job.own_shards))
    pause = effort.pause(workers) if workers > 1 else 0
    expected = {
        "seconds": effort.takes(sizes, workers),
        "pause": pause,
        "tail": effort.tail(sizes, workers),
    }
    with scratch() as folder, ExitStack() as stack:
        stack.enter_context(job.backend.started(workers))
        progress = Progress(folder, total, total - remaining, len(plan), **expected)
        try:
            stack.enter_context(progress)
            run_chunks(job, plan, progress, folder, patience=3 * pause)
        except BaseException as error:
            with ignore_signals():
                stop(job, progress)
                if isinstance(error, KeyboardInterrupt):
                    log.warning("Stopped: %s", how_to_go_on(job))
            if job.held and job.held.is_lost():
                job.held.check()
            if isinstance(error, WriteError):
                raise WriteError(f"{clause(error)}, then {how_to_go_on(job)}") from error
            raise
        made = progress.bytes
    seconds = time.perf_counter() - begin
    log.info(
        "%s images, %s, in %s: %s images/s.",
        f"{remaining:,}",
        size(made),
        duration(seconds) if seconds > 10 else f"{seconds:.2g} s",
        rate(remaining, seconds),
    )
    return remaining / seconds


def run_chunks(job: Job, plan: Plan, progress: Progress, folder: Path, patience: float) -> None:
    """Has every chunk made; once more those of the shards that a killed worker left unfinished.

    ``patience``: seconds, after which the driver waits for workers that are not ready yet.
    """
    backend = job.backend
    cluster = backend if isinstance(backend, Cluster) else None
    if cluster:
        work = job.work(SentCounts(cluster.channel(progress.hear)), folder)
        work = replace(work, producer=job.producer.sent(cluster.publish))
    else:
        work = job.work(progress.counts, folder)
        if plan.workers > 1 and not backend.in_threads:  # each maps the source into its memory
            with temporary_errors():
                work = replace(work, producer=job.producer.share(folder))
    sweep(work.store.staging / FOLDER, work.key, plan.shards, job.slice)
    tasks: Iterable[Task] = plan.tasks(work)
    for last in (False, True):
        try:
            waiting, begin = _Shared(tasks), time.monotonic()
            results = backend.run(render_in_worker, waiting, plan.workers)
            # Workers take seconds to start: the driver makes chunks meanwhile. It waits for no
            # part of theirs, since it would not hear that they are gone.
            for task in () if cluster else waiting:
                render_chunk(replace(task, early=0.0))
                if job.held:
                    job.held.check()
                if progress.begun or time.monotonic() - begin > patience:
                    break
            for made in results:
                if job.held:
                    job.held.check()
                if cluster:
                    progress.end(*made)
            return
        except WorkerLost as lost:
            if isinstance(lost.task, Task):
                shard = lost.task.shard
                raise UserError(
                    f"shard {shard.name} (images {shard.start} … {shard.stop - 1}) ended every "
                    "worker that made it, most likely because memory ran out: type a smaller "
                    f"output.shard_size or give workers more memory, then {how_to_go_on(job)}"
                ) from None
            shards = dict.fromkeys(plan.shard_of(slot).name for slot in progress.in_hand())
            names = ", ".join(shards) or "none"
            if last:
                raise UserError(
                    "a worker process was killed again, most likely because memory ran out (its "
                    f"shards: {names}): type fewer workers (threads=1), then {how_to_go_on(job)}"
                ) from None
            log.warning(
                "A worker process was killed, most likely because memory ran out (its shards: %s): "
                "it is tried once more.",
                names,
            )
            backend.stop()
            tasks = again(job, plan, work, progress)


def again(job: Job, plan: Plan, work: Work, progress: Progress) -> list[Task]:
    """The tasks that are left when a worker was killed; nobody is at work."""
    if job.writes:
        committed = set(job.target.manifest.names())
        shards = [shard for shard in plan.shards if record_place(shard) not in committed]
        sweep(work.store.staging / FOLDER, work.key, shards, job.slice)
        job.target.clear(job.output, job.slice)
        tasks = list(plan.tasks(work, shards))
    else:
        tasks = [t for t in plan.tasks(work) if not progress.ended(t.slot, len(t.chunk))]
    progress.forget(task.slot for task in tasks)
    return tasks


class _Shared(Iterator[Task]):
    """Tasks of which several threads take the next one: the driver's, and those of a backend."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks, self._lock = iter(tasks), Lock()

    def __next__(self) -> Task:
        with self._lock:
            return next(self._tasks)


def stop(job: Job, progress: Progress) -> None:
    """Ends all that is at work, and removes what it had not committed."""
    here = job.backend.in_threads and not job.backend.borrowed
    progress.stop(_PATIENCE if here else 0)
    job.backend.stop()
    if job.writes and not (job.held and job.held.is_lost()):
        job.store.clear_temporary(of=job.slice)
        clear_parts(job)


def clear_parts(job: Job) -> None:
    """Removes parts from the target; those for a store lie in the run's own folder."""
    if job.store.local_path is not None:
        clear(job.store.local_path / FOLDER, job.slice)


def how_to_go_on(job: Job) -> str:
    """What to type after a stop, the end of a sentence."""
    if job.settings.if_exists == "overwrite":
        return "type the same command with if_exists=resume to resume."
    return "type the same command again to resume."


def closing_lines(job: Job) -> None:
    """Where it is, how to load it, how to go on."""
    log.info("Folder:  %s", job.store)
    for line in job.output.load_lines(job.store, len(job.shards)):
        log.info("Load:    %s", line)
    more = [f"num_imgs={2 * job.num_imgs}", *job.typed_again()]
    if job.typed is not None:
        log.info("Extend:  %s", command(*job.typed, more[0]))
    elif job.store.local_path is not None:
        log.info("Extend:  %s", replay(str(job.store), *more))
    else:
        log.info("Extend:  the command of the run, with %s", more[0])
