"""``task=export``: a dataset in another format, image by image the same bytes, nothing rendered.

The new dataset is the one that a run with that output would have made: its recipe, its records and
its files are the same to the byte, so that it can be extended, verified and mended like any other.
"""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from singleimg.config import saved
from singleimg.config.make import instantiate
from singleimg.config.paths import escape
from singleimg.dataset.open import from_config
from singleimg.dataset.recipe import Recipe, check_draws, versions
from singleimg.dataset.target import CONFIG, RESOLVED
from singleimg.errors import UserError, clause
from singleimg.jobs.driver import closing_lines, complete, is_whole
from singleimg.jobs.existing import ExistingDataset, find_target, open_finished
from singleimg.jobs.job import Job, check_place, describe
from singleimg.jobs.producers import Stored
from singleimg.outputs.base import Output
from singleimg.storage.lock import hold
from singleimg.storage.resolve import store_at
from singleimg.system.logs import log, logging_to_console

_OF_THE_RUN = ("threads", "batch_size", "durable", "if_exists", "allow_version_change", "backend")


def export(cfg: DictConfig) -> float | None:
    """Writes the images of ``targetpath`` to ``task.to``; compares each with its record. Images/s
    of those that were missing there."""
    with logging_to_console():
        if cfg.task.to is None:
            raise UserError("task=export needs a place for the new dataset: type task.to=….")
        target = find_target(cfg)
        stored = open_finished(cfg, target)
        job = describe_export(cfg, stored)
        found = job.target.look()
        if is_whole(job, found):
            log.info("All %s images are in %s already.", f"{job.num_imgs:,}", job.store)
            closing_lines(job)
            return None
        with hold(job.store):
            return complete(job, found)


def describe_export(cfg: DictConfig, stored: ExistingDataset) -> Job:
    """The run that makes the same dataset as ``stored`` in the format of ``cfg.output``."""
    to = cfg.task.to
    if _place(str(stored.target.store)) == _place(to):
        raise UserError(f"task.to={to} is targetpath itself: type another folder.")
    settings, written = stored.settings, saved.raw(stored.target.store)
    for one in (settings, written):  # with values, and with references
        OmegaConf.set_struct(one, False)
        one.output = _output(cfg, one)
        one.targetpath, one.num_imgs = escape(to), stored.shards.num_imgs
        one.update({key: cfg[key] for key in _OF_THE_RUN})
    output = instantiate(settings, "output", image_suffix=stored.encoder.suffix)
    output.require()
    if output.layout() is None:
        raise UserError(f"output={output.name} writes nothing: type another output.")
    check_place(to, output)
    draws = output.draws if cfg.save_params is None else cfg.save_params
    if draws:
        without = "type save_params=false to export its images alone, or use that version."
        check_draws(stored.recipe, f"targetpath={stored.target.store}", without)
    if draws and not cfg.allow_version_change:
        _check_versions(settings, stored)
    settings.save_params = written.save_params = draws
    layout = {**output.layout(), "save_params": draws}
    recipe = Recipe(stored.recipe.pixels, layout, _made_with(stored, output))
    texts = {CONFIG: saved.config_text(written), RESOLVED: saved.resolved_text(settings)}
    return describe(settings, recipe, output, _producer(settings, stored, draws), texts)


def _producer(settings: DictConfig, stored: ExistingDataset, draws: bool) -> Stored:
    """The images as they lie there; ``draws``: what was drawn is drawn again, which is cheap."""
    reader = stored.output.reader(stored.target.store)
    if not draws:
        return Stored(stored.target, reader, stored.shards, None)
    try:
        images = from_config(settings, sources=stored.recipe.pixels["sources"])
        return Stored(stored.target, reader, stored.shards, images)
    except UserError as error:
        raise UserError(
            f"what was drawn cannot be drawn again without the source: "
            f"{clause(error)}, or type save_params=false."
        ) from None


def _place(text: str) -> str:
    """A folder or URL by one name of the several that it may have."""
    store = store_at(text)
    return str(store) if store.local_path is None else str(store.local_path.resolve())


def _check_versions(settings: DictConfig, stored: ExistingDataset) -> None:
    """Refuses to say of images what other versions of the libraries would draw for them."""
    writers = {name.lower() for name in (*stored.encoder.libraries, *stored.output.libraries)}
    drawers = stored.recipe.made_with.keys() - writers - {"profiles"}
    made_with = {name: stored.recipe.made_with[name] for name in sorted(drawers)}
    here = versions(made_with)
    other = [f"{n}: {made_with[n]} → {here[n]}" for n in made_with if made_with[n] != here[n]]
    if other:
        raise UserError(
            f"targetpath={stored.target.store} was made with other versions ({'; '.join(other)}), "
            "which may have drawn differently: type save_params=false, allow_version_change=true "
            "to draw with those here anyway, or install the old versions."
        )


def _output(cfg: DictConfig, one: DictConfig) -> DictConfig:
    """The wanted output, whose class is called as that of the images that there are."""
    output = OmegaConf.create(OmegaConf.to_container(cfg.output, resolve=False))
    if "class_name" in output and output.class_name is None:
        output.class_name = one.output.get("class_name") or instantiate(one, "image").name
    return output


def _made_with(stored: ExistingDataset, output: Output) -> dict[str, str]:
    """Versions: of what made the images, and of what writes the new files."""
    made_with = {
        name: version
        for name, version in stored.recipe.made_with.items()
        if name not in stored.output.libraries
    }
    here = versions(output.libraries)
    return {**made_with, **{name: here[name.lower()] for name in output.libraries}}
