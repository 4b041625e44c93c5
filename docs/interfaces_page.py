"""The reference of interfaces: signatures and docstrings of what is public, and of base classes."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, ForwardRef

import singleimg
import singleimg.transforms
from singleimg.config.allowlist import HOMES, kind_of

# Beside the class of each group: what its methods take and give.
_BESIDE = {
    "image": ("singleimg.sources.base.Decoded",),
    "engine": (
        "singleimg.engines.base.Renderer",
        "singleimg.engines.picture.Picture",
        "singleimg.drawing.pipeline.Pipeline",
        "singleimg.drawing.draws.Draws",
        "singleimg.drawing.draws.Sample",
    ),
    "output": (
        "singleimg.outputs.base.Writer",
        "singleimg.outputs.one_file.FileOutput",
        "singleimg.outputs.base.Part",
        "singleimg.storage.manifest.Entry",
        "singleimg.storage.shards.Shard",
        "singleimg.storage.staging.Staging",
    ),
    "backend": ("singleimg.backends.base.WorkerLost", "singleimg.backends.cluster.Cluster"),
    "method": ("singleimg.learn.methods.train_state.TrainState",),
    "network": (
        "singleimg.learn.networks.base.Trunk",
        "singleimg.learn.networks.base.Top",
        "singleimg.learn.networks.base.Layer",
    ),
    "probe": ("singleimg.learn.probes.scores.LayerScore",),
}
_DUNDERS = ("__len__", "__getitem__", "__call__")


_ABOUT = """\
What is public for use from Python, and what a part of your own owes: \
[Parts of your own](../extending.md) shows one of each kind at work. Signatures and texts are \
those of the code."""
_PYTHON = """\
`import singleimg` imports no torch; each name imports what it needs when it is first used."""
_TRANSFORMS = """\
They stand in `augment.transforms` beside those of `torchvision.transforms.v2`. One of your own is \
anything that is called with a Pillow image and gives one, or that has torchvision's `make_params` \
and `transform`."""


def interfaces() -> Iterator[str]:
    """The lines of interfaces.md."""
    yield from (_ABOUT, "", "## From Python", "", _PYTHON)
    for name in singleimg.__all__:
        if name != "__version__":
            yield from _described(name, getattr(singleimg, name), f"singleimg.{name}")
    yield from ("", "### `__version__` {#version}", "", "The version of the package, a text.")
    yield from ("", "## Transforms of ours", "", _TRANSFORMS)
    for name in sorted(singleimg.transforms.__all__):
        kind = getattr(singleimg.transforms, name)
        yield from _described(name, kind, f"singleimg.transforms.{name}")
    yield from ("", "## Base classes", "", "| Group | Derive from |", "|---|---|")
    kinds = {group: kind_of(group) for group in HOMES if HOMES[group][1]}
    for group, kind in kinds.items():
        yield f"| [`{group}=`](settings.md#{group}) | [`{kind.__name__}`](#{kind.__name__}) |"
    yield from ("", "What is marked *abstract* must be there; the rest may be replaced.")
    for group, kind in kinds.items():
        yield from ("", f"## For `{group}=` {{#for-{group}}}")
        yield from _described(kind.__name__, kind, f"{kind.__module__}.{kind.__name__}")
        for place in _BESIDE.get(group, ()):
            module, _, name = place.rpartition(".")
            yield from _described(name, getattr(importlib.import_module(module), name), place)


def _described(name: str, thing: Any, place: str) -> Iterator[str]:
    """A class or a function: how it is called, what its docstring says, and its methods."""
    yield from ("", f"### `{name}` {{#{name}}}", "")
    handed_on = vars(thing).get("__init__") if inspect.isclass(thing) else None
    plain = inspect.isclass(thing) and (issubclass(thing, Exception) or _is_protocol(thing))
    if plain or (handed_on is None and inspect.isabstract(thing) and not is_dataclass(thing)):
        signature = f"class {place}"
    else:
        signature = _signature(place, thing)
    yield from ("```py", signature, "```", "", *_text(inspect.getdoc(thing) or ""))
    if inspect.isclass(thing):
        yield from _variables(thing)
        for member in _members(thing):
            yield from ("", *_method(name, thing, member))


