"""Checks every configuration that Hydra composes, before Hydra or we do anything with it.

A configuration may come from a stranger (``-cp a/folder -cn config``, ``--config-dir``). What was
typed on the command line counts as the user's own word; see ``Typed``.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from singleimg.config import allowlist, saved
from singleimg.config.command_line import quoted
from singleimg.config.former import update_former
from singleimg.config.location import CONF
from singleimg.config.paths import escape
from singleimg.config.saved import COUNTED, JOBS, RUN, SWEPT
from singleimg.config.schema import typed_keys
from singleimg.config.tasks import TASKS
from singleimg.errors import UserError

# By these Hydra makes objects, opens files, starts processes and sets variables of the environment:
# they are as conf/, Hydra, its plugins and the command line have them, whatever other files say.
_GROUPS = ("callbacks", "env", "hydra_logging", "job_logging", "launcher", "sweeper")
_KEYS = ("job.chdir", "job.env_copy", "job.env_set", "job.name", "searchpath")


@dataclass(frozen=True)
class Typed:
    """What stands on the real command line."""

    trusted: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()
    hydra: tuple[str, ...] = ()  # arguments that are Hydra's: hydra/launcher=joblib

    def has(self, key: str) -> bool:
        """Whether ``key``, a part of it or its group (``hydra/launcher``) was typed."""
        names = [name.replace("/", ".") for name in self.keys]
        return any(name == key or name.startswith(f"{key}.") for name in names)


def read_typed(overrides: Sequence[str]) -> Typed:
    """The command line's word; what Hydra cannot read either, it will say itself."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException:
        return Typed()
    trusted: Any = []
    for override in parsed:
        if override.key_or_group == "trusted_modules":
            trusted = None if override.is_sweep_override() else override.value()
            if not isinstance(trusted, list):
                raise UserError(
                    f"{override.input_line} is not one list of modules: type for example "
                    "'trusted_modules=[my_package]'."
                )
    own = tuple(one.input_line for one in parsed if one.is_hydra_override())
    return Typed(tuple(map(str, trusted)), frozenset(one.key_or_group for one in parsed), own)


def install(overrides: Sequence[str]) -> None:
    """From now on Hydra composes with checks, in this process and in those of a sweep's launcher.

    Hydra offers no hook between composing and acting on what was composed (making callbacks,
    setting up logs), and every way in it has goes through this one class.
    """
    typed = read_typed(overrides)

    def loader(*args: Any, **kwargs: Any) -> CheckedLoader:
        return CheckedLoader(typed, *args, **kwargs)

    hydra._internal.hydra.ConfigLoaderImpl = loader


