"""exp, log, sin, cos and tan in float64 with the same bits on every processor. Imports no torch.

Libraries of mathematics round these differently from version to version and from processor to
processor. Here they are made of what IEEE 754 fixes to the bit, in the order in which it is
written: + − × ÷, comparison, and the exact steps ldexp and frexp. None is fused (Python and NumPy
never contract a product and a sum), nothing branches on a value, so that the one text below serves
a Python float and an array, and any language that evaluates it as it stands gives the same bits.

A function reduces its argument, which for exp, sin and cos gives a sum ``k·c + r`` of a multiple of
a constant in three parts (the first two of 32 bits: their products with k are exact) and a rest.
The rest and all that matters of its power series are pairs: unevaluated sums of a float and a much
smaller one (T. J. Dekker, A floating-point technique for extending the available precision, 1971).
The power series' higher terms are plain floats, by Horner's rule. What comes out is the float
nearest to the true value in all but about 1 of 10,000 cases, and then its neighbour: the error is
below 0.501 units in the last place.

Ranges: exp −700 … 700, log any normal positive number, sin cos tan −10⁶ … 10⁶ (radians).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

Number = TypeVar("Number", float, np.ndarray)
Pair = tuple[Number, Number]

_FEW = 20  # numbers of an array that are faster one by one than through NumPy's calls


def _floats(*texts: str) -> tuple[float, ...]:
    return tuple(map(float.fromhex, texts))


_DEGREE = float.fromhex("0x1.1df46a2529d39p-6")  # π / 180
_ROUND = 1.5 * 2.0**52  # adding and taking it away leaves the nearest whole number, half to even
_SPLIT = 2.0**27 + 1
_ROOT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")

_PER_LN2 = float.fromhex("0x1.71547652b82fep+0")  # 1 / ln 2
_LN2 = _floats("0x1.62e42fee00000p-1", "0x1.a39ef35600000p-33", "0x1.93c7673007e5fp-65")
_PER_QUARTER = float.fromhex("0x1.45f306dc9c883p-1")  # 2 / π
_QUARTER = _floats("0x1.921fb54400000p+0", "0x1.0b4611a600000p-34", "0x1.3198a2e037073p-69")

# Coefficients are the floats nearest to these, the last first; pairs of the second as well.
_ONE, _HALF = (1.0, 0.0), (0.5, 0.0)
_SIXTH = _floats("0x1.5555555555555p-3", "0x1.5555555555555p-57")
_24TH = _floats("0x1.5555555555555p-5", "0x1.5555555555555p-59")
_120TH = _floats("0x1.1111111111111p-7", "0x1.1111111111111p-63")
_TWO_THIRDS = _floats("0x1.5555555555555p-1", "0x1.5555555555555p-55")
_EXP = _floats(
    "0x1.93974a8c07c9dp-37",
    "0x1.6124613a86d09p-33",
    "0x1.1eed8eff8d898p-29",
    "0x1.ae64567f544e4p-26",
    "0x1.27e4fb7789f5cp-22",
    "0x1.71de3a556c734p-19",
    "0x1.a01a01a01a01ap-16",
    "0x1.a01a01a01a01ap-13",
    "0x1.6c16c16c16c17p-10",
    "0x1.1111111111111p-7",
    "0x1.5555555555555p-5",
)  # 1/14! … 1/4!
_SIN = _floats(
    "-0x1.2f49b46814157p-57",
    "0x1.952c77030ad4ap-49",
    "-0x1.ae7f3e733b81fp-41",
    "0x1.6124613a86d09p-33",
    "-0x1.ae64567f544e4p-26",
    "0x1.71de3a556c734p-19",
    "-0x1.a01a01a01a01ap-13",
)  # 1/19! −1/17! … −1/7!, signs alternate
_COS = _floats(
    "0x1.e542ba4020225p-62",
    "-0x1.6827863b97d97p-53",
    "0x1.ae7f3e733b81fp-45",
    "-0x1.93974a8c07c9dp-37",
    "0x1.1eed8eff8d898p-29",
    "-0x1.27e4fb7789f5cp-22",
    "0x1.a01a01a01a01ap-16",
    "-0x1.6c16c16c16c17p-10",
)  # 1/20! −1/18! … −1/6!
_LOG = _floats(
    "0x1.47ae147ae147bp-4",
    "0x1.642c8590b2164p-4",
    "0x1.8618618618618p-4",
    "0x1.af286bca1af28p-4",
    "0x1.e1e1e1e1e1e1ep-4",
    "0x1.1111111111111p-3",
    "0x1.3b13b13b13b14p-3",
    "0x1.745d1745d1746p-3",
    "0x1.c71c71c71c71cp-3",
    "0x1.2492492492492p-2",
    "0x1.999999999999ap-2",
)  # 2/25 2/23 … 2/5


def _elementwise(function: Callable[[Number], Any]) -> Callable[[Number], Any]:
    """``function`` for a number (floats come out) and for an array of float64."""

    @wraps(function)
    def served(x: Number) -> Any:
        if not isinstance(x, np.ndarray):
            return function(float(x))
        if not 0 < x.size <= _FEW:
            return function(x.astype(np.float64, copy=False))
        values = np.array([function(one) for one in x.ravel().tolist()])
        if values.ndim == 1:
            return values.reshape(x.shape)
        return tuple(values.T.reshape(-1, *x.shape))

    return served


@_elementwise
def exp(x: Number) -> Number:
    """e to the power of ``x``."""
    k = _nearest(x * _PER_LN2)
    r = _rest(x, k, _LN2)
    tail = _plus(_SIXTH, (r[0] * _horner(_EXP, r[0]), 0.0))
    value = _plus(_ONE, _times(r, _plus(_ONE, _times(r, _plus(_HALF, _times(r, tail))))))
    return _ldexp(value[0], k)


@_elementwise
def log(x: Number) -> Number:
    """The natural logarithm of ``x``.

    x = m·2^k with m in √½ … √2; s = (m − 1) / (m + 1); log m = 2s + s³ (2/3 + 2/5 s² + …).
    """
    m, k = _frexp(x)
    low = (m < _ROOT_HALF) * 1.0
    m, k = m * (1.0 + low), k - low
    s = _quotient((m - 1.0, 0.0), _sum(m, 1.0))
    z = _times(s, s)
    tail = _plus(_TWO_THIRDS, (z[0] * _horner(_LOG, z[0]), 0.0))
    of_m = _plus((2.0 * s[0], 2.0 * s[1]), _times(_times(s, z), tail))
    whole = _plus(_sum(k * _LN2[0], k * _LN2[1]), (k * _LN2[2], 0.0))
    return _plus(whole, of_m)[0]


@_elementwise
def sin(x: Number) -> Number:
    """The sine of ``x`` radians."""
    return _turned(x)[0][0]


@_elementwise
def cos(x: Number) -> Number:
    """The cosine of ``x`` radians."""
    return _turned(x)[1][0]


@_elementwise
def sin_cos(x: Number) -> tuple[Number, Number]:
    """Sine and cosine of ``x`` radians, at the price of one of them."""
    sine, cosine = _turned(x)
    return sine[0], cosine[0]


@_elementwise
def tan(x: Number) -> Number:
    """The tangent of ``x`` radians."""
    return _quotient(*_turned(x))[0]


def radians(degrees: Number) -> Number:
    """``degrees`` × (π/180): one product, rounded once."""
    return degrees * _DEGREE


def _turned(x: Number) -> tuple[Pair, Pair]:
    """Sine and cosine as pairs: of r = x − k·π/2 by their series, then turned by k quarters."""
    k = _nearest(x * _PER_QUARTER)
    r = _rest(x, k, _QUARTER)
    z = _times(r, r)
    minus = (-z[0], -z[1])
    tail = _plus(_120TH, (z[0] * _horner(_SIN, z[0]), 0.0))
    sine = _times(r, _plus(_ONE, _times(minus, _plus(_SIXTH, _times(minus, tail)))))
    tail = _plus(_24TH, (z[0] * _horner(_COS, z[0]), 0.0))
    cosine = _plus(_ONE, _times(minus, _plus(_HALF, _times(minus, tail))))
    half = _nearest(k * 0.5 - 0.25)  # ⌊k/2⌋
    odd = k - 2.0 * half
    even, sign = 1.0 - odd, 1.0 - 2.0 * (half - 2.0 * _nearest(half * 0.5 - 0.25))
    turned_sine = [sign * (even * s + odd * c) for s, c in zip(sine, cosine, strict=True)]
    turned_cosine = [sign * (even * c - odd * s) for s, c in zip(sine, cosine, strict=True)]
    return tuple(turned_sine), tuple(turned_cosine)


# --- the steps ----------------------------------------------------------------------------------


def _nearest(x: Number) -> Number:
    return (x + _ROUND) - _ROUND


def _rest(x: Number, k: Number, constant: tuple[float, ...]) -> Pair:
    """x − k·constant; the first difference is exact, as the two are close or k is 0."""
    high, low = _sum(x - k * constant[0], -(k * constant[1]))
    return _fast_sum(high, low - k * constant[2])


def _horner(coefficients: tuple[float, ...], x: Number) -> Number:
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def _sum(a: Number, b: Number) -> Pair:
    """a + b, exactly (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _fast_sum(a: Number, b: Number) -> Pair:
    """a + b, exactly, where b is the smaller (Dekker)."""
    s = a + b
    return s, b - (s - a)


def _product(a: Number, b: Number) -> Pair:
    """a·b, exactly: both in halves of 26 bits (Veltkamp, Dekker)."""
    p, t, u = a * b, _SPLIT * a, _SPLIT * b
    a1, b1 = t - (t - a), u - (u - b)
    a2, b2 = a - a1, b - b1
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def _plus(a: Pair, b: Pair) -> Pair:
    high, low = _sum(a[0], b[0])
    return _fast_sum(high, low + (a[1] + b[1]))


def _times(a: Pair, b: Pair) -> Pair:
    high, low = _product(a[0], b[0])
    return _fast_sum(high, low + (a[0] * b[1] + a[1] * b[0]))


def _quotient(a: Pair, b: Pair) -> Pair:
    q = a[0] / b[0]
    high, low = _product(q, b[0])
    return _fast_sum(q, (((a[0] - high) - low) + (a[1] - q * b[1])) / b[0])


def _ldexp(x: Number, k: Number) -> Number:
    """x·2^k."""
    return math.ldexp(x, int(k)) if isinstance(x, float) else np.ldexp(x, k.astype(np.int32))


def _frexp(x: Number) -> Pair:
    """m, ½ … 1, and k with x = m·2^k."""
    m, k = math.frexp(x) if isinstance(x, float) else np.frexp(x)
    return m, k * 1.0
