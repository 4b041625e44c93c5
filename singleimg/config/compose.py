"""The checked configuration that a command line would have, from Python."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import hydra
import hydra.utils
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from singleimg.config import paths
from singleimg.config.checks import load
from singleimg.config.explain import explained
from singleimg.config.former import refuse_former
from singleimg.config.location import CONF
from singleimg.errors import UserError


@explained()
def compose(*overrides: str, **keys: Any) -> DictConfig:
    """The checked configuration that ``python run.py`` would have with these arguments.

    >>> singleimg.compose("augment=strong", imgpath="photo (1).jpg", scale=[100, 1], num_imgs="1M")

    overrides: as on the command line. keys: the same as values of Python, which need no quotes; one
    with a point in it is given as ``**{"encode.quality": 90}``. Raises UserError for a mistake,
    with the sentence of the command line.
    """
    refuse_former([*overrides, *(f"{key}={value}" for key, value in keys.items())])
    typed = paths.read(overrides) + [override(key, value) for key, value in keys.items()]
    # Within an application of Hydra's that one steps aside: Hydra composes one at a time.
    other, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return load(_composed(typed), typed)
    finally:
        GlobalHydra.instance().hydra = other


def _composed(typed: list[str]) -> DictConfig:
    try:
        return hydra.compose("config", typed)
    except OmegaConfBaseException:
        raise
    except (ValueError, TypeError) as error:  # Hydra's own, such as for augment=5
        raise UserError(f"{error}: type python run.py --help to see what can be typed.") from error


def override(key: str, value: Any) -> str:
    """``key=value`` as Hydra reads it, of a value of Python."""
    return f"{key}={_text(key, value)}"


def _text(key: str, value: Any) -> str:
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        if key in paths.PATHS:
            return paths.literal(paths.absolute(key, text))
        return QuotedString(text, Quote.single).with_quotes()
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_text('', one)}" for name, one in value.items()) + "}"
    if isinstance(value, Sequence):
        return f"[{','.join(_text(key, one) for one in value)}]"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
