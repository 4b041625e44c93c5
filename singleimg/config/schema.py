"""The keys of the configuration, their types and first values; conf/ says what they mean."""
# ruff: noqa: RUF009, since key() gives a field of dataclasses

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any

from hydra.core.config_store import ConfigStore

from singleimg.config.ranges import AreaRange, Check, Choice, Count, Fraction, Range, SliceOf
from singleimg.config.tasks import TASKS, Task

GROUPS = ("task", "image", "augment", "engine", "encode", "output", "backend")
OPTIONAL_GROUPS = ("method", "network", "data", "probe", "budget")  # may be null
# Keys that act in other tasks alone, which a dataset's own configuration does not keep.
OF_OTHERS = ("train", "shortcut", "preview", *OPTIONAL_GROUPS)


def key(default: Any, section: str = "", check: Check | None = None, **more: bool | str) -> Any:
    """A key that several tasks read: they name it, or its ``section``.

    ``path``: a file, folder or URL, which must be there (``read``) or need not (``write``).
    ``once``: for one command, which a saved configuration does not keep; ``typed``: neither that,
    nor is it taken from a file: who replays types it again.
    """
    metadata = {"section": section, "check": check, **more}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


_WHOLE = Range(1, None, "a whole number")
_UPDATES = Range(1, None, "a number of updates")


@dataclass
class Train:
    """The keys below ``train``."""

    devices: Any = key(1, "devices")
    accelerator: str = key("auto", "devices")
    num_nodes: int = key(1, "devices", Range(1, None, "a number of machines"))
    precision: str = key("32-true", "devices")
    memory: float = key(4, "training")
    max_norm: float | None = key(None, "training")
    log_every: int = key(20, "training", _UPDATES)
    checkpoint_every: int = key(500, "training", _UPDATES)


@dataclass
class Shortcut:
    """The keys below ``shortcut``."""

    sources: int = key(48, "shortcut", _WHOLE)
    images: int = key(20000, "shortcut", _WHOLE)
    updates: int = key(3000, "shortcut", _WHOLE)
    tested_sources: int = key(16, "shortcut", _WHOLE)
    tested: int = key(4000, "shortcut", _WHOLE)


@dataclass
class Preview:
    """The keys below ``preview``."""

    rows: int = key(8, "preview", Range(1, 64, "a number of rows"))
    columns: int = key(8, "preview", Range(1, 64, "a number of columns"))
    size: int = key(96, "preview", Range(8, 1024, "a whole number of pixels"))
    open: bool = key(False, "preview")


@dataclass
class Config:
    """The top-level keys; conf/config.yaml says what each means, and the defaults."""

    num_imgs: Any = key(1281167, check=Count())  # Any, because 1M is no number to OmegaConf
    img_size: int = key(256, check=Range(8, 4096, "a whole number of pixels"))
    targetpath: str | None = key(None, path="write")
    imgpath: str | None = key(None, "source", path="read")
    seed: int = key(0, check=Range(0, 2**63 - 1, "a whole number"))
    cropfirst: bool = key(True, "augmentation")
    initcrop: float = key(
        0.5, "augmentation", Fraction(0.5, ", or cropfirst=false for no such crop")
    )
    scale: list[float] | None = key(None, "augmentation", AreaRange())
    deg: float = key(30, "augmentation", Range(0, 180, "an angle in degrees"))
    shear: float = key(30, "augmentation", Range(0, 80, "an angle in degrees"))
    corners: str = key("fill", "augmentation", Choice(("fill", "reflect", "image"), "image"))
    randinterp: bool = key(False, "augmentation")
    vflip: bool = key(False, "augmentation")
    slice: str | None = key(None, check=SliceOf(), once=True)
    threads: int | None = key(None, "work", Range(1, None, "a number of workers"))
    batch_size: int = key(32, "output", _WHOLE)
    save_params: bool | None = key(None, "output")
    max_pixels: Any = key(None, "source", Count("pixels"))  # as num_imgs
    debug: bool = key(False, once=True)
    report: bool | None = key(None, once=True)
    if_exists: str = key(
        "resume", "output", Choice(("resume", "overwrite", "error"), "resume"), typed=True
    )
    allow_version_change: bool = key(False, "commit", typed=True)
    durable: bool = key(True, "commit")
    train: Train = key(Train, "devices")
    shortcut: Shortcut = key(Shortcut, "shortcut")
    preview: Preview = key(Preview, "preview")
    trusted_modules: list[str] = key(list, once=True)
    task: Any = key(None)
    image: Any = key(None, "source")
    augment: Any = key(None, "source")
    engine: Any = key(None, "source")
    encode: Any = key(None)
    output: Any = key(None, "output")
    backend: Any = key(None, "work")
    method: Any = key(None)
    network: Any = key(None)
    data: Any = key(None)
    probe: Any = key(None)
    budget: Any = key(None)


PRETRAIN_IMAGES = 10_000  # images of task=pretrain where no number is typed
KEYS = "_keys"  # ends the name under which Hydra knows the keys of a task
# Keys that act only through a preset that names them, in the order of a folder's name.
AUGMENT_KEYS = ("vflip", "deg", "shear", "cropfirst", "initcrop", "scale", "randinterp", "corners")
# Keys that a saved configuration does not keep.
ONCE = [one.name for one in fields(Config) if {"once", "typed"} & set(one.metadata)]


def typed_keys(task: type[Task] | None) -> Iterator[tuple[str, Field[Any]]]:
    """Each key that has a type, by its dotted name, those of ``task`` among them."""
    for one in fields(Config):
        yield one.name, one
    sections = (("train", Train), ("shortcut", Shortcut), ("preview", Preview), ("task", task))
    for name, section in sections:
        for one in fields(section) if section else ():
            if one.metadata:
                yield f"{name}.{one.name}", one


ConfigStore.instance().store(name="base_config", node=Config)
for _name, _kind in TASKS.items():  # each file of conf/task begins with them
    ConfigStore.instance().store(group="task", name=f"{_name}{KEYS}", node=_kind)
# The default of task=pretrain alone: each of its images is seen many times.
ConfigStore.instance().store(name="pretrain_images", node={"num_imgs": PRETRAIN_IMAGES})
