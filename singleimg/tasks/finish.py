"""``task=finish``: ends a dataset that slices have made, or names what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from singleimg.errors import UserError
from singleimg.jobs.card import write_card
from singleimg.jobs.existing import find_target, open_dataset
from singleimg.jobs.slices import leave, read_agreement
from singleimg.storage.lease import living_leases
from singleimg.storage.lock import refuse_held
from singleimg.storage.shards import Shard, Shards, Slice
from singleimg.system.logs import log, logging_to_console

_NAMED = 8  # shards of a slice, at most


def finish(cfg: DictConfig) -> None:
    """Writes ``dataset.json`` if every shard is there; else raises UserError, which says so."""
    with logging_to_console():
        target = find_target(cfg)
        refuse_held(target.store)
        dataset, agreement = open_dataset(cfg, target), read_agreement(target.store)
        num_imgs = agreement.num_imgs if agreement else dataset.shards.num_imgs
        shards = Shards(num_imgs, dataset.output.shard_size)
        done = target.done(target.look(), shards, dataset.recipe, dataset.output)
        missing = [shard for shard in shards if shard.number not in done]
        if missing:
            at_work = {lease.slice: str(lease) for lease in living_leases(target.store)}
            count = agreement.slices if agreement else 1
            for one in (Slice(number, count) for number in range(count)):
                own = [shard for shard in missing if shard.number in one]
                if own:
                    log.info("%s", _line(one, own, at_work))
            again = "those slices" if agreement else "the command of the run"
            raise UserError(
                f"targetpath={target.store}: {len(missing):,} of {len(shards):,} shards are "
                f"missing: type {again} again."
            )
        target.finish(dataset.recipe, num_imgs, dataset.output)
        write_card(target.store, dataset.settings, dataset.recipe, num_imgs, dataset.output)
        leave(target, dataset.output)
        log.info("All %s images are in %s.", f"{num_imgs:,}", target.store)


def _line(one: Slice, missing: Sequence[Shard], at_work: dict[str, str]) -> str:
    """What is missing of a slice, and whether somebody is at work on it."""
    names = ", ".join(shard.name for shard in missing[:_NAMED])
    more = f" and {len(missing) - _NAMED:,} more" if missing[_NAMED:] else ""
    whose = f"slice={one}: " if one.count > 1 else ""
    work = f" ({at_work[str(one)].partition(' is ')[2]})" if str(one) in at_work else ""
    return f"{whose}{len(missing):,} shards missing, {names}{more}{work}"
