"""exp, log, sin, cos, tan: as near to the truth as floats are, the same for a number and an array.

The truth is computed with 60 digits by Python's ``decimal``.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleimg import drawing, engines, transforms
from singleimg.engines import raster
from singleimg.transforms import elementary

PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899863"
)


def sine(x: Decimal) -> Decimal:
    """By its power series, after whole turns are taken away."""
    x = x.remainder_near(2 * PI)
    term = total = x
    for n in range(2, 90, 2):
        term *= -x * x / (n * (n + 1))
        total += term
    return total


TRUTH: dict[str, Callable[[Decimal], Decimal]] = {
    "exp": Decimal.exp,
    "log": Decimal.ln,
    "sin": sine,
    "cos": lambda x: sine(x + PI / 2),
    "tan": lambda x: sine(x) / sine(x + PI / 2),
}
RANGES = {
    "exp": [(-700, 700), (-1, 1), (0, 17)],
    "log": [(1e-300, 1e-290), (0.2, 5), (0.99, 1.01), (1, 1e9)],
    "sin": [(-math.pi, math.pi), (-1e6, 1e6), (3.14, 3.142)],
    "cos": [(-math.pi, math.pi), (-1e6, 1e6), (1.57, 1.571)],
    "tan": [(-1.4, 1.4), (-1e6, 1e6), (1.57, 1.571)],
}
CASES = [(name, *bounds) for name, ranges in RANGES.items() for bounds in ranges]


def errors(name: str, values: np.ndarray) -> np.ndarray:
    """How far each result is from the truth, in units of its last place."""
    results = getattr(elementary, name)(values)
    with localcontext() as context:
        context.prec = 60
        return np.array(
            [
                float(abs(TRUTH[name](Decimal(x)) - Decimal(y)) / Decimal(math.ulp(y)))
                for x, y in zip(values.tolist(), results.tolist(), strict=True)
            ]
        )


@pytest.mark.parametrize(("name", "low", "high"), CASES)
def test_nearly_every_result_is_the_float_nearest_to_the_truth(name, low, high):
    found = errors(name, np.random.default_rng(0).uniform(low, high, 1500))
    assert found.max() < 0.501 and (found > 0.5).sum() <= 2


@pytest.mark.parametrize(("name", "low", "high"), CASES)
def test_an_array_has_the_bits_of_its_numbers(name, low, high):
    function, values = getattr(elementary, name), np.random.default_rng(1).uniform(low, high, 500)
    one_by_one = [function(x) for x in values.tolist()]
    assert {type(y) for y in one_by_one} == {float}
    assert function(values).tolist() == one_by_one
    for shape in ((3,), (2, 3), (1, 0), (500,), (25, 20), (250, 2)):  # of few and of many
        part = values[: math.prod(shape)].reshape(shape)
        assert function(part).shape == shape
        assert function(part).ravel().tolist() == one_by_one[: part.size]


@given(st.floats(-1e6, 1e6))
def test_sine_and_cosine_come_together_too(x):
    both = elementary.sin(x), elementary.cos(x)
    assert elementary.sin_cos(x) == both
    for count in (1, 50):
        pair = elementary.sin_cos(np.full(count, x))
        assert [set(one.tolist()) for one in pair] == [{one} for one in both]


def test_what_is_known_is_exact():
    assert elementary.exp(0) == elementary.cos(0) == 1.0
    assert elementary.log(1) == elementary.sin(0) == elementary.tan(0) == 0.0
    assert elementary.sin(elementary.radians(90)) == 1.0
    assert elementary.exp(-700) > 0 and elementary.exp(700) < math.inf
    assert elementary.exp(1) == math.e and elementary.radians(180) == math.pi
    assert len(elementary.sin_cos(np.empty(0))) == 2


@given(st.floats(-700, 700))
def test_powers_of_e_are_undone(x):
    assert abs(elementary.log(elementary.exp(x)) - x) <= 1e-13 * max(1, abs(x))


def test_the_coefficients_are_the_floats_nearest_to_their_fractions():
    nearest = lambda one: one.numerator / one.denominator  # noqa: E731, rounded once by Python
    inverse = lambda n, sign=1: Fraction(sign, math.factorial(n))  # noqa: E731
    expected = {
        "_EXP": [inverse(n) for n in range(14, 3, -1)],
        "_SIN": [inverse(n, 1 if n % 4 == 1 else -1) for n in range(19, 6, -2)],
        "_COS": [inverse(n, 1 if n % 4 == 0 else -1) for n in range(20, 5, -2)],
        "_LOG": [Fraction(2, n) for n in range(25, 4, -2)],
    }
    for name, fractions in expected.items():
        assert list(getattr(elementary, name)) == list(map(nearest, fractions))
    pairs = {"_SIXTH": (1, 6), "_24TH": (1, 24), "_120TH": (1, 120), "_TWO_THIRDS": (2, 3)}
    for name, (above, below) in pairs.items():
        high, low = getattr(elementary, name)
        assert high == above / below
        assert low == nearest(Fraction(above, below) - Fraction(high))


def test_the_bits_are_what_they_were():
    """A change of one bit changes what is drawn: ``NUMBERING`` in recipe.py then has to go up."""
    found = {}
    for name, ranges in RANGES.items():
        values = np.linspace(*ranges[0], 20_001)
        data = getattr(elementary, name)(values).astype("<f8").tobytes()
        found[name] = sha256(data).hexdigest()[:16]
    assert found == BITS


BITS = {
    "exp": "06c2e9366ba1248c",
    "log": "1656c0f326d2790b",
    "sin": "c60d84ffda7adaf2",
    "cos": "f66d97a7b8c971c4",
    "tan": "2e6de02143571366",
}

# --- nobody else computes them -------------------------------------------------------------------

EXACT = {"sqrt", "floor", "ceil", "ldexp", "frexp", "inf", "prod"}  # of ``math``: no two opinions
INEXACT = {  # of NumPy: those whose last bit is a matter of version and processor
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "cos", "cosh",
    "deg2rad", "exp", "exp2", "expm1", "float_power", "geomspace", "hypot", "log", "log10", "log1p",
    "log2", "logaddexp", "logspace", "pow", "power", "rad2deg", "radians", "sin", "sinc", "sinh",
    "tan", "tanh", "dot", "einsum", "linalg", "matmul",
}  # fmt: skip
PACKAGES = (drawing, engines, raster, transforms)
FILES = [file for one in PACKAGES for file in Path(one.__file__).parent.glob("*.py")]
C_FILES = sorted((Path(raster.__file__).parent / "c").iterdir())
CALLED = re.compile(
    r"\b(?:a?(?:sin|cos|tan)h?|exp\w*|log\w*|pow|cbrt|hypot|fmaf?|l?l?r?(?:int|ound))f?\("
)


def inexact(text: str) -> list[str]:
    """What in a module's text may round otherwise elsewhere."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, name = node.value.id, node.attr
            if (module == "math" and name not in EXACT) or (module == "np" and name in INEXACT):
                found.append(f"{module}.{name}")
        elif isinstance(node, ast.ImportFrom) and node.module in ("math", "cmath", "numpy"):
            found.append(f"from {node.module}")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not _known(node):
            found.append("**")
    return found


def _known(node: ast.AST) -> bool:
    """Whether an expression has constants alone."""
    return not any(isinstance(one, ast.Name | ast.Attribute | ast.Call) for one in ast.walk(node))


def test_what_may_round_otherwise_is_seen():
    text = (
        "import math\nmath.exp(1)\nnp.sin(x)\nfrom math import cos\nmath.sqrt(2)\nx**2\n2.0**-53\n"
    )
    assert sorted(inexact(text)) == ["**", "from math", "math.exp", "np.sin"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_laws_and_draws_compute_by_these_functions_alone(file):
    assert inexact(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("file", C_FILES, ids=lambda file: file.name)
def test_the_compiled_raster_calls_none_of_them(file):
    assert CALLED.findall("sinf(x); sqrt(x); tanh (x)") and not CALLED.findall("sqrt(x); using(x)")
    code = re.sub("//.*", "", file.read_text(encoding="utf-8"))
    assert CALLED.findall(code) == []
