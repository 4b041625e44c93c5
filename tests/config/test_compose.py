"""From Python the same configuration, and the same sentence for each mistake, as when typed."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from singleimg import RenderedDataset, UserError, compose
from singleimg.config.compose import override
from tests.cli.test_errors import SENTENCES

# What only a command line has: options, and a message of its own for what looks like one.
TYPED = {arguments: sentence for arguments, sentence in SENTENCES.items() if arguments[0][0] != "-"}
MORE = [
    ("scale=[1,2",),
    ("augment=paper", "shear=10"),
    ("debug=true", "num_imgs=5"),
    ("image=noise", "image.exponent=9"),
    ("augment.transforms=3",),
    ("augment.transforms=[{_target_: os.system}]",),
    ("imgpath=nowhere.png",),
]


def from_python(*arguments: str) -> str:
    with pytest.raises(UserError) as refused:
        RenderedDataset(compose(*arguments))
    return str(refused.value)


@pytest.mark.parametrize("arguments", TYPED, ids=lambda v: str(v)[:30])
def test_each_mistake_has_its_sentence(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if any(one.startswith("output.") and "=" in one for one in arguments) and (
        "encod" not in arguments[0] and "quality" not in arguments[0]
    ):
        pytest.skip("what is stored is nothing to a rendered dataset")
    assert from_python(*arguments) == TYPED[arguments]


@pytest.mark.parametrize("arguments", MORE, ids=lambda v: str(v)[:40])
def test_it_is_that_of_the_command_line(run, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed = run(*arguments, code=1, cwd=tmp_path)
    assert typed.stderr == f"{from_python(*arguments)}\n"


# --- values of Python ----------------------------------------------------------------------------


def test_keys_are_typed_as_values_of_python():
    cfg = compose("encode.quality=90", num_imgs="1M", scale=[10, 1], vflip=True, threads=None,
                  initcrop=0.25, augment="script", deg=45, imgpath="pyproject.toml")  # fmt: skip
    typed = compose("encode.quality=90", "num_imgs=1M", "scale=[10,1]", "vflip=true",
                    "threads=null", "initcrop=0.25", "augment=script", "deg=45",
                    "imgpath=pyproject.toml")  # fmt: skip
    assert cfg == typed
    assert compose(**{"image.exponent": 2}, image="noise").image.exponent == 2
    with pytest.raises(UserError, match=r"^shear=10 has no effect with augment=paper, whose"):
        compose(augment="paper", shear=10)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1))
def test_a_text_needs_no_quotes(text):
    [read] = OverridesParser.create().parse_overrides([override("image.name", text)])
    assert read.value() == text


def test_a_name_of_a_file_needs_none(tmp_path):
    for name in ("a 'b' (1).jpg", 'x"y,{}.jpg', "back\\slash.jpg", "end\\", "é ü²", "[x]=#.jpg"):
        assert compose(imgpath=tmp_path / name).imgpath == str(tmp_path / name)


def test_lists_and_groups_of_keys():
    assert override("a", [1, "b c", None, [True]]) == "a=[1,'b c',null,[true]]"
    assert override("a", {"b": "c"}) == "a={b:'c'}"
