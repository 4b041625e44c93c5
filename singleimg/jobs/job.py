"""A run as plain values, from the configuration that describes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from singleimg.backends.base import Backend
from singleimg.backends.cluster import Cluster
from singleimg.config import saved
from singleimg.config.command_line import trusting
from singleimg.config.command_line import typed as typed_key
from singleimg.config.location import CONF
from singleimg.config.make import instantiate, resolved_transforms
from singleimg.config.paths import PATHS, escape, here
from singleimg.config.saved import SWEPT
from singleimg.dataset.open import from_config
from singleimg.dataset.recipe import Recipe, check_draws, make_recipe, versions
from singleimg.dataset.target import CONFIG, RESOLVED, Snapshot, Target
from singleimg.errors import UserError, is_url, misfit
from singleimg.jobs.estimate import Estimate
from singleimg.jobs.parts import key_of
from singleimg.jobs.plan import Plan
from singleimg.jobs.producers import Producer, Rendered
from singleimg.jobs.progress import Counts
from singleimg.jobs.work import Work
from singleimg.outputs.base import Output
from singleimg.sources.base import Source, examine, pixel_hash
from singleimg.storage.base import Store
from singleimg.storage.lease import Holding
from singleimg.storage.remote import check_keeps
from singleimg.storage.shards import WHOLE, Shard, Shards, Slice
from singleimg.system.logs import log
from singleimg.version import __version__


@dataclass(frozen=True)
class Job:
    """What to make, where, and who works."""

    producer: Producer
    texts: dict[str, str]  # files that lie beside the images, by name
    recipe: Recipe
    target: Target
    num_imgs: int
    output: Output
    backend: Backend
    settings: DictConfig  # keys that change no byte: batch_size, if_exists, …
    typed: list[str] | None = None  # arguments that make more of the same, with num_imgs
    slice: Slice = WHOLE  # which of its shards are made here
    held: Holding | None = None  # of a slice
    named: bool = True  # whether the target was typed
    counted: bool = True  # whether the number of images was said

    @property
    def writes(self) -> bool:
        """Whether anything is left on disk."""
        return self.output.layout() is not None

    @property
    def store(self) -> Store:
        """Where the dataset lies."""
        return self.target.store

    @property
    def shards(self) -> Shards:
        """All shards of the dataset."""
        return Shards(self.num_imgs, self.output.shard_size)

    @property
    def own_shards(self) -> list[Shard]:
        """Those that are made here."""
        return [shard for shard in self.shards if shard.number in self.slice]

    @cached_property
    def workers(self) -> int:
        """How many there may be; a cluster is asked for that when it is needed."""
        workers = self.backend.workers(self.settings.threads)
        if type(workers) is not int or workers < 1:
            name = f"{type(self.backend).__name__}.workers"
            raise misfit(name, workers, "a whole number of 1 or more")
        return workers

    def plan(self, effort: Estimate, shards: Sequence[Shard]) -> Plan:
        """Who makes what of these."""
        return Plan.of(shards, self.output, self.backend, self.workers, effort)

    @property
    def parts_key(self) -> str:
        """Of the parts of which this run would make the same bytes."""
        recipe = self.recipe
        return key_of(recipe.fingerprint, recipe.layout, recipe.made_with, __version__)

    def work(self, counts: Counts, folder: Path) -> Work:
        """What all tasks have in common; ``folder`` is the run's own."""
        return Work(
            run=uuid4().hex,
            producer=self.producer,
            output=self.output,
            store=self.store.within(folder),
            fingerprint=self.recipe.fingerprint,
            made_with=self.recipe.made_with,
            save_params=self.settings.save_params,
            batch_size=self.settings.batch_size,
            counts=counts,
            folder=folder,
            key=self.parts_key,
            trusted=tuple(self.settings.trusted_modules),
            versions=versions(self.recipe.made_with) if isinstance(self.backend, Cluster) else None,
        )

    def typed_again(self) -> list[str]:
        """Keys that a saved configuration does not keep, and this run needed."""
        typed = trusting(self.settings.trusted_modules)
        if self.settings.allow_version_change:
            typed.append("allow_version_change=true")
        return typed

    def todo(self, found: Snapshot) -> list[Shard]:
        """Those of its own shards that are not committed, whole and of this recipe."""
        if not self.writes or self.settings.if_exists == "overwrite":
            return self.own_shards
        done = self.target.done(found, self.shards, self.recipe, self.output)
        return [shard for shard in self.own_shards if shard.number not in done]


