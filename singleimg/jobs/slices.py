"""Machines that make slices of one dataset, and know of each other by files in it alone.

What all of them have in common (how many slices, how many images, the recipe) is written by the
first one: ``.slices/agreement.json`` is created exclusively. Each holds its slice by a lease (see
``storage/lease.py``) and commits its own shards. Whoever finds all shards there after its last one
writes ``dataset.json``, whose bytes are a function of the records alone; the last one to leave
removes ``.slices``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from singleimg.dataset.recipe import Recipe, parse_recipe
from singleimg.dataset.target import DATASET, Target
from singleimg.errors import UserError, unwritable
from singleimg.jobs.job import Job
from singleimg.outputs.base import Output
from singleimg.storage.base import NotExclusive, Store
from singleimg.storage.lease import FOLDER, Holding, forget_slices, hold_slice
from singleimg.storage.lock import refuse_held

AGREEMENT = f"{FOLDER}/agreement.json"


@dataclass(frozen=True)
class Agreement:
    """What all slices of a dataset have in common."""

    slices: int
    num_imgs: int
    recipe: Recipe

    def text(self) -> str:
        about = {"slices": self.slices, "num_imgs": self.num_imgs}
        return json.dumps({**about, "recipe": json.loads(self.recipe.text())}, indent=2) + "\n"

    def differences(self, other: Agreement) -> list[str]:
        """``key: old → new`` for every value in which ``other`` (the new one) differs."""
        numbers = [(key, getattr(self, key), getattr(other, key)) for key in ("slices", "num_imgs")]
        found = [f"{key}: {old} → {new}" for key, old, new in numbers if old != new]
        return [*found, *self.recipe.differences(other.recipe)]


def read_agreement(store: Store) -> Agreement | None:
    """What was agreed on for a dataset; None: nothing yet."""
    data = store.read(AGREEMENT)
    if data is None:
        return None
    try:
        found = json.loads(data)
        recipe = parse_recipe(json.dumps(found["recipe"]).encode())
        return Agreement(int(found["slices"]), int(found["num_imgs"]), recipe)
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{store.path_of(AGREEMENT)} is corrupted: type task=prepare with the keys of the "
            "slices."
        ) from None


@contextmanager
def sharing(job: Job) -> Iterator[Holding]:
    """Agrees with the other slices of a dataset, and holds this one.

    Raises UserError where this slice was typed otherwise than others, or somebody else has it.
    """
    store = job.store
    if store.local_path is not None:
        try:
            store.local_path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(store.local_path, error) from None
    agree(job)
    with hold_slice(store, job.slice) as holding:
        refuse_held(store)  # after the lease, which a run of the whole looks for after its lock
        yield holding
    leave(job.target, job.output)


def leave(target: Target, output: Output) -> None:
    """The last one that leaves a dataset that is whole removes what slices left there."""
    if target.store.exists(DATASET) and not forget_slices(target.store):
        target.clear(output)


def agree(job: Job) -> None:
    """Writes what all slices have in common, or compares it with what is written."""
    mine = Agreement(job.slice.count, job.num_imgs, job.recipe)
    found = read_agreement(job.store)
    if found is None:
        try:
            with job.store.errors():
                job.store.create(AGREEMENT, mine.text())
        except NotExclusive:
            raise UserError(
                f"targetpath={job.store} is in a store that cannot coordinate slices: type "
                f"task=prepare task.slices={mine.slices} with the same keys first."
            ) from None
        found = read_agreement(job.store) or mine
    if job.settings.allow_version_change:
        found = replace(found, recipe=replace(found.recipe, made_with=job.recipe.made_with))
    if differences := found.differences(mine):
        raise UserError(
            f"targetpath={job.store} is made in slices of other settings "
            f"({'; '.join(differences)}): type those of the others, another targetpath, or, when "
            "none is running, task=prepare for new slices."
        )
