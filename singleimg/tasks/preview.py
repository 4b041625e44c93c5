"""``task=preview``: a first look at what a recipe makes, without making it."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from PIL import Image

from singleimg.config.make import instantiate
from singleimg.config.paths import here
from singleimg.engines.raster.footprint import footprints
from singleimg.errors import UserError
from singleimg.jobs.job import prepare
from singleimg.report.preview import preview_picture, resized
from singleimg.report.terminal import show
from singleimg.system.logs import log, logging_to_console

FOLDER = "previews"  # in outputs/
_LARGEST = 100_000_000  # pixels of a sheet
_VIEWERS = {"linux": "xdg-open", "darwin": "open"}


def preview(cfg: DictConfig) -> None:
    """Writes a picture into ``outputs/previews`` and shows it in a terminal that can.

    On it are the first images, and where in their picture they lie; of several pictures that from
    which most of them come.
    """
    with logging_to_console():
        sheet = cfg.preview
        if sheet.rows * sheet.columns * sheet.size**2 > _LARGEST:
            raise UserError(
                f"a sheet of {sheet.rows} × {sheet.columns} images of preview.size={sheet.size} is "
                "too large to look at: type fewer rows and columns, or a smaller size."
            )
        job = prepare(cfg.copy())
        images, encoder = job.producer.single, instantiate(cfg, "encode")
        images.set_up_process()
        draws = images.draw_many(range(min(sheet.rows * sheet.columns, job.num_imgs)))
        patches = []
        for pixels in images.render_drawn(draws):
            stored = Image.open(io.BytesIO(encoder.file(pixels))).convert("RGB")
            patches.append(resized(np.asarray(stored), sheet.size))
        most = Counter(draws.sources.tolist()).most_common(1)[0][0]
        corners = footprints(images.pipeline, draws)[draws.sources == most]
        picture = preview_picture(
            patches,
            images.pictures.load(most).pixels,
            corners,
            columns=min(sheet.columns, len(patches)),
            size=sheet.size,
        )
        name = str(job.store).rstrip("/").rpartition("/")[2]
        file = here() / "outputs" / FOLDER / f"{name}.png"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            picture.save(file)
        except OSError as error:
            raise UserError(
                f"{file} cannot be written ({error.strerror}): make room, or change the "
                "permissions of its folder."
            ) from None
        if len(images.pictures) > 1:
            log.info(
                "Of %d images %d come from the picture that is shown.", len(draws), len(corners)
            )
        show(picture, sys.stdout)
        log.info("Preview: %s", file)
        if cfg.preview.open:
            open_file(file)


def open_file(file: Path) -> None:
    """Has the system's viewer show a picture."""
    viewer = shutil.which(_VIEWERS.get(sys.platform, ""))
    if viewer is None:
        raise UserError(f"preview.open=true finds no viewer on this machine: open {file} yourself.")
    subprocess.Popen(
        [viewer, str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
