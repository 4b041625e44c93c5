"""What a key may hold: each kind of range says so in a sentence when a value is outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from singleimg.errors import UserError, did_you_mean
from singleimg.storage.shards import Slice

MOST = 10**9  # images; their names have nine digits
_SUFFIXES = {"": 1, "k": 10**3, "m": 10**6}


class Check(Protocol):
    """A kind of range, as field metadata of a key."""

    def check(self, key: str, value: Any) -> None:
        """Raises UserError unless ``value`` is allowed."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high`` (None: any larger one), which are ``what``."""

    low: int
    high: int | None
    what: str

    def check(self, key: str, value: float) -> None:
        if self.low <= value and (self.high is None or value <= self.high):
            return
        several = f"from {self.low} to {self.high}"
        allowed = several if self.high is not None else f"of {self.low} or more"
        near = self.low if value < self.low else self.high
        raise UserError(
            f"{key}={value:g} is not {self.what} {allowed}: type for example {key}={near}."
        )


@dataclass(frozen=True)
class Choice:
    """One of some names."""

    names: tuple[str, ...]
    example: str

    def check(self, key: str, value: str) -> None:
        if value not in self.names:
            raise UserError(
                f"{key}={value} is not one of {', '.join(self.names)}"
                f"{did_you_mean(value, self.names)}: type for example {key}={self.example}."
            )


@dataclass(frozen=True)
class Fraction:
    """Over 0 and up to 1; ``otherwise``: what else to type."""

    example: float
    otherwise: str = ""

    def check(self, key: str, value: float) -> None:
        if not 0 < value <= 1:
            raise UserError(
                f"{key}={value:g} is not a fraction over 0 and up to 1: "
                f"type for example {key}={self.example:g}{self.otherwise}."
            )


@dataclass(frozen=True)
class Fractions:
    """A list of fractions over 0 and up to 1."""

    def check(self, key: str, value: Sequence[float]) -> None:
        for part in value:
            if not 0 < part <= 1:
                raise UserError(
                    f"{key}={list(value)} holds {part:g}, which is not a fraction over 0 and up to "
                    f"1: type for example '{key}=[0.5]'."
                )


@dataclass(frozen=True)
class SliceOf:
    """One of n slices of a dataset, as ``k/n``."""

    def check(self, key: str, value: str) -> None:
        try:
            Slice.of(value)
        except ValueError:
            raise UserError(
                f"{key}={value} is not k/n, slice k of n slices, with k from 0 to n - 1: type for "
                f"example {key}=0/8."
            ) from None


@dataclass(frozen=True)
class AreaRange:
    """Two numbers, the larger first: an inverse area range."""

    def check(self, key: str, value: Sequence[float]) -> None:
        numbers = all(type(one) in (int, float) for one in value)
        if not numbers or len(value) != 2 or not MOST >= value[0] >= value[1] >= 1:
            text = ",".join(f"{one:g}" if numbers else str(one) for one in value)
            raise UserError(
                f"{key}=[{text}] is not an inverse area range, two numbers from 1 to {MOST:,}, the "
                f"larger first: type for example '{key}=[500,1]' for crops of 1/500 to all of the "
                "area."
            )


@dataclass(frozen=True)
class Count:
    """A number of images (or of ``what``), also as ``1M``; what reads it calls ``parse_count``."""

    what: str = "images"

    def check(self, key: str, value: Any) -> None:
        parse_count(key, value, self.what)


def parse_count(key: str, value: Any, what: str = "images") -> int:
    """A number from ``1000``, ``1e6``, ``1_000_000``, ``1M``, ``50k``; 1 … MOST, in pixels more."""
    text = str(value).strip().lower().replace("_", "")
    number, suffix = (text[:-1], text[-1]) if text[-1:] in "km" and text else (text, "")
    try:
        count = float(number) * _SUFFIXES[suffix]
    except ValueError:
        count = -1.0
    most = MOST if what == "images" else 2**53
    if not 1 <= count <= most or count != int(count) or isinstance(value, bool):
        raise UserError(
            f"{key}={value} is not a number of {what} from 1 to {most:,}: type for example "
            f"{key}=1000, {key}=1e6 or {key}=1M."
        )
    return int(count)
