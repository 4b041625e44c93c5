"""A sentence for each error of Hydra and OmegaConf, and the keys that there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from unicodedata import category

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    ConfigTypeError,
    GrammarParseError,
    InterpolationKeyError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)
from yaml import YAMLError

from singleimg.config.command_line import quoted
from singleimg.config.former import FORMER, former_key
from singleimg.config.location import CONF
from singleimg.config.paths import escape
from singleimg.config.schema import GROUPS, KEYS, OPTIONAL_GROUPS, typed_keys
from singleimg.config.tasks import TASKS
from singleimg.errors import UserError, did_you_mean, nearest


def comments(file: Path) -> Iterator[tuple[str, str]]:
    """``key=default`` and its comment for each key of a YAML file: ``train.devices``, too."""
    section = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if head := re.match(r"(\w+):\s*(?:#.*)?$", line):
            section = head[1]
        found = re.match(r"( *)(\w+): +(.*?) +# (.*)$", line)
        if found and found[3] and not found[2].startswith("_"):
            yield f"{section + '.' if found[1] else ''}{found[2]}={found[3]}", found[4]


def keys() -> list[str]:
    """Every key that can be typed, those of groups with their group: ``output.quality``."""
    names = [name.split("=")[0] for name, _ in comments(CONF / "config.yaml")]
    names += [*GROUPS, *OPTIONAL_GROUPS]
    for file in CONF.glob("*/*.yaml"):
        if file.parent.name not in ("augment", "experiment"):
            names += [f"{file.parent.name}.{key}" for key in OmegaConf.load(file)]
    names += [key for kind in TASKS.values() for key, _ in typed_keys(kind)]
    return [str(name) for name in dict.fromkeys(names) if not str(name).endswith(".defaults")]


def one_line(mistake: object) -> str:
    """The sentence, in which a value may hold line breaks or what a terminal would obey.

    Other letters stay as they are, spaces of any kind too: names of files may hold them.
    """
    return "".join(
        " " if category(letter) in ("Cc", "Zl", "Zp") or letter in _TURNING else letter
        for letter in str(mistake)
    )


_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # the order of letters


@contextmanager
def explained() -> Iterator[None]:
    """Raises a UserError, one sentence, instead of an error of Hydra, OmegaConf or YAML."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(explain(error)) from None


def explain(error: BaseException) -> str:
    """One sentence for an error of Hydra or OmegaConf, or of a file that cannot be read."""
    if isinstance(error, OSError) and not isinstance(error, HydraException):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}: fix that, and type the same command again."
    if isinstance(error, YAMLError):
        mark = getattr(error, "problem_mark", None)
        where = f"{mark.name}, line {mark.line + 1}" if mark else "A file of settings"
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        return f"{where}, cannot be read ({problem}): fix it."
    # What OmegaConf knows is more than what Hydra makes of it.
    causes = reversed(list(_chain(error)))
    sentences = (_sentence(one) for one in causes)
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    return one_line(next((sentence for sentence in sentences if sentence), text))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _sentence(error: BaseException) -> str | None:
    """What one error of a chain says by itself; None when another one has to say it."""
    if isinstance(error, OverrideParseException):
        return _unread(str(error.override))
    if isinstance(error, MissingConfigException) and "/" in (error.missing_cfg_file or ""):
        return _no_option(*error.missing_cfg_file.rsplit("/", 1), error.options or ())
    if isinstance(error, OmegaConfBaseException):
        return _of_key(error, str(error.full_key or error.key or ""))
    for pattern, sentence in _ONLY_TOLD:
        if found := re.match(pattern, str(error)):
            return sentence(found[1])
    return None


def _unread(argument: str) -> str:
    """How to type what Hydra's grammar cannot read."""
    key, equals, value = argument.partition("=")
    if equals and re.fullmatch(r"\+{0,2}[\w.@/]+", key):
        text = QuotedString(escape(value), Quote.double).with_quotes()
        return (
            f"{argument} cannot be read, since ( ) [ ] {{ }} , = : and quotation marks mean "
            f"something in a value: type {quoted(f'{key}={text}')} for a plain text."
        )
    there = Path(argument).exists()
    shown = f", such as {quoted(f'imgpath={argument}')}" if there else ", such as num_imgs=1000"
    return f"{argument} cannot be read: keys are typed as key=value{shown}."


