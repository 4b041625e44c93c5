"""The reference of settings: read from the schema, the tasks and the comments in conf/."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, fields
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from singleimg.cli.help import keys_of
from singleimg.config.allowlist import HOMES, allowed, find
from singleimg.config.explain import comments
from singleimg.config.location import CONF
from singleimg.config.ranges import Count
from singleimg.config.schema import GROUPS, OPTIONAL_GROUPS, Config, Preview, Shortcut, Train
from singleimg.config.tasks import TASKS, Task

_CHOICES = (*GROUPS, *OPTIONAL_GROUPS, "experiment")
_SECTIONS = {"train": Train, "shortcut": Shortcut, "preview": Preview}
_ABOUT = {  # what a choice of the group decides
    "task": "What is done.",
    "image": "The source: the picture, or pictures, that images are made from.",
    "augment": "The transforms, and the values of the top-level keys that go with them.",
    "engine": "Who renders the pixels.",
    "encode": "The format of an image file.",
    "output": "How a dataset lies on disk.",
    "backend": "Where the work is done.",
    "method": "How `task=pretrain` trains.",
    "network": "What is trained, and probed.",
    "data": "A labelled dataset, to probe on or to train on.",
    "probe": "How `task=probe` scores the layers of a network.",
    "budget": "How long each training of `task=study` is.",
    "experiment": "Configurations with a name: each chooses from the groups, and sets keys.",
}  # fmt: skip
_SHOWN_AS_FILE = (
    "augment",
    "budget",
    "experiment",
)  # their structure says more than a list of keys


def settings() -> Iterator[str]:
    """The lines of settings.md."""
    yield (
        "Every setting is typed as `key=value`, or stands in a YAML file below `conf/`; a choice "
        "of a group is typed as `group=choice`. `python run.py --help` prints the same in a "
        "terminal, and `--help method=rotnet` one choice alone. A value with "
        "`[ ] { } ( ) * ? $` or a space is put in quotes: `'scale=[500,1]'`."
    )
    yield from ("", "## Top-level keys", "")
    said = {name.partition("=")[0]: text for name, text in comments(CONF / "config.yaml")}
    first = OmegaConf.load(CONF / "config.yaml")
    tops = [one for one in fields(Config) if one.name not in (*_CHOICES, *_SECTIONS)]
    yield from _table(
        "Key",
        ((one.name, _type(one), first[one.name], said[one.name]) for one in tops),
        anchors=True,
    )
    for section, kind in _SECTIONS.items():
        names = {one.name: f"{section}.{one.name}" for one in fields(kind)}
        yield from ("", f"### `{section}` {{#{section}}}", "")
        rows = (
            (names[one.name], _type(one), first[section][one.name], said[names[one.name]])
            for one in fields(kind)
        )
        yield from _table("Key", rows)
    defaults = _defaults()
    yield from ("", "## Groups", "", "| Group | Default | |", "|---|---|---|")
    for group in _CHOICES:
        chosen = f"`{defaults[group]}`" if defaults[group] else "none"
        yield f"| [`{group}`](#{group}) | {chosen} | {_ABOUT[group]} |"
    for group in _CHOICES:
        yield from _group(group, defaults[group])


def _defaults() -> dict[str, str | None]:
    """The choice of each group that holds where nothing is typed."""
    chosen: dict[str, str | None] = {}
    for entry in OmegaConf.load(CONF / "config.yaml").defaults:
        if OmegaConf.is_dict(entry):
            chosen.update({str(key).removeprefix("optional "): entry[key] for key in entry})
    return chosen


def _group(group: str, default: str | None) -> Iterator[str]:
    yield from ("", f"## `{group}=` {{#{group}}}", "", _ABOUT[group])
    yield from ("", "| Choice | |", "|---|---|")
    files = sorted((CONF / group).glob("*.yaml"))
    for file in files:
        about = _comment(file)[0].removesuffix(" (the default)")
        mark = " (default)" if file.stem == default else ""
        yield f"| [`{file.stem}`](#{group}-{file.stem}){mark} | {_cell(about)} |"
    for file in files:
        yield from ("", f"### `{group}={file.stem}` {{#{group}-{file.stem}}}", "")
        yield from _prose(_comment(file))
        yield from _of_task(file.stem) if group == "task" else _of_choice(group, file)
        if group in _SHOWN_AS_FILE:
            yield from ("", f'??? note "conf/{group}/{file.name}"', "", "    ```yaml")
            yield from (f"    {line}".rstrip() for line in _lines(file))
            yield "    ```"


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def _comment(file: Path) -> list[str]:
    """The lines of the comment with which a YAML file begins."""
    found = []
    for line in _lines(file):
        if not line.startswith("# "):
            break
        if not line.startswith("# @"):
            found.append(line[2:])
    return found


def _prose(lines: list[str]) -> Iterator[str]:
    """A comment as sentences; what it shows to type, as code."""
    for at, line in enumerate(lines):
        if line.startswith(" "):
            command, *about = re.split(r" {3,}", line.strip())
            yield from ("", f"    {command}", "", *(_sentence(text) for text in about))
        else:
            last = at + 1 == len(lines) or lines[at + 1].startswith(" ")
            text = _sentence(line) if last else line
            yield _escaped(
                text[0].upper() + text[1:] if at == 0 and text.split()[0].islower() else text
            )
    yield ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", ":", "?")) else f"{text}."


def _of_choice(group: str, file: Path) -> Iterator[str]:
    """The keys of a choice, with the types of the class that takes them."""
    if group in ("budget", "experiment"):
        return
    node = OmegaConf.load(file)
    for other in [one for one in node.get("defaults", ()) if one != "_self_"]:
        yield from (f"Every other key is as in [`{group}={other}`](#{group}-{other}).", "")
        node = OmegaConf.merge(OmegaConf.load(CONF / group / f"{other}.yaml"), node)
    kinds = _arguments(find(node._target_, group, allowed(group))) if group in HOMES else {}
    top = {one.name: one for one in fields(Config)}
    beside = list(_keys_beside(group, file))
    rows = []
    for key, value, text in keys_of(group, file):
        name, same = key.removeprefix(f"{group}."), [one for one in beside if one[0] == key]
        if key in top:
            kind = _type(top[key])
        elif name in kinds:
            kind = _words(kinds[name])
        else:  # nobody's argument: what choices of the group say
            kind = _kind_of(default for _, default, _ in same)
        if refers := re.fullmatch(r"\$\{(\w+)\}", value):
            text = text or f"as [`{refers[1]}`](#{refers[1]})"
        text = text or next((about for _, _, about in same if about), "") or _reader(key)
        rows.append((key, kind, value, text))
    if rows:
        yield from _table("Key", rows)
    else:
        yield "It has no keys."


def _keys_beside(group: str, file: Path) -> Iterator[tuple[str, str, str]]:
    """The keys of all choices of a group, its own first: what one leaves out another may say."""
    for one in (file, *sorted(file.parent.glob("*.yaml"))):
        yield from keys_of(group, one)


@cache
def _reader(key: str) -> str:
    """What is said of the key of another group that takes the value of this one."""
    said = (
        about
        for file in sorted(CONF.glob("*/*.yaml"))
        for _, value, about in keys_of(file.parent.name, file)
        if value == f"${{{key}}}" and about
    )
    return next(said, "")


def _of_task(name: str) -> Iterator[str]:
    """The keys of a task, and which others it reads."""
    kind = TASKS[name]
    own = OmegaConf.to_container(OmegaConf.structured(kind))
    rows = [
        (f"task.{one.name}", _type(one), own[one.name], one.metadata["help"])
        for one in fields(kind)
        if one.metadata
    ]
    if rows:
        yield from _table("Key", rows)
        yield ""
    read = ", ".join(f"[`{key}`](#{key})" for key in _read_by(kind))
    yield f"Reads {read}." if read else "Reads no other key."


def _read_by(kind: type[Task]) -> list[str]:
    """The top-level keys and groups that a task names, or whose section it names."""
    named = set(kind.reads)
    keys = []
    for one in fields(Config):
        inner = _SECTIONS.get(one.name)
        sections = {field.metadata["section"] for field in fields(inner)} if inner else set()
        if {one.name, one.metadata.get("section"), *sections} & named:
            keys.append(one.name)
    return keys + [name for name in named & {"experiment"}]


def _arguments(kind: Any) -> dict[str, Any]:
    """The annotation of each argument of a class, those handed on to its bases among them."""
    found: dict[str, Any] = {}
    for one in reversed(inspect.getmro(kind)):
        if "__init__" in vars(one):
            parameters = inspect.signature(one.__init__).parameters.values()
            found.update({each.name: each.annotation for each in parameters})
    return {name: hint for name, hint in found.items() if hint is not inspect.Parameter.empty}


_WORDS = {
    "int": "int", "float": "float", "bool": "bool", "str": "text", "Any": "any", "None": "null",
    "object": "any", "Path": "text", "dict": "keys", "Mapping": "keys", "list": "list",
    "tuple": "list", "Sequence": "list",
}  # fmt: skip


def _words(hint: Any) -> str:
    """An annotation in words of YAML: ``list[float] | None`` is "list of float or null"."""
    parts = re.split(r" *\| *(?![^[]*\])", str(hint).strip("'"))
    said = []
    for part in parts:
        outer, _, inner = part.removesuffix("]").partition("[")
        word = _WORDS[outer]
        first = inner.split(",")[0].strip()
        said.append(f"list of {_words(first)}" if word == "list" and first else word)
    return " or ".join(dict.fromkeys(said))


def _type(one: Field[Any]) -> str:
    """The type of a key of the schema."""
    hint = str(one.type)
    if isinstance(one.metadata.get("check"), Count):
        hint = "int" if one.default not in (None, MISSING) else "int | None"
    return _words(hint)


def _kind_of(texts: Iterable[str]) -> str:
    """The type of a key by its values, as they are written in YAML."""
    values = [OmegaConf.to_container(OmegaConf.create(f"x: {text}"))["x"] for text in texts]
    kinds = sorted(
        {_kind_of_value(value) for value in values}, key=lambda kind: (kind == "null", kind)
    )
    if any(kind.startswith("list of") for kind in kinds):
        kinds = [kind for kind in kinds if kind != "list"]  # one that happens to be empty
    return " or ".join(kinds)


def _kind_of_value(value: Any) -> str:
    if isinstance(value, list):
        return f"list of {_kind_of_value(value[0])}" if value else "list"
    return _words("None" if value is None else type(value).__name__)


def _table(
    head: str, rows: Iterable[tuple[str, str, Any, str]], anchors: bool = False
) -> Iterator[str]:
    yield from ('<div class="keys" markdown>', "", f"| {head} | Type | Default | Meaning |")
    yield "|---|---|---|---|"
    for name, kind, default, text in rows:
        anchor = f'<span id="{name}"></span>' if anchors else ""
        yield f"| {anchor}`{name}` | {kind} | {_value(default)} | {_cell(text)} |"
    yield from ("", "</div>")


def _value(value: Any) -> str:
    """A default as YAML writes it."""
    if OmegaConf.is_config(value) or isinstance(value, list):
        value = "[" + ", ".join(str(one) for one in value) + "]"
    if value is None or isinstance(value, bool):
        value = {None: "null", True: "true", False: "false"}[value]
    return "required" if value == "???" else f"`{value}`"


def _cell(text: str) -> str:
    """A comment as a cell of a table; a link stays one."""
    return (text if "](#" in text else _escaped(text)).replace("|", "\\|")


# What a comment shows to type: a command up to the end of its line, keys with their values, an
# address, a path with a part to be filled in. A sign at the end belongs to the sentence.
_TYPED = re.compile(
    r"`[^`]*`|'[^']*[=\[][^']*'|python run\.py .*"
    r"|(?<![\w/<])[\w.]+=[^\s;)]*(?: [\w.]+=[^\s;)]+)*|https?://\S*|<\w+>[\w/.<>-]*(?<!-)"
)


def _escaped(text: str) -> str:
    """A comment as Markdown: what is typed as code, and no sign of it read as markup."""
    said, end = "", 0
    for found in _TYPED.finditer(text):
        typed = found[0] if found[0].startswith("`") else f"`{found[0].rstrip('.:,')}`"
        rest = "" if found[0].startswith("`") else found[0][len(typed) - 2 :]
        said += _bare(text[end : found.start()]) + typed + rest
        end = found.end()
    return said + _bare(text[end:])


def _bare(text: str) -> str:
    text = re.sub(r"([*_\[\]])", r"\\\1", text).replace("<", "&lt;")
    return re.sub(r"docs/(\w+\.md)", r"[docs/\1](../\1)", text)
