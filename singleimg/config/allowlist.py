"""Which code a configuration may name: a ``_target_`` is imported and called, so places have lists.

A group's own choices have bare names, ``_target_: folder``: that of their file in the group's
package, which holds one class of the group's kind. They are names, not places in the code, so that
what a run wrote down outlives a move. A dotted path names a class of torchvision's or ours in
``augment``, and in every group a class of a package that the user trusts; below the adapter of
Albumentations a transform of theirs.

Two stages, both before anything is called. The text of a target must be a choice of its group, or
begin with an allowed module: nothing is imported for that. Then the path is walked within the
allowed modules, since a module also holds what it imported itself
(``singleimg.transforms.base.np.load``). Imports no torch by itself.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from singleimg.config.location import CONF
from singleimg.errors import UserError, did_you_mean
from singleimg.system.extras import install

TARGET = "_target_"
# The packages of each group's own choices, and the class in their ``base`` that each is one of;
# a task is a function of its file's name.
HOMES: dict[str, tuple[tuple[str, ...], str]] = {
    "task": (("singleimg.tasks", "singleimg.learn.tasks"), ""),
    "image": (("singleimg.sources",), "Source"),
    "engine": (("singleimg.engines",), "Engine"),
    "encode": (("singleimg.encoders",), "Encoder"),
    "output": (("singleimg.outputs",), "Output"),
    "backend": (("singleimg.backends",), "Backend"),
    "method": (("singleimg.learn.methods",), "Method"),
    "network": (("singleimg.learn.networks",), "Network"),
    "data": (("singleimg.learn.data",), "Labelled"),
    "probe": (("singleimg.learn.probes",), "ProbeProtocol"),
}
_DOTTED = {"augment": ("torchvision.transforms", "singleimg.transforms")}
# Below this class another library's, of these kinds.
ADAPTER, LIBRARY = "singleimg.transforms.Albumentations", "albumentations"
_KINDS = ("BasicTransform", "BaseCompose")
DEEPEST = 64  # levels of a configuration
# To trust one of these as a whole would open what the lists close: no hint to do so.
_NO_HINT = {*sys.stdlib_module_names, "hydra", "numpy", "singleimg", "torch", "torchvision"}


@dataclass(frozen=True)
class Allowed:
    """What may be named in one place: choices of ``group``, classes below ``modules``, anything
    below ``trusted``."""

    modules: tuple[str, ...]
    trusted: tuple[str, ...] = ()  # typed by the user
    group: str = ""

    def within(self, node: Any) -> Allowed:
        """What may be named below ``node``, which stands in this place."""
        adapts = isinstance(node, dict | DictConfig) and dict(_items(node)).get(TARGET) == ADAPTER
        return Allowed((LIBRARY,), self.trusted) if adapts and self.group == "augment" else self

    def has(self, path: str) -> bool:
        """Whether a module of that name, or what it is part of, is allowed."""
        return _within(path, (*self.modules, *self.trusted))

    @property
    def choices(self) -> tuple[str, ...]:
        """The bare names that may stand here: those of the files in conf/."""
        return _choices(self.group) if self.group in HOMES else ()


@cache
def _choices(group: str) -> tuple[str, ...]:
    named = {OmegaConf.load(file).get(TARGET) for file in (CONF / group).glob("*.yaml")}
    return tuple(sorted(name for name in named if name))


def allowed(group: str, trusted: Sequence[str] = ()) -> Allowed:
    """What the top-level key ``group`` may name, beside the modules that the user trusts."""
    return Allowed(_DOTTED.get(group, ()), tuple(trusted), group)


def check_modules(names: Any) -> None:
    """Raises UserError unless ``trusted_modules`` is a list of names of modules."""
    for name in names if _is_list(names) else [names]:
        if not all(part.isidentifier() for part in str(name).split(".")):
            raise UserError(
                f"trusted_modules holds {name}, which is not the dotted name of a module: type for "
                "example 'trusted_modules=[my_package]'."
            )


# --- what is named -------------------------------------------------------------------------------


def targets(
    node: Any, key: str, place: Allowed, deep: int = 0
) -> Iterator[tuple[str, Any, Allowed]]:
    """Each ``_target_`` at and below ``node``, with its key and what may be named there.

    ``node`` may be composed or plain. An outer one comes before those within it. What cannot be
    resolved yet comes as its text. Raises UserError when nothing ends.
    """
    if deep > DEEPEST:
        raise UserError(f"{key} is nested too deeply: leave out what refers to itself.")
    parts, within = sorted(_items(node), key=lambda item: item[0] != TARGET), place.within(node)
    for part, value in parts:
        where = f"{key}[{part}]" if isinstance(part, int) and _is_list(node) else f"{key}.{part}"
        if part == TARGET:
            yield where, value, place
        yield from targets(value, where, within, deep + 1)


def _is_list(node: Any) -> bool:
    return isinstance(node, list | tuple | ListConfig)


def _items(node: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, dict):
        yield from node.items()
    elif isinstance(node, list | tuple):
        yield from enumerate(node)
    elif isinstance(node, DictConfig | ListConfig) and not (node._is_none() or node._is_missing()):
        for part in range(len(node)) if _is_list(node) else node:
            try:
                yield part, node[part]
            except OmegaConfBaseException:  # missing, or known only later: its text must do
                yield part, str(node._get_node(part))


def check_names(node: Any, key: str, place: Allowed) -> None:
    """Stage one: raises UserError for a target at or below ``node`` whose text is not allowed."""
    for where, target, here in targets(node, key, place):
        if not isinstance(target, str) or not (target in here.choices or here.has(target)):
            raise _refusal(where, target, here)


def check_objects(node: Any, key: str, place: Allowed) -> None:
    """Both stages: raises UserError for a target that is, or leads to, what is not allowed."""
    check_names(node, key, place)
    for where, target, here in targets(node, key, place):
        find(target, where, here)


def _within(path: str, modules: Sequence[str]) -> bool:
    return any(path == module or path.startswith(f"{module}.") for module in modules)


def _refusal(key: str, target: Any, place: Allowed, leads: str = "") -> UserError:
    modules = (*place.modules, *place.trusted)
    named = [", ".join(place.choices)] if place.choices else []
    what = " and ".join([*named, *(f"{module}.*" for module in modules)]) or "no code"
    reason = f"it leads to {leads}, and a configuration" if leads else "a configuration"
    root = str(target).partition(".")[0]
    hint = ""
    if isinstance(target, str) and "." not in target:
        hint = did_you_mean(target, place.choices)
    elif isinstance(target, str) and root.isidentifier() and not {root} & {*_NO_HINT, *modules}:
        hint = f"; for code of yours type 'trusted_modules=[{root}]' on the command line"
    return UserError(f"{key}={target} is not trusted: {reason} may name {what} here{hint}.")


# --- what it is ----------------------------------------------------------------------------------


def find(target: str, key: str, place: Allowed) -> Any:
    """The class (of a task, and of code of the user's, also the function) that ``target`` names.

    Imports allowed modules only. Raises UserError when it does not exist or is not allowed.
    """
    if target in place.choices:
        return _choice(target, place.group)
    modules = [name for name in (*place.modules, *place.trusted) if target.startswith(f"{name}.")]
    if not modules:
        raise _refusal(key, target, place)
    start = max(modules, key=len)
    where = key.removesuffix(f".{TARGET}")
    found: Any = _import(start, target, where)
    if found is None and start == LIBRARY:
        raise UserError(
            f"{where}: {target} needs the package {LIBRARY}, which is not installed: type "
            f"{install(LIBRARY)}."
        )
    if found is None:
        raise _missing(target, where, ())
    for part in target[len(start) + 1 :].split("."):
        owner, found = found, getattr(found, part, None)
        if found is None and isinstance(owner, ModuleType) and part.isidentifier():
            found = _import(f"{owner.__name__}.{part}", target, where)
        if found is None:
            raise _missing(target, where, dir(owner), part)
        if isinstance(found, ModuleType) and not place.has(found.__name__):
            raise _refusal(key, target, place, found.__name__)
    _check_object(found, target, key, place)
    return found


def kind_of(group: str) -> type:
    """The class that everything named in ``group`` is one of."""
    packages, base = HOMES[group]
    return getattr(importlib.import_module(f"{packages[0]}.base"), base)


def _choice(name: str, group: str) -> Any:
    """The class of the group's kind in the file ``name``, or the task of that name."""
    packages, base = HOMES[group]
    package = next(one for one in packages if find_spec(f"{one}.{name}"))
    module = importlib.import_module(f"{package}.{name}")
    if not base:
        return getattr(module, name)
    kind = kind_of(group)
    (found,) = (
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, kind) and one.__module__ == module.__name__
    )
    return found