def prepare(cfg: DictConfig) -> Job:
    """The job that a checked configuration describes; reads the source, writes nothing."""
    typed, named = typed_arguments(cfg), cfg.targetpath is not None
    source = instantiate(cfg, "image")
    if "class_name" in cfg.output:
        cfg.output.class_name = cfg.output.class_name or source.name
    engine, encoder = instantiate(cfg, "engine"), instantiate(cfg, "encode")
    output = instantiate(cfg, "output", image_suffix=encoder.suffix)
    output.require()
    if cfg.save_params is None:
        cfg.save_params = output.draws
    sources, profiles, sizes = examine(source)
    smallest = min(map(min, sizes))
    if 10 * smallest < cfg.img_size:
        log.warning(
            "A picture of %d px is less than a tenth of img_size=%d: its images show no detail.",
            smallest, cfg.img_size,
        )  # fmt: skip
    images = from_config(cfg, sources, source, engine)
    images.pictures.sizes.update(enumerate(sizes))
    recipe = make_recipe(
        sources=sources,
        transforms=resolved_transforms(cfg),
        img_size=cfg.img_size,
        seed=cfg.seed,
        engine=engine.name,
        encoder=encoder.recipe(),
        layout={**(output.layout() or {}), "save_params": cfg.save_params},
        libraries=[*engine.decides(images.pipeline), *encoder.libraries, *output.libraries],
    )
    if profiles:
        recipe.made_with["profiles"] = "; ".join(sorted(profiles))
    cfg.targetpath = escape(str(choose_target(cfg, source.name, recipe.fingerprint)))
    if profiles and cfg.if_exists == "resume":
        refuse_unconverted(cfg, source, recipe)
    check_place(cfg.targetpath, output)
    if cfg.num_imgs > len(sources) and not images.varies():
        log.warning(
            "augment=%s changes nothing: the %s images of %s are copies of the same.",
            cfg.augment.name, f"{cfg.num_imgs:,}",
            f"{len(sources)} pictures" if sources[1:] else "one picture",
        )  # fmt: skip
    texts = {CONFIG: saved.config_text(cfg), RESOLVED: saved.resolved_text(cfg)}
    job = describe(cfg, recipe, output, Rendered(images, encoder, cfg.save_params), texts)
    return replace(job, typed=typed, named=named, counted=saved.counted())


def refuse_unconverted(cfg: DictConfig, source: Source, recipe: Recipe) -> None:
    """Raises UserError for a target that was begun when colour profiles were not read."""
    found = Target.at(cfg.targetpath, cfg.durable).recipe()
    if found is None or found.pixels.get("sources") == recipe.pixels["sources"]:
        return
    pictures = (source.decoded(k, convert=False).pixels for k in range(len(source)))
    if found.pixels.get("sources") == [pixel_hash(pixels) for pixels in pictures]:
        raise UserError(
            f"targetpath={cfg.targetpath} was made without colour conversion, and its pictures "
            f"have other colours than sRGB ({recipe.made_with['profiles']}): type another "
            "targetpath, or if_exists=overwrite to replace it."
        )


def refuse_former_set() -> None:
    """Raises UserError where a dataset's own configuration is run that cannot make it again."""
    if not HydraConfig.initialized():
        return
    for one in HydraConfig.get().runtime.config_sources:
        folder = Path(one.path)
        if one.schema == "file" and folder != CONF and saved.is_dataset(folder):
            recipe = Target.at(str(folder)).recipe()
            if recipe is not None:
                check_draws(
                    recipe,
                    str(folder),
                    "use that version to make it again, or copy its config.yaml into a folder of "
                    "its own to make new images by its settings.",
                )


