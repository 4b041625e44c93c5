"""The main job: one image in, a training set of any size out."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from singleimg import config
from singleimg.errors import UserError
from singleimg.estimate import Estimate, check_disk, duration, estimate, size
from singleimg.logs import log, logging_to_console, logging_to_file
from singleimg.manifest import Manifest, Shard, plan
from singleimg.preview import DEBUG_IMAGES, grid
from singleimg.progress import Progress
from singleimg.recipe import Recipe, make_recipe
from singleimg.source import hashes


@dataclass(frozen=True)
class Job:
    """A run as plain values: what to make, where, and who works."""

    spec: str  # the resolved configuration as JSON
    texts: dict[str, str]  # files that lie beside the images, by name
    recipe: Recipe
    target: Path
    num_imgs: int
    output: Any
    backend: Any
    workers: int
    debug: bool

    @property
    def manifest(self) -> Manifest:
        return Manifest(self.target)

    @property
    def writes(self) -> bool:
        """Whether anything is left on disk."""
        return self.output.layout() is not None


def generate(cfg: DictConfig) -> None:
    """Makes the dataset that ``cfg`` describes, or what is missing of it."""
    with logging_to_console():
        job = prepare(cfg)
        if job.writes:
            job.manifest.check(job.recipe, job.num_imgs)
        todo = shards_to_do(job)
        if not todo:
            log.info("All %s images are in %s already.", f"{job.num_imgs:,}", job.target)
            closing_lines(job)
            return
        effort = announce(job, todo)
        if not job.writes:
            make(job, todo, effort)
            return
        job.manifest.begin(job.recipe, job.texts)
        with logging_to_file(job.target / "run.log"):
            make(job, todo, effort)
            closing_lines(job)


def prepare(cfg: DictConfig) -> Job:
    """The job that a checked configuration describes; reads the source, writes nothing."""
    source = config.instantiate(cfg.image, "image")
    cfg.output.class_name = cfg.output.class_name or source.name
    output = config.instantiate(cfg.output, "output")
    backend = config.instantiate(cfg.backend, "backend")
    recipe = make_recipe(
        sources=hashes(source),
        transforms=config.resolved_transforms(cfg),
        img_size=cfg.img_size,
        seed=cfg.seed,
        engine=cfg.engine.name,
        encoder=output.encoder.settings(),
        layout={**(output.layout() or {}), "save_params": cfg.save_params},
        libraries=cfg.engine.libraries,
    )
    num_imgs = DEBUG_IMAGES if cfg.debug else cfg.num_imgs
    cfg.num_imgs = num_imgs
    cfg.targetpath = str(choose_target(cfg, source.name, recipe.fingerprint))
    return Job(
        spec=json.dumps(OmegaConf.to_container(cfg, resolve=True)),
        texts={
            "config.yaml": config.saved_config_text(cfg),
            "config.resolved.yaml": OmegaConf.to_yaml(cfg, resolve=True),
        },
        recipe=recipe,
        target=Path(cfg.targetpath),
        num_imgs=num_imgs,
        output=output,
        backend=backend,
        workers=backend.workers(cfg.threads),
        debug=cfg.debug,
    )


def choose_target(cfg: DictConfig, source: str, fingerprint: str) -> Path:
    """``targetpath``, or a folder below it in a sweep, or one in ``outputs`` named by the run."""
    sweeping = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if cfg.targetpath and not sweeping:
        return Path(cfg.targetpath)
    parts = [source, cfg.augment.name, f"{cfg.img_size}px", str(cfg.num_imgs)]
    name = "-".join([*parts, *config.differences(cfg), fingerprint[:8]])
    return Path(cfg.targetpath or "outputs").absolute() / name


def shards_to_do(job: Job) -> list[Shard]:
    """The shards that have no record, or whose record is of a shorter one."""
    shards = plan(job.num_imgs, job.output.shard_size)
    if not job.writes:
        return shards
    done = {record.shard for record in job.manifest.records()}
    return [s for s in shards if s not in done or not job.output.holds(job.target, s)]


def announce(job: Job, todo: list[Shard]) -> Estimate:
    """Says what is about to happen; refuses what cannot be. The first to import torch."""
    from singleimg.shards import build

    images, output = build(job.spec)
    num_imgs = sum(len(shard) for shard in todo)
    effort = estimate(images, output.encoder, num_imgs)
    global_draws = images.pipeline.global_draws()
    if job.backend.in_threads and global_draws:
        raise UserError(
            f"{', '.join(global_draws)} draws from Python's or NumPy's global generator, which "
            "threads share: type backend=loky (or backend=sequential)."
        )
    workers = 1 if effort.is_short else job.workers
    free = f", {size(check_disk(job.target, effort.bytes))} free" if job.writes else ""
    log.info(
        "%s images of %d px into %s: %s with %d worker%s%s.",
        f"{num_imgs:,}" + (f" of {job.num_imgs:,}" if num_imgs < job.num_imgs else ""),
        images.img_size,
        job.target if job.writes else "nothing (output=none)",
        effort.describe(workers),
        workers,
        "s" * (workers > 1),
        free,
    )
    return effort


def make(job: Job, todo: list[Shard], effort: Estimate) -> None:
    """Runs the shards; on the way out nothing half-written stays."""
    from singleimg.shards import Task, build, render_shard

    name_slow(job)
    begin = time.perf_counter()
    num_imgs = sum(len(shard) for shard in todo)
    workers = 1 if effort.is_short else job.workers
    if job.writes:
        job.manifest.reopen(todo)
    with (
        TemporaryDirectory(prefix="singleimg-") as scratch,
        Progress(scratch, job.num_imgs, job.num_imgs - num_imgs, len(todo)) as progress,
    ):
        pictures = share_pictures(job, Path(scratch)) if workers > 1 else None
        first, *others = [
            Task(job.spec, job.target, shard, progress.file, slot, pictures if slot else None)
            for slot, shard in enumerate(todo)
        ]
        try:
            # Workers take seconds to start: the driver makes the first shard meanwhile.
            results = job.backend.run(render_shard, others, workers)
            records = [render_shard(first), *results]
        except BaseException as error:
            job.backend.stop()
            if job.writes:
                job.manifest.clean()
            if isinstance(error, KeyboardInterrupt):
                log.warning("Stopped. The same command goes on where it stopped.")
            raise
    seconds = time.perf_counter() - begin
    if job.writes:
        finish(job, seconds)
        if job.debug:
            images, _ = build(job.spec)
            grid(images.render(i) for i in range(job.num_imgs)).save(job.target / "grid.png")
    log.info(
        "%s images, %s, in %s: %.0f images/s.",
        f"{num_imgs:,}",
        size(sum(record.bytes for record in records)),
        duration(seconds),
        num_imgs / seconds,
    )


def share_pictures(job: Job, folder: Path) -> Path:
    """Puts the decoded source into ``folder``, where workers map it into their memory."""
    from singleimg.shards import build

    images, _ = build(job.spec)
    images.pictures.share(folder)
    return folder


def name_slow(job: Job) -> None:
    """Says which transforms the engine has no kernel for."""
    from singleimg.shards import build

    images, _ = build(job.spec)
    for name, helper in images.plan.slow.items():
        log.info("%s has no fast kernel: %s renders it, right and slower.", name, helper)


def finish(job: Job, seconds: float) -> None:
    """Writes ``dataset.json``, the word that every image is there."""
    records = job.manifest.records()
    job.manifest.finish(
        {
            "images": sum(len(record.shard) for record in records),
            "shards": len(records),
            "bytes": sum(record.bytes for record in records),
            "seconds": round(seconds, 3),
            "fingerprint": job.recipe.fingerprint,
        }
    )


def closing_lines(job: Job) -> None:
    """Where it is, how to load it, how to go on."""
    log.info("Folder:  %s", job.target)
    log.info("Load:    %s", job.output.load_line(job.target))
    log.info(
        "Extend:  python run.py -cp %s -cn config targetpath=%s num_imgs=%d",
        job.target,
        job.target,
        2 * job.num_imgs,
    )
