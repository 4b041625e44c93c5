"""What stands on a dataset's page: drawn and measured anew from its recipe and its files."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from singleimg.config.command_line import command, replay, trusting, typed
from singleimg.dataset.open import from_config
from singleimg.dataset.recipe import check_draws
from singleimg.dataset.target import PAGE
from singleimg.drawing.steps import LawStep
from singleimg.engines.raster.footprint import areas, footprints
from singleimg.errors import UserError
from singleimg.images import SingleImage
from singleimg.jobs.card import made_of
from singleimg.jobs.existing import ExistingDataset
from singleimg.jobs.measure import fill_share
from singleimg.report.dataset import DatasetPage, heat_picture, pairs_picture
from singleimg.report.heat import heat_map
from singleimg.report.histograms import Histogram, Histograms
from singleimg.report.plots import Plot, histogram_plot, line_plot
from singleimg.report.preview import contact_sheet, marked_source, resized
from singleimg.report.words import sentences
from singleimg.storage.base import DamagedFile
from singleimg.storage.manifest import DamagedRecord, record_place
from singleimg.system.bars import Bar
from singleimg.system.figures import duration, size

_SAMPLE = 2000  # images that are read
_SHOWN, _COLUMNS, _SIDE = 40, 8, 80  # images of the sheet, in a row, and pixels of each
_LEAST, _WIDTH, _HEIGHT = 320, 720, 1080  # of the source as it is shown, pixels
_DRAWN = 50_000  # images, at once
_MOST = 10_000_000  # images, of which the draws are counted
_SLOW = 20_000  # images, of transforms that are drawn one by one
_PLACED = 20_000  # images whose places make the map
_READ = 64  # files, at once
_ALIKE = 4  # bits of 64 in which near-duplicates differ, at most
_PAIRS = 6


def page_of(dataset: ExistingDataset, images: SingleImage | None = None) -> DatasetPage:
    """The page of a finished dataset; ``images``: of its recipe, if somebody has them.

    What needs the source is left out, and said, where that is not there any more.
    """
    summary, count = dataset.summary or {}, dataset.shards.num_imgs
    name = str(dataset.target.store).rstrip("/").rpartition("/")[2]
    looked, pixels, recipe = look(dataset, count), dataset.settings.img_size, dataset.recipe
    page = DatasetPage(
        title=name,
        lead=f"{count:,} images of {pixels} × {pixels} pixels, made of {made_of(recipe)} by the "
        f"preset {dataset.settings.augment.name}.",
        recipe=sentences(recipe.pixels["transforms"]),
        replay=_replay(dataset),
        load=_load(dataset),
        sheet=contact_sheet(looked.first, _COLUMNS, _SIDE),
        sheet_text=f"The first {len(looked.first)} images.",
        bytes=histogram_plot(looked.sizes()),
        alike=histogram_plot(looked.distances()),
    )
    page.facts = [
        ("images", f"{count:,}"),
        ("size", size(summary.get("bytes", 0))),
        ("bytes an image", size(summary.get("bytes", 0) / max(1, count))),
        ("format", dataset.output.name),
        ("shards", f"{len(dataset.shards):,}"),
        ("fingerprint", recipe.fingerprint[:12]),
    ]
    near = looked.near_duplicates()
    of = f"near-duplicates in a sample of {len(looked.hashes):,}"
    page.facts.append((of, f"{near / len(looked.hashes):.2%}"))
    if looked.pairs:
        page.closest = pairs_picture(looked.pairs)
        page.closest_text = (
            "The most alike pairs of the sample, one above the other. Near-duplicates differ in at "
            f"most {_ALIKE} of the 64 bits of a difference hash."
        )
    page.versions = list(recipe.made_with.items())
    _add_draws(page, dataset, images, count)
    page.speed = _speed(dataset)
    return page


def write_page(dataset: ExistingDataset, images: SingleImage | None = None) -> str:
    """Writes the page beside the images; where."""
    store = dataset.target.store
    try:
        html = page_of(dataset, images).html()
    except (DamagedRecord, DamagedFile, FileNotFoundError, UnidentifiedImageError) as error:
        look = command("task=verify", typed("targetpath", store), *_trusting(dataset))
        raise UserError(
            f"targetpath={store} cannot be read ({error}): to see what is wrong, type {look}"
        ) from None
    with store.errors():
        store.write(PAGE, html)
    return store.path_of(PAGE)


def _trusting(dataset: ExistingDataset) -> list[str]:
    return trusting(dataset.settings.trusted_modules)


def _replay(dataset: ExistingDataset) -> str:
    store = dataset.target.store
    if store.local_path is not None:
        return replay(str(store), "targetpath=elsewhere", *_trusting(dataset))
    return "copy config.yaml from here, and then: " + replay("<its folder>", *_trusting(dataset))


def _load(dataset: ExistingDataset) -> str:
    named = list(dataset.settings.trusted_modules)
    trusted = f", trusted_modules={named!r}" if named else ""
    return f"singleimg.StoredDataset({str(dataset.target.store)!r}{trusted})"


# --- what was drawn ------------------------------------------------------------------------------


def _add_draws(
    page: DatasetPage, dataset: ExistingDataset, images: SingleImage | None, count: int
) -> None:
    try:
        if images is None:
            check_draws(dataset.recipe, str(dataset.target.store), "draw with that version.")
            images = from_config(dataset.settings, dataset.recipe.pixels["sources"])
            if len(images.pictures) != len(dataset.recipe.pixels["sources"]):
                raise UserError(
                    "the folder of pictures holds other pictures than before: restore those."
                )
        plots, sources, corners = _drawn(page, images, count)
        most = Counter(sources.tolist()).most_common(1)[0][0]
        _add_source(page, images, most, corners[sources == most])
        page.histograms = plots
        fill = fill_share(dataset.settings, images.pictures.size_of(most))
    except UserError as error:
        page.notes.append(f"What was drawn, and the source, are left out: {error}")
        return
    if fill is not None:
        page.facts.append(("fill pixels", f"{fill:.2%}"))


def _drawn(
    page: DatasetPage, images: SingleImage, count: int
) -> tuple[list[tuple[str, list[Plot]]], np.ndarray, np.ndarray]:
    """Plots of each transform; of some of the images the source, and the corners in it."""
    leaves = [leaf for step in images.pipeline.steps for leaf in step.leaves()]
    quick = all(isinstance(leaf, LawStep) for leaf in leaves)
    count = min(count, _MOST if quick else _SLOW)
    page.drawn = f"{count:,}"
    histograms, placed = Histograms(images.pipeline.steps), []
    stride = -(-count // _PLACED)
    with Bar(count, what="draws") as bar:
        for start in range(0, count, _DRAWN):
            draws = images.draw_many(range(start, min(start + _DRAWN, count)))
            histograms.add(draws)
            some = draws[-start % stride :: stride]
            placed.append((some.sources, footprints(images.pipeline, some)))
            bar.update(len(draws))
    plots: dict[str, list[Plot]] = {}
    for one in histograms.all():
        plots.setdefault(one.transform, []).append(histogram_plot(one))
    sources, corners = (np.concatenate(parts) for parts in zip(*placed, strict=True))
    return list(plots.items()), sources, corners


def _add_source(page: DatasetPage, images: SingleImage, most: int, corners: np.ndarray) -> None:
    """The picture from which most images come, where some lie in it, and the map."""
    picture, some = images.pictures.load(most), corners[:_SHOWN]
    height, width = picture.size
    scale = min(max(1.0, _LEAST / width), _WIDTH / width, _HEIGHT / height)
    page.source = marked_source(picture.pixels, some, scale)
    other = "" if len(images.pictures) == 1 else f", one of {len(images.pictures):,} pictures"
    page.source_text = (
        f"The source, {width:,} × {height:,} pixels{other}, and where in it {len(some)} images "
        "lie, in colours by the share of the picture that they show."
    )
    known = np.isfinite(corners).all((1, 2))
    if known.any():
        counts = heat_map(corners, picture.size)
        share = areas(corners[known]).mean() / (width * height)
        page.facts.append(("mean crop", f"{share:.2%} of the source"))
        page.heat = heat_picture(counts)
        page.heat_text = (
            f"How often each part of the source is used, by {known.sum():,} images: the brightest "
            f"by {counts.max():,} of them, the darkest by {counts.min():,}."
        )


# --- what came out -------------------------------------------------------------------------------


class Looked(NamedTuple):
    """What a sample of the files shows. hashes: uint64. first: the first images of the dataset, and
    pairs: the most alike of the sample; each ``uint8`` H×W×3."""

    bytes: np.ndarray
    hashes: np.ndarray
    nearest: np.ndarray
    first: list[np.ndarray]
    pairs: list[tuple[np.ndarray, np.ndarray]]

    def sizes(self) -> Histogram:
        """Of the bytes of the files."""
        low, high = float(self.bytes.min()), float(self.bytes.max())
        counts, _ = np.histogram(self.bytes, 40, (low, max(high, low + 1)))
        return Histogram(
            "image file", "bytes an image, in a sample", counts, low, max(high, low + 1)
        )

    def distances(self) -> Histogram:
        """Of each image of the sample to the one most like it."""
        counts = np.bincount(self.nearest.clip(0, 32), minlength=33)
        return Histogram(
            "sample",
            "bits of 64 that differ from the most similar image of the sample",
            counts,
            0,
            33,
        )

    def near_duplicates(self) -> int:
        """How many of the sample have one."""
        return int((self.nearest <= _ALIKE).sum())


def look(dataset: ExistingDataset, count: int) -> Looked:
    """Reads a sample of the files, the same each time, and the first ones.

    The sample is of a few shards, which hold twice as many images: to find an image the list of its
    whole shard is read.
    """
    reader, rng, shards = (
        dataset.output.reader(dataset.target.store),
        random.Random(0),
        dataset.shards,
    )
    few = min(len(shards), -(-2 * _SAMPLE // shards.shard_size))
    some = [shards[number] for number in rng.sample(range(len(shards)), few)]
    there = [index for shard in some for index in range(shard.start, shard.stop)]
    chosen = sorted(rng.sample(there, min(_SAMPLE, len(there))))
    sizes, hashes = [], []
    with Bar(len(chosen), what="sample") as bar:
        for start in range(0, len(chosen), _READ):
            files = reader.read_all(chosen[start : start + _READ])
            sizes += map(len, files)
            hashes += map(difference_hash, files)
            bar.update(len(files))
    found = np.array(hashes, np.uint64)
    nearest, closest = _nearest(found)
    wanted = [chosen[place] for pair in closest for place in pair]
    shown = [resized(_decoded(data), _SIDE) for data in reader.read_all(wanted)] if wanted else []
    first = [resized(_decoded(reader.read(index)), _SIDE) for index in range(min(_SHOWN, count))]
    pairs = list(zip(shown[::2], shown[1::2], strict=True))
    return Looked(np.array(sizes), found, nearest, first, pairs)


def difference_hash(data: bytes) -> int:
    """64 bits of an image file: whether grey levels rise from left to right, on a grid of 8 × 9.

    Source: "dHash", https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html
    """
    image = Image.open(io.BytesIO(data))
    image.draft("L", (32, 32))  # of a JPEG: decoded small
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes(), "big")


def _nearest(hashes: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Of each the fewest bits to another one, and the closest pairs, by their places."""
    if len(hashes) < 2:
        return np.full(len(hashes), 64), []
    bits = np.bitwise_count(hashes[:, None] ^ hashes)
    np.fill_diagonal(bits, 64)
    places = np.argsort(bits.min(1), kind="stable")
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for place in places.tolist():
        other = int(bits[place].argmin())
        if not {place, other} & taken:
            pairs.append((place, other))
            taken |= {place, other}
        if len(pairs) == _PAIRS:
            break
    return bits.min(1), pairs


def _decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# --- beside --------------------------------------------------------------------------------------


def _speed(dataset: ExistingDataset) -> Plot | None:
    """Images over time, by when the records of shards were written; None where nobody can tell."""
    folder, records = dataset.target.store.local_path, dataset.target.manifest.scan().records
    if folder is None or len(records) < 3:
        return None
    try:
        times = [(folder / record_place(one.shard)).stat().st_mtime for one in records]
    except OSError:
        return None
    order = np.argsort(times)
    seconds = np.array(times)[order] - min(times)
    made = np.cumsum([len(records[place].shard) for place in order.tolist()])
    if seconds[-1] < 1:
        return None
    return line_plot(
        "images, over the time from the first committed shard to the last",
        _thinned(seconds), _thinned(made), ("0", duration(seconds[-1])),
    )  # fmt: skip


def _thinned(values: np.ndarray, most: int = 200) -> Sequence[float]:
    places = np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(int)
    return values[places].tolist()
