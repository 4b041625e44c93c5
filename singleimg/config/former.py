"""Keys by the names that they had before, and what to type now."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, flag_override

from singleimg.errors import UserError

# A former key, and what is typed in its place; files that were written before may hold it.
FORMER = {
    "repair": "task=repair instead of task=verify",
    "deep": "task.deep={value}",
    "to": "task.to={value}",
    "dataset": "task.dataset={value}",
    "checkpoint": "task.checkpoint={value}",
    "resume": "task.resume={value}",
    "train.images": "task.images={value}",
    "train.keep": "task.keep={value}",
    "train.tensorboard": "task.tensorboard={value}",
    "study.parts": "task.parts={value}",
}


def refuse_former(arguments: Sequence[str]) -> None:
    """Raises UserError for an argument whose key has another name now."""
    for argument in arguments:
        key, equals, value = argument.lstrip("+~").partition("=")
        if equals and key in FORMER:
            raise UserError(f"{former_key(key, value)}.")


def former_key(key: str, value: str = "…") -> str:
    """``to=b is typed in another way now: type task.to=b``."""
    return f"{key}={value} is typed in another way now: type {FORMER[key].format(value=value)}"


def drop_former(cfg: DictConfig) -> None:
    """Takes out of a configuration that a run saved what it held of former keys."""
    with flag_override(cfg, ["struct", "readonly"], [False, False]):
        for key in (*FORMER, "debug"):  # of one run alone, which made a picture too
            cfg.pop(key, None)
