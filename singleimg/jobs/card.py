"""The card of a dataset, beside its images: ``README.md`` and ``croissant.json``."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from singleimg.dataset.recipe import Recipe
from singleimg.dataset.target import CARD, CROISSANT, OURS
from singleimg.outputs.base import Output
from singleimg.report.card import Card
from singleimg.report.words import sentences
from singleimg.sources.base import safe_name
from singleimg.storage.base import Store
from singleimg.system.logs import log


def card_of(settings: DictConfig, recipe: Recipe, num_imgs: int, output: Output) -> Card:
    """What a card says of the dataset that these settings and this recipe describe."""
    pixels = settings.img_size
    return Card(
        name=f"{source_name(settings.image)}-{settings.augment.name}-{pixels}px",
        count=num_imgs,
        lead=f"{num_imgs:,} images of {pixels} × {pixels} pixels, all made of {made_of(recipe)} "
        "by random crops, turns and changes of colour.",
        recipe=sentences(recipe.pixels["transforms"]),
        seed=settings.seed,
        fingerprint=recipe.fingerprint,
        made_with=recipe.made_with,
        licence=settings.image.get("licence"),
        files=output.published,
        media=output.media,
        column=output.column,
        suffix=output.image_suffix,
        read=output.read_lines,
    )


def made_of(recipe: Recipe) -> str:
    """``one picture``, or how many."""
    count = len(recipe.pixels["sources"])
    return "one picture" if count == 1 else f"{count:,} pictures"


def source_name(image: DictConfig) -> str:
    """As in the name of a dataset's folder; the picture may be gone."""
    place = image.get("path") or image.get("url")
    kind = str(image._target_).rpartition(".")[2]
    return safe_name(str(image.get("name") or (Path(str(place)).stem if place else kind)))


def write_card(
    store: Store, settings: DictConfig, recipe: Recipe, num_imgs: int, output: Output
) -> None:
    """Writes both; a README.md that somebody else wrote, or took over, stays as it is."""
    card = card_of(settings, recipe, num_imgs, output)
    with store.errors():
        store.write(CROISSANT, card.croissant())
        there = store.read(CARD)
        if there is None or OURS.encode() in there:
            store.write(CARD, card.markdown(OURS))
        else:
            log.info("%s was edited, and stays as it is.", store.path_of(CARD))