def describe(
    cfg: DictConfig, recipe: Recipe, output: Output, producer: Producer, texts: dict[str, str]
) -> Job:
    """The job of a configuration whose recipe, output, producer and target are known."""
    backend = instantiate(cfg, "backend")
    one = Slice.of(cfg.slice) if cfg.slice else WHOLE
    if backend.borrowed or cfg.slice:
        refuse_kept(output, "slice" if cfg.slice else "backend.address")
    if cfg.slice and cfg.if_exists != "resume":
        raise UserError(
            f"if_exists={cfg.if_exists} cannot be used for one slice of several: type task=prepare "
            f"task.slices={one.count} if_exists={cfg.if_exists} first, then the slices without it."
        )
    return Job(
        producer=producer,
        texts=texts,
        recipe=recipe,
        target=Target.at(cfg.targetpath, cfg.durable),
        num_imgs=cfg.num_imgs,
        output=output,
        backend=backend,
        settings=cfg,
        slice=one,
    )


def refuse_kept(output: Output, key: str) -> None:
    """Raises UserError for an output that several machines cannot make."""
    if output.kept:
        raise UserError(
            f"output={output.name} writes all shards into one file, which only processes of one "
            f"machine can share: type output=webdataset or output=parquet, or leave {key} out."
        )


def check_place(targetpath: str, output: Output) -> None:
    """Refuses a URL for what can only lie on a disk."""
    if not is_url(targetpath):
        output.check_place(Path(targetpath))
        return
    check_keeps(targetpath)
    if not output.remote:
        raise UserError(
            f"targetpath={targetpath} is behind a URL, and output={output.name} writes to disks of "
            "this machine only: type output=webdataset, output=parquet or output=mds, or a folder."
        )


def choose_target(cfg: DictConfig, source: str, fingerprint: str) -> Path | str:
    """``targetpath``, or a folder below it in a sweep, or one in ``outputs`` named by the recipe.

    The number of images is no part of the name: the same command with more of them goes on.
    """
    hydra_cfg = HydraConfig.get() if HydraConfig.initialized() else None
    sweeping = hydra_cfg is not None and hydra_cfg.mode == RunMode.MULTIRUN
    if cfg.targetpath and not sweeping:
        return cfg.targetpath
    swept = hydra_cfg.runtime.choices.get(SWEPT, ()) if sweeping else ()
    first = "-".join([source, cfg.augment.name, f"{cfg.img_size}px"])
    last = "-".join([*saved.differences(cfg, swept), fingerprint[:8]])
    if is_url(cfg.targetpath):
        return f"{cfg.targetpath.rstrip('/')}/{first}-{last}"
    folder = Path(cfg.targetpath or here() / "outputs")
    if not sweeping and not (folder / f"{first}-{last}").exists():
        # Once the number of images was a part of the name.
        old = re.compile(rf"{re.escape(first)}-(\d+)-{re.escape(last)}")
        found = [name for path in folder.glob(f"*-{last}") if (name := old.fullmatch(path.name))]
        if found:
            return folder / max(found, key=lambda name: int(name[1])).string
    return folder / f"{first}-{last}"


def typed_arguments(cfg: DictConfig) -> list[str] | None:
    """What was typed that makes the same images, paths as whole ones; None: nothing of ours was.

    That is so in a sweep, whose jobs have targets of their own, of a saved configuration, and
    where choices of groups come from elsewhere (``--config-dir``).
    """
    hydra_cfg = HydraConfig.get() if HydraConfig.initialized() else None
    if hydra_cfg is None or hydra_cfg.mode == RunMode.MULTIRUN:
        return None
    sources = OmegaConf.to_container(hydra_cfg.runtime.config_sources, resolve=False)
    if {one["path"] for one in sources if one["schema"] == "file"} != {str(CONF)}:
        return None
    arguments = []
    for text in OmegaConf.to_container(hydra_cfg.overrides.task, resolve=False):
        key = text.partition("=")[0].lstrip("+")
        if key not in ("num_imgs", "debug", "if_exists", "slice"):  # of this run alone
            arguments.append(typed_key(key, cfg[key]) if key in PATHS and key in cfg else text)
    return arguments