def _is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def _variables(kind: type) -> Iterator[str]:
    """Class variables that a subclass sets."""
    own = inspect.get_annotations(kind)
    named = {name: str(hint) for name, hint in own.items() if not name.startswith("_")}
    rows = []
    for name, hint in named.items():
        inner = re.sub(r"^ClassVar\[(.*)\]$", r"\1", hint)
        if hint.startswith("ClassVar") or (inspect.isabstract(kind) and not is_dataclass(kind)):
            given = f"`{vars(kind)[name]!r}`" if name in vars(kind) else "to be set"
            rows.append((name, inner, given))
    if rows:
        yield from ("", "| Class variable | Type | |", "|---|---|---|")
        for name, hint, given in rows:
            yield "| `{}` | `{}` | {} |".format(
                name, *(one.replace("|", "\\|") for one in (hint, given))
            )


def _members(kind: type) -> list[str]:
    """The public methods and properties that a class itself defines, in its own order."""
    return [
        name
        for name, value in vars(kind).items()
        if (not name.startswith("_") or name in _DUNDERS)
        and (callable(value) or isinstance(value, property | staticmethod | classmethod))
        and (name in _DUNDERS or inspect.getdoc(getattr(kind, name)))
    ]


def _method(owner: str, kind: type, name: str) -> Iterator[str]:
    value = vars(kind)[name]
    marks = []
    if getattr(value, "__isabstractmethod__", False):
        marks.append("abstract")
    if isinstance(value, property):
        marks.append("property")
        shown = f"{name}{_returns(value.fget)}"
    else:
        shown = _signature(name, getattr(kind, name), owner=kind)
    said = f" *{', '.join(marks)}*" if marks else ""
    # Two underscores would be read as emphasis.
    yield f"#### `{owner}.{name}`{said} {{#{owner}.{name.strip('_')}}}"
    yield from ("", "```py", shown, "```", "", *_text(inspect.getdoc(getattr(kind, name)) or ""))


class _Written(str):
    """An annotation that is shown as it is written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _returns(function: Any) -> str:
    hint = inspect.signature(function).return_annotation
    return "" if hint is inspect.Signature.empty else f" -> {hint}"


def _signature(name: str, thing: Any, owner: type | None = None) -> str:
    """How it is called; a line for each argument where one line is too long."""
    signature = inspect.signature(thing)
    parameters = [
        one.replace(annotation=_written(one.annotation)) for one in signature.parameters.values()
    ]
    if owner and parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    result = _written(signature.return_annotation)
    if inspect.isclass(thing):
        result = inspect.Signature.empty
    whole = name + str(signature.replace(parameters=parameters, return_annotation=result))
    if len(whole) <= 88:
        return whole
    bare = str(inspect.Signature(parameters))[1:-1]
    lines, depth, line = [], 0, ""
    for letter in f"{bare}, ":
        depth += (letter in "([{") - (letter in ")]}")
        line += letter
        if depth == 0 and line.endswith(", "):
            lines.append(f"    {line.strip()}")
            line = ""
    arrow = "" if result is inspect.Signature.empty else f" -> {result}"
    return "\n".join([f"{name}(", *lines, f"){arrow}"])


def _written(hint: Any) -> Any:
    text = hint.__forward_arg__ if isinstance(hint, ForwardRef) else hint
    return _Written(text) if isinstance(text, str) else hint


def _text(docstring: str) -> Iterator[str]:
    """A docstring as Markdown: its examples as blocks, its names as code."""
    lines, example = [], False
    for line in docstring.splitlines():
        if line.startswith((">>>", "...")) != example:
            example = not example
            lines += ["", "```pycon"] if example else ["```", ""]
        if example:
            lines.append(line)
            continue
        line = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", line).replace("``", "`")
        pieces = re.split(r"(`[^`]*`)", line)
        pieces[::2] = [
            re.sub(r"([*_])", r"\\\1", piece).replace("<", "&lt;") for piece in pieces[::2]
        ]
        lines.append("".join(pieces))
    yield from [*lines, "```"] if example else lines
