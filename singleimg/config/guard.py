"""Checks every configuration that Hydra composes, before Hydra or we do anything with it.

A configuration may come from a stranger (``-cp a/folder -cn config``, ``--config-dir``). What was
typed on the command line counts as the user's own word; see ``Typed``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from singleimg.config import allowlist
from singleimg.config.former import update_former
from singleimg.config.schema import typed_keys
from singleimg.config.tasks import TASKS
from singleimg.errors import UserError

# What Hydra makes objects of, and what it hands to logging.config.dictConfig, which makes more.
_MADE = ("callbacks", "launcher", "sweeper")
_LOGGING = ("job_logging", "hydra_logging")
_LOGGERS = ("logging.StreamHandler", "logging.NullHandler", "logging.Formatter", "logging.Filter",
            "colorlog.StreamHandler", "colorlog.ColoredFormatter")  # fmt: skip
_TO_FILE = "logging.FileHandler"  # empties the file that it names
_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
_LATER = "${hydra.runtime.output_dir}/"  # known when a job starts, and always an absolute path


@dataclass(frozen=True)
class Typed:
    """What stands on the real command line."""

    trusted: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()

    def has(self, key: str) -> bool:
        """Whether ``key``, a part of it or its group (``hydra/launcher``) was typed."""
        names = [name.replace("/", ".") for name in self.keys]
        return any(name == key or name.startswith(f"{key}.") for name in names)


def read_typed(arguments: Sequence[str]) -> Typed:
    """The command line's word; what Hydra cannot read either, it will say itself."""
    overrides = get_args_parser().parse_known_args(list(arguments))[0].overrides or []
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException:
        return Typed()
    trusted: Any = []
    for override in parsed:
        if override.key_or_group == "trusted_modules":
            trusted = None if override.is_sweep_override() else override.value()
            if not isinstance(trusted, list):
                raise UserError(
                    f"{override.input_line} is not one list of modules: type for example "
                    "trusted_modules=[my_package]."
                )
    return Typed(tuple(map(str, trusted)), frozenset(one.key_or_group for one in parsed))


