"""Makes the objects that a checked configuration names."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import hydra
import hydra.utils
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from singleimg.config import allowlist
from singleimg.config.checks import example
from singleimg.config.explain import explained
from singleimg.errors import ALL_OF_IT, UserError, did_you_mean, own_failure


@explained()
def resolved_transforms(cfg: DictConfig) -> list[dict[str, Any]]:
    """The transforms as plain dicts: values resolved, those with a false ``when`` left out."""
    entries = cfg.augment.get("transforms")
    if not OmegaConf.is_list(entries):
        raise UserError("augment.transforms is not a list: see conf/augment/script.yaml for one.")
    resolved = []
    for place, entry in enumerate(entries):
        if not OmegaConf.is_dict(entry) or "_target_" not in entry:
            raise UserError(
                f"augment.transforms[{place}] has no _target_: type the dotted path of a "
                "transform, such as torchvision.transforms.v2.RandomHorizontalFlip."
            )
        if entry.get("when", True):
            plain = allowlist.plain(entry, f"augment.transforms[{place}]")
            resolved.append({key: value for key, value in plain.items() if key != "when"})
    return resolved


def instantiate_transforms(cfg: DictConfig, places: Sequence[int] | None = None) -> list[Callable]:
    """The transforms themselves; UserError names the one that cannot be made, and its place.

    ``places``: only these of the list, counted from 0; None: all.
    """
    allowed = _allowed(cfg, "augment")
    entries = resolved_transforms(cfg)
    chosen = {
        f"augment.transforms[{place}]": entries[place]
        for place in (range(len(entries)) if places is None else places)
    }
    for key, entry in chosen.items():  # all of them are checked before the first is made
        allowlist.check_objects(entry, key, allowed)
    made = [_make(entry, key, allowed) for key, entry in chosen.items()]
    for one, (key, entry) in zip(made, chosen.items(), strict=True):
        if not callable(one):
            raise UserError(
                f"{key}: {entry[allowlist.TARGET]} cannot be called with an image: "
                "docs/extending.md shows one that can."
            )
    return made


# Keys that say something of a choice, and make nothing.
_SAID = {"image": ("licence",)}


@explained()
def instantiate(cfg: DictConfig, group: str, **more: Any) -> Any:
    """What the top-level key ``group`` (``image``, ``output``, …) of ``cfg`` describes.

    ``more``: arguments beside those of the configuration. Its ``_target_`` and those within it are
    called; UserError when one is not trusted, or says no.
    """
    node = allowlist.plain(cfg[group], group)
    if not isinstance(node, dict) or allowlist.TARGET not in node:
        raise UserError(f"{group} has no _target_: type for example {example(group)}.")
    place = _allowed(cfg, group)
    node = {key: value for key, value in node.items() if key not in _SAID.get(group, ())}
    made = _make({**node, **more}, group, place)
    if node[allowlist.TARGET] not in place.choices:
        _check_kind(made, node[allowlist.TARGET], group)
    return made


def _check_kind(made: Any, target: str, group: str) -> None:
    """Raises UserError unless an object of a user's own class is what ``group`` stands for."""
    kind = allowlist.kind_of(group)
    if not isinstance(made, kind):
        raise UserError(
            f"{group}: {target} makes {type(made).__name__}, not {kind.__name__}: derive it from "
            f"{kind.__module__}.{kind.__name__}, as docs/extending.md shows."
        )
    for name in inspect.get_annotations(kind):
        if getattr(kind, name, "") == "" and getattr(made, name, None) in (None, ""):
            raise UserError(
                f"{group}: {target} has no {name}, which every {kind.__name__} has: "
                "docs/extending.md shows one."
            )


def task(cfg: DictConfig) -> Callable[[DictConfig], None]:
    """The function that ``task._target_`` names: one of conf/task, or of what the user trusts."""
    target, place = str(cfg.task.get(allowlist.TARGET)), _allowed(cfg, "task")
    # What a task reads is known by its name.
    if (target in place.choices and target == cfg.task.get("name")) or place.has(target):
        return allowlist.find(target, "task._target_", place)
    raise UserError(
        f"task._target_={target} is not a task: type one of "
        f"{', '.join(f'task={name}' for name in place.choices)}."
    )


def _allowed(cfg: DictConfig, group: str) -> allowlist.Allowed:
    return allowlist.allowed(group, cfg.get("trusted_modules") or ())


def _make(node: dict[str, Any], key: str, place: allowlist.Allowed) -> Any:
    allowlist.check_names(node, key, place)
    try:
        with warnings.catch_warnings():  # Albumentations takes any argument, and says so here
            warnings.filterwarnings("error", r"Argument\(s\) .* not valid for transform")
            return hydra.utils.instantiate(_resolved(node, key, place), _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        if cause is not None:
            raise cause from None
        raise UserError(_instantiation_message(node, key, place, error)) from error


def _resolved(node: Any, key: str, place: allowlist.Allowed) -> Any:
    """``node`` with each name replaced by what it names: what was checked is what is called."""
    if isinstance(node, list):
        return [_resolved(value, f"{key}[{at}]", place) for at, value in enumerate(node)]
    if not isinstance(node, dict):
        return node
    within = place.within(node)
    made = {part: _resolved(value, f"{key}.{part}", within) for part, value in node.items()}
    if allowlist.TARGET in node:
        where = f"{key}.{allowlist.TARGET}"
        made[allowlist.TARGET] = allowlist.find(node[allowlist.TARGET], where, place)
    return made


def _instantiation_message(
    node: dict[str, Any], key: str, place: allowlist.Allowed, error: Exception
) -> str:
    target, cause = node[allowlist.TARGET], error.__cause__
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(cause))
    if isinstance(cause, TypeError) and unknown:
        known = inspect.signature(allowlist.find(target, key, place)).parameters
        return (
            f"{key}: {target} has no argument {unknown[1]}{did_you_mean(unknown[1], known)}: type "
            "one that it has, or leave it out."
        )
    lacks = sorted(getattr(allowlist.find(target, key, place), "__abstractmethods__", ()))
    if lacks:
        return f"{key}: {target} has no {', '.join(lacks)}: docs/extending.md shows one that has."
    own = own_failure(cause, place.trusted) if cause else None
    if own:
        return f"{own}: {ALL_OF_IT}"
    reason = str(error if cause is None else cause)
    if cause is not None and not isinstance(cause, TypeError):
        reason = f"{type(cause).__name__}: {cause}"
    reason = " ".join(reason.split()).removesuffix(".")
    return f"{key}: {target} cannot be made ({reason}): change its arguments."
