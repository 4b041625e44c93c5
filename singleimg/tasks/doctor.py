"""``task=doctor``: what this machine has, how fast it is, and what to install for what."""

from __future__ import annotations

import platform
import re
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from omegaconf import DictConfig

from singleimg.config.make import instantiate
from singleimg.config.paths import here
from singleimg.dataset.open import from_config
from singleimg.engines.raster.library import load
from singleimg.errors import UserError
from singleimg.system.cores import available_cores
from singleimg.system.extras import extras, install
from singleimg.system.figures import rate, size
from singleimg.system.logs import log, logging_to_console
from singleimg.version import __version__

_SECONDS, _BATCH = 3.0, 100  # of the measurement, and images at once
_NO_EXTRAS = ("all", "benchmark", "docs", "test")  # sets of extras, and what only developers need
_CORE = ("torch", "torchvision", "Pillow", "numpy", "joblib", "hydra-core", "omegaconf")


def doctor(cfg: DictConfig) -> None:
    """Prints it, a line each; writes nothing."""
    with logging_to_console():
        python = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
        log.info("singleimg: %s, %s", __version__, python)
        log.info("Libraries: %s", ", ".join(f"{name} {_installed(name)}" for name in _CORE))
        log.info("Cores:     %d may be used by this process", available_cores())
        place = next(path for path in (here() / "outputs", here()) if path.exists())
        log.info("Disk:      %s free in %s", size(shutil.disk_usage(place).free), place)
        try:
            log.info("Raster:    %s kernel", load().kernel)
        except UserError as error:
            log.info("Raster:    %s", error)
        log.info("GPU:       %s", _gpu())
        for line in _extras():
            log.info("%s", line)
        log.info("Speed:     measured for %g s …", _SECONDS)
        log.info("           %s", _speed(cfg))


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is missing"


def _gpu() -> str:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
        return f"{', '.join(names)} (for task=pretrain, probe, study: train.devices)"
    if torch.backends.mps.is_available():
        return "Apple's (for task=pretrain: train.accelerator=mps)"
    return "none that torch sees; datasets need none"


def _extras() -> Iterator[str]:
    """The extras that are installed, in a line; then for each of the others what to type for it."""
    packages = extras()
    if not packages:  # run from a folder that was never installed
        yield "Extras:    not known, since singleimg is not installed: type pip install -e ."
    there, lacking = [], []
    for extra, own in packages.items():
        if extra in _NO_EXTRAS:
            continue
        names = [re.match(r"[\w.-]+", one)[0] for one in own]
        missing = [name for name in names if _installed(name) == "is missing"]
        if missing:
            lacking.append(f"Without:   {extra} ({', '.join(missing)}); type {install(extra)}")
        else:
            there.append(f"{extra} ({', '.join(f'{name} {_installed(name)}' for name in names)})")
    if there:
        yield f"Extras:    {'; '.join(there)}"
    yield from lacking


def _speed(cfg: DictConfig) -> str:
    """Images/s of one core by the preset of ``cfg``, encoded and not written."""
    images, encoder = from_config(cfg), instantiate(cfg, "encode")
    images.set_up_process()
    made, begin = 0, None
    while begin is None or time.perf_counter() - begin < _SECONDS:
        for pixels in images.render_drawn(images.draw_many(range(made, made + _BATCH))):
            encoder.file(pixels)
        made += _BATCH
        if begin is None:  # the first ones pay what is paid once
            made, begin = 0, time.perf_counter()
    speed = made / (time.perf_counter() - begin)
    return (
        f"{rate(speed, 1)} images/s a core (augment={cfg.augment.name}, {cfg.img_size} px, "
        f"engine={cfg.engine._target_}), nothing written"
    )