def _of_key(error: OmegaConfBaseException, key: str) -> str | None:
    """What is wrong with the value of ``key``."""
    shows = "type python run.py --cfg job to see what it is."
    match error:
        case MissingMandatoryValue() | InterpolationToMissingValueError():
            return f"{key} is missing: type {key}=…."
        case ConfigAttributeError() | ConfigKeyError():
            return _no_key(key)
        case InterpolationKeyError():
            name = str(error).partition("'")[2].partition("'")[0]
            refers = (
                f"{key} refers to {name}, which" if key else f"{name}, which a value refers to,"
            )
            return f"{refers} is not a key: type python run.py --help to see all keys."
        case GrammarParseError():
            return (
                f"{key} cannot be read, since "
                f"${{ starts a reference: type one such as ${{seed}}, or leave ${{ out."
            )
        case ConfigTypeError():
            is_list = OmegaConf.is_list(error.parent_node)
            return f"{key} is not {'a list' if is_list else 'a group of keys'}: {shows}"
        case ValidationError() if OmegaConf.is_list(error.child_node):
            return f"{key} is not a list: type '{key}=[…]'."
        case ValidationError() if OmegaConf.is_dict(error.child_node) and error.value is not None:
            return f"{key} is not a group of keys: {shows}"
        case ValidationError() if error.value is None:
            return f"{key}=null is not a value: leave {key} out."
        case ValidationError() if (kind := _kind(error)) is not None:
            return (
                f"{key}={error.value} is not {kind}: type python run.py --help to see what it "
                "means."
            )
    what = " ".join(str(error).partition("full_key:")[0].split())
    return f"{key}: {what}: type python run.py --help to see what it means." if key else None


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _kind(error: ValidationError) -> str | None:
    """What a value should have been: by the type of its key, or of a list's elements."""
    parent, node = error.parent_node, error.child_node
    hint = parent._metadata.element_type if OmegaConf.is_list(parent) else None
    return _KINDS.get(hint if node is None or hint else node._metadata.ref_type)


def _no_key(name: str) -> str:
    if name in FORMER:
        return f"{former_key(name)}."
    of = [task for task, kind in TASKS.items() if name in {f"task.{f.name}" for f in fields(kind)}]
    if of:
        return f"{name} is a key of task={' and task='.join(of)}: type that too, or leave it out."
    group, _, rest = name.partition(".")
    choices = [
        file.stem
        for file in sorted(CONF.glob(f"{group}/*.yaml"))
        if rest and OmegaConf.select(OmegaConf.load(file), rest, default=group) != group
    ]
    if choices:
        those = " or ".join([*filter(None, [", ".join(choices[:-1])]), choices[-1]])
        return f"{name} is a key of {group}={those}: type that too, or leave {name} out."
    return (
        f"{name} is not a key{did_you_mean(name, keys())}: type python run.py --help to see all "
        "keys."
    )


def _no_option(group: str, name: str, options: Sequence[str]) -> str:
    there = [option for option in options if not option.endswith(KEYS)]
    if not there:
        return f"{group}={name} does not exist: type python run.py --help to see what there is."
    return (
        f"{group}={name} is not one of {', '.join(there)}{did_you_mean(name, there)}: type for "
        f"example {group}={nearest(name, there) or there[0]}."
    )


# Where the text is all that Hydra gives.
_ONLY_TOLD: tuple[tuple[str, Callable[[str], str]], ...] = (
    (r"Ambiguous value for argument '([^']+)'", lambda text: f"{text} lists several values: add -m"
     " to make one dataset of each, or write a list as 'key=[1,2]'."),
    (r"Could not override '([^']+)'", _no_key),
)  # fmt: skip
