"""The command line around Hydra: the help page, and a sentence for each of Hydra's errors."""

from __future__ import annotations

import atexit
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import hydra.version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from singleimg.cli import sweep
from singleimg.cli.help import choice_page, help_page
from singleimg.config import checks, guard, paths, saved
from singleimg.config.command_line import as_started, command, quoted
from singleimg.config.explain import explain, keys, one_line
from singleimg.config.former import refuse_former
from singleimg.config.location import CONF
from singleimg.config.make import task
from singleimg.config.schema import KEYS
from singleimg.errors import FULL, UserError, did_you_mean, is_url, own_failures
from singleimg.system.signals import stoppable
from singleimg.system.streams import open_streams
from singleimg.version import __version__

INTERRUPTED = 128 + 2  # what a shell reports of a command that Ctrl-C ended
_mistakes: list[UserError] = []  # of a single job: raised through Hydra, it would add a line


def main() -> int:
    """Runs the command that was typed and returns its exit status; all that prints a mistake."""
    open_streams()
    ending: list[int] = []
    # What is registered first comes last: after that, Python takes torch down for a second or two.
    atexit.register(lambda: os._exit(ending[0]) if ending else None)
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        return _help([one for one in arguments if "=" in one])
    if "--version" in arguments:  # Hydra would tell its own
        print(f"singleimg {__version__}")
        return 0
    _mistakes.clear()
    before = os.environ.get(FULL)
    os.environ[FULL] = "1"  # else Hydra prints errors itself, and exits
    try:
        with stoppable():
            check_flags(arguments)
            refuse_former(arguments)
            _hydra(arguments)
    except KeyboardInterrupt as stopped:
        status = getattr(stopped, "status", INTERRUPTED)
        ending.append(status)
        return status
    except UserError as error:
        _mistakes.append(error)
    except (HydraException, OmegaConfBaseException, YAMLError, OSError) as error:
        _mistakes.append(UserError(explain(error)))
    finally:
        os.environ.pop(FULL) if before is None else os.environ.update({FULL: before})
    if _mistakes and sys.stdout is not None:
        with suppress(OSError, ValueError):  # what was printed comes before what went wrong
            sys.stdout.flush()
    for mistake in _mistakes:
        mistake.__traceback__ = mistake.__context__ = None  # whose frames keep what was at work
        if before not in (None, "0") and mistake.__cause__ is not None:
            traceback.print_exception(mistake.__cause__)
        print(as_started(one_line(mistake)), file=sys.stderr)
    return 1 if _mistakes else 0


def _hydra(arguments: list[str]) -> None:
    """What ``hydra.main`` does, but that names of files are read as such, ``-cp`` among them."""
    hydra.version.setbase("1.3")
    parser = get_args_parser()
    parser.error = _refuse_flags
    args = parser.parse_intermixed_args(arguments)
    for flag in ("config_path", "config_dir"):
        folder = getattr(args, flag)
        if folder and not is_url(folder):
            name = f"--{flag.replace('_', '-')}"
            setattr(args, flag, paths.absolute(name, folder))
            if not Path(getattr(args, flag)).is_dir():
                raise UserError(f"{name}={folder} is not a folder: type one that holds YAML files.")
    if args.config_dir:
        refuse_shadowed(Path(args.config_dir), args.config_name)
    args.overrides = paths.read(args.overrides or [], args.multirun)
    guard.install(args.overrides)
    with sweep.surviving(), _choices_alone():
        _run_hydra(args, parser, job, config_path=str(CONF), config_name="config")


@contextmanager
def _choices_alone() -> Iterator[None]:
    """Has shells complete the choices of groups, and not the keys of tasks that lie beside them."""
    every = ConfigLoaderImpl.get_group_options

    def choices(*arguments: Any, **keys: Any) -> list[str]:
        return [name for name in every(*arguments, **keys) if not name.endswith(KEYS)]

    ConfigLoaderImpl.get_group_options = choices
    try:
        yield
    finally:
        ConfigLoaderImpl.get_group_options = every


def job(cfg: DictConfig) -> float | None:
    """Runs the task of a configuration, alone or as a job of a sweep; the value that it gives."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return sweep.run_job(cfg, _work)
    try:
        return _work(cfg)[0]
    except (UserError, OmegaConfBaseException, OSError) as error:
        _mistakes.append(error if isinstance(error, UserError) else UserError(explain(error)))
        return None


def _work(cfg: DictConfig) -> tuple[float | None, str | None]:
    """Checks a configuration and runs its task: what that gives, and where what it made lies."""
    overrides = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    checked = checks.load(cfg, overrides)
    with own_failures(checked.trusted_modules):
        value = task(checked)(checked)
    to = checked.task.get("to")  # of an export
    return value, to or checked.targetpath


def _help(choices: list[str]) -> int:
    try:
        pages = [choice_page(*one.split("=", 1)) for one in choices] or [help_page()]
    except UserError as error:
        print(as_started(one_line(error)), file=sys.stderr)
        return 1
    print(as_started("\n\n".join(pages)))
    return 0


def refuse_shadowed(folder: Path, name: str | None) -> None:
    """Refuses a configuration beside ``--config-dir`` that ours of that name would hide.

    Without this, to point at a dataset so would make another one, with all values at their default.
    """
    file = folder / f"{(name or 'config').removesuffix('.yaml')}.yaml"
    ours = (CONF / file.name).exists()
    if file.exists() and ours and (name or saved.is_dataset(folder)):
        raise UserError(
            f"{file} would be ignored, since --config-dir only adds choices to groups: type "
            f"{command('-cp', str(folder), '-cn', file.stem)} to run it."
        )


def _refuse_flags(message: str) -> NoReturn:
    """In place of argparse's usage, which tells of Hydra."""
    raise UserError(f"{one_line(message)}: type python run.py --help to see what can be typed.")


def check_flags(arguments: list[str]) -> None:
    """Explains the published script's ``--num_imgs 100`` to those who type it."""
    known = {flag for action in get_args_parser()._actions for flag in action.option_strings}
    for place, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag == "--experimental-rerun":  # unpickles its file, which runs what stands in it
            raise UserError(
                f"{flag} is not supported: to make a dataset again, type python run.py -cp <its "
                "folder> -cn config targetpath=…."
            )
        if flag == "task" and argument.endswith(KEYS):  # which Hydra would take for a choice
            raise UserError(f"{argument} is not a task: type {argument.removesuffix(KEYS)}.")
        if not flag.startswith("--") or flag in known:
            continue
        key = flag[2:].replace("-", "_")
        if key not in keys():
            raise UserError(
                f"{argument} is not an option{did_you_mean(key, keys())}: keys are typed without "
                "dashes, such as num_imgs=100; type --help to see them."
            )
        following = _values_after(arguments[place + 1 :])
        text = value or (f"[{','.join(following)}]" if following[1:] else "".join(following))
        typed = quoted(f"{key}={text or 'true'}")
        raise UserError(f"{flag} is an option of the published script: type {typed}.")


def _values_after(arguments: list[str]) -> list[str]:
    values = []
    for argument in arguments:
        if argument.startswith("-") or "=" in argument:
            break
        values.append(argument)
    return values
