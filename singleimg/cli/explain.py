"""A sentence for each error of Hydra and OmegaConf."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from hydra.errors import HydraException
from omegaconf import OmegaConf

from singleimg.cli.help import comments
from singleimg.config.former import FORMER, former_key
from singleimg.config.schema import CONF, GROUPS, OPTIONAL_GROUPS, typed_keys
from singleimg.config.tasks import TASKS
from singleimg.errors import did_you_mean


def keys() -> list[str]:
    """Every key that can be typed, those of groups with their group: ``output.quality``."""
    names = [name.split("=")[0] for name, _ in comments(CONF / "config.yaml")]
    names += [*GROUPS, *OPTIONAL_GROUPS]
    for file in CONF.glob("*/*.yaml"):
        if file.parent.name not in ("augment", "experiment"):
            names += [f"{file.parent.name}.{key}" for key in OmegaConf.load(file)]
    names += [key for kind in TASKS.values() for key, _ in typed_keys(kind)]
    return [str(name) for name in dict.fromkeys(names) if not str(name).endswith(".defaults")]


# --- errors --------------------------------------------------------------------------------------


def one_line(mistake: object) -> str:
    """The sentence, in which a value may hold line breaks or what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in str(mistake))


def explain(error: BaseException) -> str:
    """One sentence for an error of Hydra or OmegaConf."""
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}. Mend that, and type the same command again."
    text = "\n".join(str(part) for part in _chain(error))
    for pattern, sentence in _SENTENCES:
        found = re.search(pattern, text, re.DOTALL)
        if found:
            return one_line(sentence(*found.groups()))
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _no_key(key: str) -> str:
    name = key.lstrip("+~")
    if name in FORMER:
        return f"{former_key(name)}."
    tasks = [task for task, kind in TASKS.items() if name in dict(typed_keys(kind))]
    if tasks:
        return (
            f"{name} is a key of task={' and task='.join(tasks)}: type that too, or leave it out."
        )
    return f"{name} is no key{did_you_mean(name, keys())}: python run.py --help lists them."


def _no_option(group: str, name: str) -> str:
    options = sorted(file.stem for file in (CONF / group).glob("*.yaml"))
    if not options:
        return f"{group}={name} cannot be found: python run.py --help lists what there is."
    return f"{group}={name} is none of {', '.join(options)}{did_you_mean(name, options)}."


_KINDS = {
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "String": "a text",
}


def _bad_type(value: str, kind: str, key: str) -> str:
    return f"{key}={value} is not {_KINDS.get(kind, kind)}: python run.py --help says what it is."


_SENTENCES: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"Ambiguous value for argument '([^']+)'", lambda text: f"{text} lists several values: add -m"
     " to make one dataset of each, or write a list as key=[1,2]."),
    (r"Could not find '(\w+)/([^']+)'", _no_option),
    (r"In '[^']*': Could not find '(\w+)/([^']+)'", _no_option),
    (r"[Vv]alue '(.*?)' of type '\w+' (?:could not be converted to|is incompatible with type "
     r"hint) '?(\w+)'?[^\n]*\n\s*full_key: (\S+)", _bad_type),
    (r"Cannot convert '\w+' to string: '(.*?)'[^\n]*\n\s*full_key: (\S+)", lambda value, key:
     _bad_type(value, "String", key)),
    (r"Value '(.*?)' is not a valid (\w+)[^\n]*\n\s*full_key: (\S+)", lambda value, kind, key:
     _bad_type(value, {"bool": "Boolean", "int": "Integer"}.get(kind, kind), key)),
    (r"Missing mandatory value: (?:\S+\n\s*full_key: )?(\S+)", lambda key:
     f"{key} is missing: type {key}=…."),
    (r"Error parsing override '([^']+)'", lambda text: f"{text} cannot be read: keys are typed as "
     "key=value, and a value with , = { } or spaces in it in quotes, 'key=\"a value\"'."),
    (r"Could not override '([^']+)'", _no_key),
    (r"Key '(\w+)' (?:is )?not in", _no_key),
    (r"Cannot merge \w+ with (List|Dict)Config[^\n]*\n\s*full_key: (\S+)", lambda kind, key:
     f"{key} is not {'a list' if kind == 'List' else 'a group of keys'}: python run.py --cfg job "
     "shows what it is."),
    (r"Invalid value assigned: \w+ is not a ListConfig[^\n]*\n\s*full_key: (\S+)", lambda key:
     f"{key} is not a list: type {key}=[…]."),
    (r"field '(\w+)' is not Optional", lambda key: f"{key}=null is no value: leave {key} out."),
    (r"Interpolation key '([^']+)' not found\n\s*full_key: (\S+)", lambda to, key:
     f"{key} refers to {to}, which is no key: python run.py --help lists them."),
    (r"Interpolation key '([^']+)' not found", lambda to: f"{to}, which a value refers to, is no "
     "key: python run.py --help lists them."),
    (r"(?:viable alternative|mismatched input|token recognition)[^\n]*\n\s*full_key: (\S+)",
     lambda key: f"{key} cannot be read: ${{ begins a reference, such as ${{seed}}."),
    (r"^(.*?)\n\s*full_key: (\S+)", lambda what, key: f"{key}: {' '.join(what.split())}: python "
     "run.py --help says what it is."),
)  # fmt: skip