def _check_object(found: Any, target: str, key: str, place: Allowed) -> None:
    home = getattr(found, "__module__", None) or type(found).__module__
    functions = _within(target, place.trusted)
    if not (isinstance(found, type) or inspect.isroutine(found)):
        kind = "a class or a function" if functions else "a class"
        raise UserError(f"{key}={target} is not {kind}: type the dotted path of one.")
    if not place.has(home):
        raise _refusal(key, target, place, home)
    if not (isinstance(found, type) or functions):
        raise UserError(f"{key}={target} is a function: type the dotted path of a class.")
    if LIBRARY in place.modules and not functions:
        kinds = tuple(getattr(sys.modules[LIBRARY], kind) for kind in _KINDS)
        if not issubclass(found, kinds):
            raise UserError(
                f"{key}={target} is not a transform of {LIBRARY}: type one, such as "
                f"{LIBRARY}.CLAHE."
            )


def _import(name: str, target: str, where: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and _within(name, [error.name]):
            return None
        raise _broken(target, where, error) from error
    except Exception as error:  # whatever the code of a module raises, it cannot be used
        raise _broken(target, where, error) from error


def _broken(target: str, where: str, error: Exception) -> UserError:
    return UserError(
        f"{where}: {target} cannot be imported ({type(error).__name__}: {error}): fix its module."
    )


def _missing(target: str, where: str, names: Sequence[str], part: str = "") -> UserError:
    return UserError(
        f"{where}: {target} does not exist{did_you_mean(part, names)}: type the dotted path of a "
        "class that Python can import from here."
    )


def plain(node: Any, key: str) -> Any:
    """``node`` as plain values, resolved once and for all: what is checked is what is made.

    Raises UserError for a value that Hydra would resolve a second time.
    """
    container = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    for where, value in _texts(container, key):
        if "${" in value:
            raise UserError(f"{where}={value} holds ${{ as a text: leave it out.")
    return container


def _texts(node: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield key, node
    for part, value in _items(node):
        yield from _texts(value, f"{key}.{part}")
