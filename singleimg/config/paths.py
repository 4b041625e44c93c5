"""Paths that a person types: names of files as they are, before Hydra's grammar reads them.

Hydra reads ``imgpath=IMG (1).jpg`` by its grammar, in which brackets, quotation marks, commas and
letters outside ASCII mean something or are mistakes, and OmegaConf takes ``${`` in a value for a
reference. Here such an argument becomes one that both read as the path that was meant.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from singleimg.config.schema import Config, typed_keys
from singleimg.config.tasks import TASKS
from singleimg.errors import UserError, file_path, is_url

_OVERRIDE = re.compile(r"(\+{0,2})([\w.@/]+)=(.*)", re.DOTALL)
_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*\$\{([^}]*)\}?")  # one that OmegaConf resolves
# Keys that hold a path, and whether what it names must exist: "read" or "write".
PATHS: dict[str, str] = {
    name: field.metadata["path"]
    for task in TASKS.values()
    for name, field in typed_keys(task)
    if field.metadata.get("path")
} | dict.fromkeys(("image.path", "data.path", "method.init", "method.teacher"), "read")

_NAMES = {"method.teacher": "timm:"}  # how values begin that are no paths


def read(overrides: Sequence[str], sweeping: bool = False) -> list[str]:
    """Arguments as typed, those of paths as Hydra and OmegaConf read them: absolute and quoted.

    1. The whole value is the name of what exists (for a key that reads): that path.
    2. ``null``, a quoted string, a list, a reference to keys of ours or Hydra's
       (``${hydra:job.num}``), and in a sweep commas, ``choice()``, ``range()`` and ``glob()``:
       what Hydra says.
    3. Anything else: a path, letter for letter.

    Raises UserError for a path that cannot be one.
    """
    known = {"hydra", *(field.name for field in fields(Config))}
    known |= {text.lstrip("+").partition("=")[0].partition(".")[0] for text in overrides}
    arguments = []
    for text in overrides:
        found = _OVERRIDE.fullmatch(text)
        if found and found[2] in PATHS:
            sign, key, value = found.groups()
            text = f"{sign}{key}={_value(key, value, sweeping, known)}"
        arguments.append(text)
    return arguments


def _value(key: str, value: str, sweeping: bool, known: set[str]) -> str:
    """``value`` in Hydra's grammar."""
    names = {value, os.path.expanduser(value)} if PATHS[key] == "read" and value else ()
    if any(map(os.path.exists, names)):
        return literal(absolute(key, value))
    try:
        parsed = OverridesParser.create().parse_override(f"{key}={value}")
    except HydraException:
        parsed = None
    references = _REFERENCE.findall(value)
    ours = all(re.split(r"[.:\[]", name)[0] in known for name in references)
    if parsed is not None and _is_of_hydra(parsed, sweeping, ours, bool(references)):
        return value
    if sweeping and "," in value:
        return ",".join(_value(key, part, False, known) for part in _parts(value))
    if PATHS[key] == "read" and re.fullmatch(r"\[.*,.*\]", value, re.DOTALL):
        return f"[{','.join(_value(key, part, False, known) for part in _parts(value[1:-1]))}]"
    if references and ours:  # resolved later, and only then known as a path
        return QuotedString(value, Quote.single).with_quotes()
    return literal(absolute(key, value))


def _parts(text: str) -> list[str]:
    """What stands between the commas of a list; a comma in a quoted part is none of the list's."""
    quoted = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
    return re.findall(rf"\s*({quoted}|[^,]*?)\s*(?:,|\Z)", text, re.DOTALL)[:-1]  # and the end


def _is_of_hydra(parsed: Override, sweeping: bool, ours: bool, refers: bool) -> bool:
    value = parsed._value
    if parsed.is_sweep_override():
        return sweeping and ours
    if isinstance(value, QuotedString):
        return True
    return ours and (value is None or isinstance(value, list) or refers)


def literal(text: str) -> str:
    """``text`` as a value that Hydra's grammar and OmegaConf leave as it is."""
    if re.fullmatch(r"[A-Za-z0-9_./:+%-]*/[A-Za-z0-9_./:+%-]*", text):
        return text
    return QuotedString(escape(text), Quote.single).with_quotes()


def escape(text: str) -> str:
    """``text`` as OmegaConf has to hold it for ``${`` in it to be no reference."""
    return re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", text)


def escaped(node: Any) -> Any:
    """Plain values with every text in them as :func:`escape` gives it."""
    if isinstance(node, dict):
        return {key: escaped(value) for key, value in node.items()}
    if isinstance(node, list):
        return [escaped(value) for value in node]
    return escape(node) if isinstance(node, str) else node


def refers(text: str) -> bool:
    """Whether OmegaConf would resolve something in ``text``."""
    return _REFERENCE.search(text) is not None


def absolute(key: str, text: str) -> str:
    """The absolute, normalised path that a person means by the value of ``key``.

    Relative ones are taken from where the command was typed, ``~`` is expanded, ``file://`` means
    its folder; what is behind another URL stays as it is. Raises UserError when nothing is named.
    """
    if not text:
        raise UserError(f"{key}= is empty: type {key}=<a path>, or leave it out.")
    if is_url(text) or text.startswith(_NAMES.get(key, "\0")):
        return text
    is_there = PATHS.get(key) == "read" and os.path.exists(os.path.join(here(), text))
    path = text if is_there else file_path(text)
    if path != text and not path.startswith("/"):
        raise UserError(
            f"{key}={text} is not a path on this machine: type {key}=file:///a/path, or the path "
            "alone."
        )
    expanded = path if is_there else os.path.expanduser(path)
    if expanded.startswith("~") and not is_there:
        raise UserError(
            f"{key}={text} names the home folder of a user that does not exist here: type the path "
            f"in full, or {key}=./{text} for what has that name."
        )
    whole = os.path.join(here(), expanded)
    # ".." leaves the folder that a link leads to, not the one that the link lies in.
    whole = os.path.realpath(whole) if ".." in Path(whole).parts else os.path.normpath(whole)
    # A reference to a text, and Hydra's instantiation, would have OmegaConf resolve it once more.
    return f"file://{quote(whole)}" if PATHS.get(key) == "read" and "${" in whole else whole


def here() -> Path:
    """The folder in which the command was typed, also where Hydra runs a job in one of its own."""
    if HydraConfig.initialized():  # as it stands: its name may look like a reference
        return Path(HydraConfig.get().runtime._get_node("cwd")._value())
    return Path.cwd()
