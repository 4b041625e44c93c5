"""The keys of the configuration, their types and first values; conf/ says what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

CONF = Path(__file__).parents[2] / "conf"
GROUPS = ("task", "image", "augment", "engine", "output", "backend")
OPTIONAL_GROUPS = ("method", "network", "data", "probe", "budget")  # may be null
# Keys that act only through a preset that names them.
AUGMENT_KEYS = (
    "vflip",
    "deg",
    "shear",
    "cropfirst",
    "initcrop",
    "scale",
    "randinterp",
    "corners",
)
CORNERS = ("fill", "reflect", "image")
IF_EXISTS = ("resume", "overwrite", "error")
# Keys for one command, which a saved configuration does not keep: who replays it types them again.
ONCE = ("if_exists", "allow_version_change", "repair", "deep", "to", "trusted_modules")
# Keys of training and probing, which a dataset's own configuration does not keep.
TRAINING = ("dataset", "checkpoint", "resume", "train", "shortcut", "study", *OPTIONAL_GROUPS)
MOST = 10**9  # images; their names have nine digits


@dataclass
class Train:
    """The keys below ``train``."""

    devices: Any = 1
    accelerator: str = "auto"
    num_nodes: int = 1
    precision: str = "32-true"
    images: Any = None
    memory: float = 4
    max_norm: float | None = None
    log_every: int = 20
    checkpoint_every: int = 500
    keep: list[float] = field(default_factory=list)
    tensorboard: bool = True


@dataclass
class Shortcut:
    """The keys below ``shortcut``."""

    sources: int = 48
    images: int = 20000
    updates: int = 3000
    tested_sources: int = 16
    tested: int = 4000


@dataclass
class Study:
    """The keys below ``study``."""

    parts: list[str] = field(default_factory=lambda: ["table", "ablation"])


@dataclass
class Config:
    """The top-level keys; conf/config.yaml says what each means, and the defaults."""

    num_imgs: Any = 1281167  # Any, because 1M is no number to OmegaConf; see parse_count
    img_size: int = 256
    targetpath: str | None = None
    imgpath: str | None = None
    seed: int = 0
    cropfirst: bool = True
    initcrop: float = 0.5
    scale: list[float] | None = None
    deg: float = 30
    shear: float = 30
    corners: str = "fill"
    randinterp: bool = False
    vflip: bool = False
    threads: int | None = None
    batch_size: int = 32
    save_params: bool | None = None
    max_pixels: int | None = None
    debug: bool = False
    if_exists: str = "resume"
    allow_version_change: bool = False
    durable: bool = True
    repair: bool = False
    deep: bool = False
    to: str | None = None
    dataset: str | None = None
    checkpoint: Any = None
    resume: str = "auto"
    train: Train = field(default_factory=Train)
    shortcut: Shortcut = field(default_factory=Shortcut)
    study: Study = field(default_factory=Study)
    trusted_modules: list[str] = field(default_factory=list)
    task: Any = None
    image: Any = None
    augment: Any = None
    engine: Any = None
    output: Any = None
    backend: Any = None
    method: Any = None
    network: Any = None
    data: Any = None
    probe: Any = None
    budget: Any = None


ConfigStore.instance().store(name="base_config", node=Config)
