"""Faults of the network between this machine and a store: tried again, then told in a sentence."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from singleimg.errors import UserError, WriteError

T = TypeVar("T")

_TRIES = 3  # of an upload as a whole; each of its requests is tried more often by the library
_PAUSE = 1.0  # seconds before the second try of an upload; doubled for the third


def patiently(act: Callable[[], T], place: str) -> T:
    """Does ``act``, a few times if faults of the network hinder it; then raises WriteError."""
    pause = _PAUSE
    for _ in range(_TRIES - 1):
        try:
            return _once(act, place)
        except WriteError:
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause *= 2
    return _once(act, place)


def _once(act: Callable[[], T], place: str) -> T:
    with said(place, "written"):
        return act()


@contextmanager
def said(place: str, done: str = "read") -> Iterator[None]:
    """Turns errors of a store into sentences: UserError, or WriteError if it may pass."""
    try:
        yield
    except PermissionError as error:
        raise UserError(
            f"{place} cannot be {done} ({_reason(error)}): check the credentials in the "
            "environment, and what they allow there."
        ) from error
    except FileNotFoundError as error:
        remedy = "check that it is still there"
        if done == "written":
            remedy = "make the bucket first, or type another targetpath"
        raise UserError(f"{place} cannot be {done} ({_reason(error)}): {remedy}.") from error
    except NotImplementedError as error:
        raise UserError(
            f"{place} cannot be {done} (fsspec does not support that there): type another "
            "targetpath."
        ) from error
    except Exception as error:
        if "Credentials" in type(error).__name__:
            raise UserError(
                f"{place} cannot be {done} ({_reason(error)}): put credentials into the "
                "environment (for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)."
            ) from error
        origin = type(error).__module__.partition(".")[0]
        if not isinstance(error, OSError) and origin in ("builtins", "singleimg"):
            raise  # a mistake in the program; those of the network come from packages of theirs
        raise WriteError(
            f"{place} cannot be {done} ({_reason(error)}): check that the store can be reached."
        ) from error


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