def install(arguments: Sequence[str]) -> None:
    """From now on Hydra composes with checks, in this process and in those of a sweep's launcher.

    Hydra offers no hook between composing and acting on what was composed (making callbacks,
    setting up logs), and every way in it has goes through this one class.
    """
    typed = read_typed(arguments)

    def loader(*args: Any, **kwargs: Any) -> CheckedLoader:
        return CheckedLoader(typed, *args, **kwargs)

    hydra._internal.hydra.ConfigLoaderImpl = loader


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's loader of configurations, which lets only pass what is trusted.

    Travels, with what was typed, to the processes in which a launcher composes the jobs of a sweep.
    """

    def __init__(self, typed: Typed, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.typed = typed

    def load_configuration(self, *args: Any, **kwargs: Any) -> DictConfig:
        """The composed configuration; UserError when it names or sets what is not trusted."""
        try:
            cfg = super().load_configuration(*args, **kwargs)
        except (ValueError, TypeError) as error:  # Hydra's own, such as for augment=5
            raise UserError(f"{error}: python run.py --help says what can be typed.") from error
        if cfg._get_node("hydra")._is_interpolation():
            raise UserError("hydra is set to a reference: leave it out of your configuration.")
        check(cfg, self.typed)
        return cfg

    def _load_single_config(self, default: Any, repo: Any) -> Any:
        result = super()._load_single_config(default, repo)
        if default.primary and "task" in result.config:  # a run saved it, perhaps long ago
            update_former(result.config)
        return result

    def _process_config_searchpath(self, config_name: Any, parsed: Any, repo: Any) -> None:
        # The one thing that imports while composing: pkg://name, to look for files beside its code.
        loaded = repo.load_config(config_path=config_name) if config_name is not None else None
        paths = OmegaConf.select(loaded.config, "hydra.searchpath") if loaded else None
        values = [one.value() for one in parsed if one.get_key_element() == "hydra.searchpath"]
        for path in [path for one in [paths, *values] for path in one or ()]:
            scheme, _, name = str(path).partition("://")
            own = allowlist.Allowed(("hydra", "hydra_plugins"), self.typed.trusted)
            if scheme == "pkg" and not (own.has(name) or self.typed.has("hydra.searchpath")):
                raise _file_says("hydra.searchpath", path)
        super()._process_config_searchpath(config_name, parsed, repo)


def check(cfg: DictConfig, typed: Typed) -> None:
    """Raises UserError when ``cfg`` asks for more than ``typed`` grants; imports Hydra's code only.

    References in what Hydra acts on are replaced by their values, so that none changes afterwards.
    """
    _check_trusted_modules(cfg, typed)
    name = OmegaConf.select(cfg, "task.name")
    once = [key for key, field in typed_keys(TASKS.get(name)) if field.metadata.get("typed")]
    for key in once:
        value = OmegaConf.select(cfg, key)
        if value not in (None, False, "resume") and not typed.has(key):
            raise _file_says(key, str(value).lower())
    if name == "repair" and "task" not in typed.keys:  # it changes a dataset
        raise _file_says("task", name)
    for group in cfg:
        if group != "hydra":
            _check_group(cfg, str(group), allowlist.allowed(str(group), typed.trusted))
    with flag_override(cfg.hydra, ["struct", "readonly"], [False, False]):
        for part in (*_MADE, *_LOGGING):
            _settle(cfg.hydra, part, f"hydra.{part}")
        _settle(cfg.hydra.job, "env_set", "hydra.job.env_set")
    _check_made(cfg, typed)
    for part in _LOGGING:
        _check_logging(cfg.hydra[part], f"hydra.{part}", typed)
    _check_environment(cfg, typed)


def _file_says(key: str, value: Any, type_: str = "") -> UserError:
    return UserError(
        f"{key}={value} stands in a file (or a sweep's parameters) and counts only when typed on "
        f"the command line: type {type_ or f'{key}={value}'} if you trust it."
    )


def _check_trusted_modules(cfg: DictConfig, typed: Typed) -> None:
    found = OmegaConf.select(cfg, "trusted_modules")
    names = list(found) if OmegaConf.is_list(found) else [found] if found is not None else []
    if names != list(typed.trusted):
        raise _file_says("trusted_modules", f"[{','.join(map(str, names))}]")
    if found is not None:
        cfg.trusted_modules = list(typed.trusted)  # instead of a reference that gave the same


def _check_group(cfg: DictConfig, group: str, place: allowlist.Allowed) -> None:
    try:
        node = cfg[group]
    except OmegaConfBaseException:  # known only later: it is checked again before it is used
        return
    allowlist.check_names(node, group, place)


def _settle(node: Any, part: Any, key: str, deep: int = 0) -> None:
    """Replaces every reference at and below ``node[part]`` by its value."""
    child = node._get_node(part)
    if deep > allowlist.DEEPEST:
        raise UserError(f"{key} is nested too deeply: leave out what refers to itself.")
    if child is None:
        return
    if child._is_interpolation():
        text = str(child._value())
        try:
            value = node[part]
        except OmegaConfBaseException:
            if text.startswith(_LATER):
                return
            raise UserError(f"{key}={text} is not known before the run: type its value.") from None
        node[part] = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        _settle(node, part, key, deep + 1)  # since a value may look like a reference again
    elif OmegaConf.is_config(child) and not (child._is_none() or child._is_missing()):
        for inner in range(len(child)) if OmegaConf.is_list(child) else list(child):
            _settle(child, inner, f"{key}.{inner}", deep + 1)


def _check_made(cfg: DictConfig, typed: Typed) -> None:
    for key, target in allowlist.targets(cfg.hydra, "hydra"):
        part = key.split(".")[1]
        plugin = str(target).startswith("hydra_plugins.")  # a launcher may run commands of a file
        if plugin and not typed.has(f"hydra.{part}"):
            raise _file_says(key, target, f"hydra/{part}=…")
    own = ("hydra", "hydra_plugins")
    allowlist.check_objects(cfg.hydra, "hydra", allowlist.Allowed(own, typed.trusted))


def _check_logging(node: Any, key: str, typed: Typed) -> None:
    if node is None:
        return
    place = allowlist.Allowed((), typed.trusted)
    for where, part, value in _leaves(OmegaConf.to_container(node), key):
        if part in ("class", "()") and value not in _LOGGERS:
            if value == _TO_FILE:
                if not typed.has(key):
                    raise _file_says(where, value, f"{key.replace('.', '/')}=…")
            elif isinstance(value, str) and place.has(value):
                allowlist.find(value, where, place)
            else:
                raise UserError(
                    f"{where}={value} is not trusted: logs may name {', '.join(_LOGGERS)} here."
                )
        if isinstance(value, str) and value.startswith("ext://") and value not in _STREAMS:
            raise UserError(
                f"{where}={value} is not trusted: logs may name {' and '.join(_STREAMS)} here."
            )


def _leaves(node: Any, key: str, part: Any = "") -> Iterator[tuple[str, Any, Any]]:
    yield key, part, node
    items = node.items() if isinstance(node, dict) else ()
    for inner, value in enumerate(node) if isinstance(node, list) else items:
        yield from _leaves(value, f"{key}.{inner}", inner)


def _check_environment(cfg: DictConfig, typed: Typed) -> None:
    if typed.has("hydra.job.env_set"):
        return
    for name, value in OmegaConf.to_container(cfg.hydra.job.env_set).items():
        if os.environ.get(str(name)) != value:  # what hydra.job.env_copy copies stays what it is
            raise _file_says(f"hydra.job.env_set.{name}", value)
