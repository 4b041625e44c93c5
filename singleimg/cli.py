"""The command line around Hydra: the help page, and a sentence for each of Hydra's errors."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import wrap

from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from singleimg import composition, config
from singleimg.errors import UserError, did_you_mean
from singleimg.schema import CONF, GROUPS, OPTIONAL_GROUPS
from singleimg.signals import stoppable

INTERRUPTED = 128 + 2  # what a shell reports of a command that Ctrl-C ended
_mistakes: list[UserError] = []  # of a single job: raised through Hydra, it would add a line


def run(main: Callable[[], None], arguments: list[str]) -> int:
    """Runs ``main`` and returns the exit status; the only place that prints a mistake."""
    if {"-h", "--help"} & set(arguments):
        print(help_page())
        return 0
    _mistakes.clear()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # else Hydra prints errors itself, and exits
    try:
        with stoppable():
            check_flags(arguments)
            composition.install(arguments)
            main()
    except KeyboardInterrupt as stopped:
        return getattr(stopped, "status", INTERRUPTED)
    except UserError as error:
        _mistakes.append(error)
    except (HydraException, OmegaConfBaseException) as error:
        _mistakes.append(UserError(explain(error)))
    for mistake in _mistakes:
        if not getattr(mistake, "said", False):
            print(one_line(mistake), file=sys.stderr)
    return 1 if _mistakes else 0


def job(cfg: DictConfig) -> None:
    """Checks one job's configuration and runs its task; in a sweep, says at once what failed."""
    hydra_cfg = HydraConfig.get()
    try:
        checked = config.load(cfg, hydra_cfg.overrides.task)
        config.task(checked)(checked)
    except (UserError, OmegaConfBaseException, OSError) as error:
        mistake = error if isinstance(error, UserError) else UserError(explain(error))
        if hydra_cfg.mode != RunMode.MULTIRUN:
            _mistakes.append(mistake)
            return
        print(f"{' '.join(hydra_cfg.overrides.task)}: {one_line(mistake)}", file=sys.stderr)
        mistake.said = True
        raise mistake from None


def check_flags(arguments: list[str]) -> None:
    """Explains the published script's ``--num_imgs 100`` to those who type it."""
    known = {flag for action in get_args_parser()._actions for flag in action.option_strings}
    for place, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag == "--experimental-rerun":  # unpickles its file, which runs what stands in it
            raise UserError(
                f"{flag} is not offered: python run.py -cp <folder of a dataset> -cn config "
                "targetpath=… makes it again."
            )
        if not flag.startswith("--") or flag in known:
            continue
        key = flag[2:].replace("-", "_")
        if key not in keys():
            raise UserError(
                f"{argument} is no option{did_you_mean(key, keys())}: keys are typed without "
                "dashes, such as num_imgs=100; --help lists them."
            )
        following = _values_after(arguments[place + 1 :])
        text = value or (f"[{','.join(following)}]" if following[1:] else "".join(following))
        raise UserError(
            f"{flag} is the published script's way to say it: type {key}={text or 'true'}."
        )


def _values_after(arguments: list[str]) -> list[str]:
    values = []
    for argument in arguments:
        if argument.startswith("-") or "=" in argument:
            break
        values.append(argument)
    return values


def keys() -> list[str]:
    """Every key that can be typed, those of groups with their group: ``output.quality``."""
    names = [name.split("=")[0] for name, _ in _comments(CONF / "config.yaml")]
    names += [*GROUPS, *OPTIONAL_GROUPS]
    for file in CONF.glob("*/*.yaml"):
        if file.parent.name not in ("augment", "experiment"):
            names += [f"{file.parent.name}.{key}" for key in OmegaConf.load(file)]
    return [str(name) for name in dict.fromkeys(names)]


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


# --- help ----------------------------------------------------------------------------------------

_HEAD = """\
Turns one picture into a training set of any size (Asano, Rupprecht, Vedaldi, ICLR 2020).
Image i depends on the settings and i alone: any number of workers makes the same bytes.

  python run.py num_imgs=1000                                  a picture that ships with us
  python run.py imgpath=photo.jpg augment=strong num_imgs=1M   your own picture
  python run.py debug=true                                     64 images and a grid to look at
  python run.py -m deg=0,30 scale=[500,1],[100,1]              one dataset for each combination
  python run.py experiment=paper_imagenet_a                    a configuration of the paper
  python run.py task=pretrain method=rotnet network=cifar_conv4 img_size=32 augment=paper
  python run.py task=probe checkpoint=outputs/… data=cifar10 data.path=…
"""
_FOOT = "--cfg job shows the composed settings, --hydra-help what else Hydra offers."


def help_page() -> str:
    """What this does, commands, groups and keys, from the comments in conf/."""
    groups = [
        (folder.name, " | ".join(sorted(file.stem for file in folder.glob("*.yaml"))))
        for folder in map(CONF.joinpath, (*GROUPS, *OPTIONAL_GROUPS, "experiment"))
    ]
    parts = [
        _HEAD,
        "Groups (group=choice):",
        *_table(groups),
        "",
        "Keys (key=value):",
        *_table(list(_comments(CONF / "config.yaml"))),
        "",
        "Output (output.key=value):",
        *_table(list(_comments(CONF / "output" / "folder.yaml"))),
        "",
        _FOOT,
    ]
    return "\n".join(parts)


def _comments(file: Path) -> Iterator[tuple[str, str]]:
    """``key=default`` and its comment for each key of a YAML file: ``train.devices``, too."""
    section = ""
    for line in file.read_text().splitlines():
        if head := re.match(r"(\w+):\s*(?:#.*)?$", line):
            section = head[1]
        found = re.match(r"( *)(\w+): +(.*?) +# (.*)$", line)
        if found and found[3] and not found[2].startswith("_"):
            yield f"{section + '.' if found[1] else ''}{found[2]}={found[3]}", found[4]


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows) + 4
    return [
        line
        for name, text in rows
        for line in wrap(
            text,
            100,
            initial_indent=f"  {name:<{width - 4}}  ",
            subsequent_indent=" " * width,
        )
    ]