_KEPT = 64  # composed jobs, which travel with each of them


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's loader of configurations, which lets only pass what is trusted.

    Travels, with what was typed, to the processes in which a launcher composes the jobs of a sweep.
    """

    def __init__(self, typed: Typed, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.typed = typed
        self.counted = False  # by a file that is not ours for all
        self.run, self.jobs = "", None  # of a sweep: which one, and how many jobs it has
        self._composed: dict[tuple[str, ...], bytes] = {}  # jobs by their overrides, pickled

    def load_configuration(self, *args: Any, **kwargs: Any) -> DictConfig:
        """The composed configuration; UserError when it names or sets what is not trusted."""
        try:
            cfg = super().load_configuration(*args, **kwargs)
        except (ValueError, TypeError) as error:  # Hydra's own, such as for augment=5
            raise UserError(
                f"{error}: type python run.py --help to see what can be typed."
            ) from error
        if cfg._get_node("hydra")._is_interpolation():
            raise UserError("hydra is set to a reference: leave it out of your configuration.")
        check(cfg, self.typed)
        overrides = kwargs.get("overrides", args[1:2] and args[1])
        counted = self.counted or any(re.match(r"\+*num_imgs=", one) for one in overrides)
        with flag_override(cfg, ["struct", "readonly"], [False, False]):
            cfg.hydra.runtime.choices[COUNTED] = counted
        sources = [one.path for one in self.config_search_path.get_path()]
        if {one for one in sources if "://" not in one or one.startswith("file:")} != {str(CONF)}:
            check_hydra(cfg, self.typed)
        return cfg

    def load_sweep_config(
        self, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        """The configuration of one job, which knows its own keys from those of the whole sweep."""
        # A sweeper composes each job to see that it can be; the launcher takes what that gave, in
        # whatever process: composing takes longer than a small dataset.
        key = tuple(sweep_overrides)
        if key in self._composed:
            cfg = pickle.loads(self._composed[key])
        else:
            cfg = super().load_sweep_config(master_config, sweep_overrides)
            if len(self._composed) < _KEPT:
                self._composed[key] = pickle.dumps(cfg)
        typed = OmegaConf.to_container(master_config.hydra.overrides.task, resolve=False)
        parser = OverridesParser.create()
        varied = {
            one.key_or_group: one.is_sweep_override() for one in parser.parse_overrides(typed)
        }
        keys = dict.fromkeys(o.key_or_group for o in parser.parse_overrides(sweep_overrides))
        own = [key for key in keys if varied.get(key, True)]
        with flag_override(cfg, ["struct", "readonly"], [False, False]):
            cfg.hydra.runtime.choices[SWEPT] = own
            cfg.hydra.runtime.choices[RUN], cfg.hydra.runtime.choices[JOBS] = self.run, self.jobs
            # A launcher's process may stand elsewhere than the person.
            cfg.hydra.runtime.cwd = master_config.hydra.runtime._get_node("cwd")._value()
        return cfg

    def _load_single_config(self, default: Any, repo: Any) -> Any:
        result = super()._load_single_config(default, repo)
        ours = result.path == f"file://{CONF}" and default.config_path == "config"
        if result.path.startswith("file://") and "num_imgs" in result.config and not ours:
            self.counted = True
        if default.primary and "task" in result.config:  # a run saved it, perhaps long ago
            update_former(result.config)
            folder = Path(result.path.removeprefix("file://"))
            if saved.is_dataset(folder):  # it may have moved since
                result.config.targetpath = escape(str(folder))
        return result

    def _process_config_searchpath(self, config_name: Any, parsed: Any, repo: Any) -> None:
        # Before anything is composed: pkg://name would be imported, to look beside its code.
        loaded = repo.load_config(config_path=config_name) if config_name is not None else None
        own = loaded.config if loaded else None
        paths = OmegaConf.select(own, "hydra.searchpath") if OmegaConf.is_dict(own) else None
        if paths and not self.typed.has("hydra.searchpath"):
            raise _file_says("hydra.searchpath", paths)
        super()._process_config_searchpath(config_name, parsed, repo)


def check(cfg: DictConfig, typed: Typed) -> None:
    """Raises UserError when a file trusts code, asks for what is typed each time, or names code."""
    found = OmegaConf.select(cfg, "trusted_modules")
    names = list(found) if OmegaConf.is_list(found) else [found] if found is not None else []
    if names != list(typed.trusted):
        raise _file_says("trusted_modules", f"[{','.join(map(str, names))}]")
    if found is not None:
        cfg.trusted_modules = list(typed.trusted)  # instead of a reference that gave the same
    name = OmegaConf.select(cfg, "task.name")
    for key, field in typed_keys(TASKS.get(name)):
        value = OmegaConf.select(cfg, key) if field.metadata.get("typed") else None
        if value not in (None, False, "resume") and not typed.has(key):
            raise _file_says(key, str(value).lower())
    if name == "repair" and "task" not in typed.keys:  # it changes a dataset
        raise _file_says("task", name)
    for group in map(str, cfg):
        try:
            node = cfg[group] if group != "hydra" else None
        except OmegaConfBaseException:  # known only later: it is checked again before it is used
            continue
        allowlist.check_names(node, group, allowlist.allowed(group, typed.trusted))


def check_hydra(cfg: DictConfig, typed: Typed) -> None:
    """Raises UserError when a file has Hydra do another thing than what was typed alone does."""
    search_path = create_config_search_path(str(CONF))
    loader = ConfigLoaderImpl(search_path)
    ours = loader.load_configuration("config", list(typed.hydra), RunMode.MULTIRUN)
    if not OmegaConf.to_container(cfg.hydra, resolve=False)["callbacks"]:
        with flag_override(cfg, ["struct", "readonly"], [False, False]):
            cfg.hydra.callbacks = ours.hydra.callbacks
    # With references as they stand: none can change afterwards what it leads to.
    both = [OmegaConf.to_container(one.hydra, resolve=False) for one in (cfg, ours)]
    for part in (*_GROUPS, *_KEYS):
        said, own = (_below(one, part) for one in both)
        if said != own:
            key, value = _difference(said, own, f"hydra.{part}")
            raise _file_says(key, value, f"hydra/{part}=…" if part in _GROUPS else "")


def _below(node: Any, key: str) -> Any:
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else node  # a reference leads anywhere
    return node


def _difference(said: Any, own: Any, key: str) -> tuple[str, Any]:
    """The first key at or below ``key`` that holds something else, and what that is."""
    own = own if isinstance(own, dict) else {}
    for part in said if isinstance(said, dict) else ():
        if part not in own or said[part] != own[part]:
            return _difference(said[part], own.get(part), f"{key}.{part}")
    return key, said


def _file_says(key: str, value: Any, type_: str = "") -> UserError:
    return UserError(
        f"{key}={value} is set in a file (or a sweep's parameters), and is allowed only on the "
        f"command line: type {type_ or quoted(f'{key}={value}')} if you trust it."
    )
