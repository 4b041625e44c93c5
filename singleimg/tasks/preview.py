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
from singleimg.report.preview import preview_picture
from singleimg.report.terminal import show
from singleimg.system.logs import log, logging_to_console

FOLDER = "previews"  # in outputs/
_VIEWERS = {"linux": "xdg-open", "darwin": "open"}


def preview(cfg: DictConfig) -> None:
    """Writes a picture into ``outputs/previews`` and shows it in a terminal that can.

    On it are the first images, and where in their picture they lie; of several pictures that from
    which most of them come.
    """
    with logging_to_console():
        count = cfg.preview.rows * cfg.preview.columns
        job = prepare(cfg)
        images = job.producer.single
        images.set_up_process()
        draws = images.draw_many(range(count))
        encoder = instantiate(cfg, "encode")
        files = [encoder.file(pixels) for pixels in images.render_drawn(draws)]
        pixels = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]
        most = Counter(draws.sources.tolist()).most_common(1)[0][0]
        corners = footprints(images.pipeline, draws)
        corners = corners[draws.sources == most]
        picture = preview_picture(
            pixels,
            images.pictures.load(most).pixels,
            corners,
            columns=cfg.preview.columns,
            size=cfg.preview.size,
        )
        file = here() / "outputs" / FOLDER / f"{Path(cfg.targetpath).name}.png"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            picture.save(file)
        except OSError as error:
            raise UserError(f"{file} cannot be written ({error.strerror}).") from None
        unknown = np.isnan(corners).any((1, 2)).sum()
        if unknown:
            log.info("Of %d images it is not known where in the picture they lie.", unknown)
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
