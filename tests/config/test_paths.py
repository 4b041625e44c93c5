"""Names of files are taken as they are, whatever Hydra's grammar and OmegaConf make of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import singleimg
from singleimg.config import checks, paths, saved
from singleimg.config.make import instantiate
from singleimg.errors import UserError

NAMES = [
    "IMG_2024 (1).jpg", "[x].jpg", "a,b.jpg", "${deg}.jpg", "${oc.env:HOME}.jpg", "???", "null",
    "true", "1e3", "007", "it's.jpg", 'say "hi".jpg', "'quoted'.jpg", "back\\slash.jpg", "end\\",
    "#1.jpg", "{a:b}", "a=b.jpg", "~me.jpg", "semi;colon", "a&b", "wow!", "caret^", "`date`",
    "$HOME",
    "\\${deg}.jpg", "\\\\${deg}", "$${deg}", "${", "}", "choice(a,b)", "glob(*)", "str(5)", "a: b",
    "Café.jpg", "Cafe\u0301.jpg", "日本語.jpg", "Screenshot 3.04\u202fPM.png", "👨‍👩‍👧.jpg",
    "%41.jpg", " leading", "trailing ", "tab\there", "line\nbreak", "-dash", "+plus", "@at",
    "file:", "s3:",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def composed(*typed: str, sweeping: bool = False):
    return singleimg.compose(*paths.read(typed, sweeping))


# --- what exists ---------------------------------------------------------------------------------


def check_is_literal(folder: Path, name: str) -> None:
    """As typed, from Python, in a sweep and from the file that a run leaves, it is that file."""
    (folder / name).touch()
    for cfg in (composed(f"imgpath={name}"), composed(f"imgpath={name}", sweeping=True),
                singleimg.compose(imgpath=name)):  # fmt: skip
        assert instantiate(cfg, "image").path == folder / name
        for text in (saved.config_text(cfg), saved.resolved_text(cfg)):
            again = checks.load(OmegaConf.merge(cfg, OmegaConf.create(text)))
            assert instantiate(again, "image").path == folder / name
    (folder / name).unlink()


@pytest.mark.parametrize("name", NAMES[:6])
def test_a_name_of_what_exists_is_taken_letter_for_letter(folder, name):
    check_is_literal(folder, name)


def read_by_hydra(key: str, name: str, sweeping: bool = False) -> str:
    """The path that Hydra's parser, its sweeper and a reference in a group make of an argument."""
    (text,) = paths.read([f"{key}={name}"], sweeping)
    parser = OverridesParser.create()
    for _ in range(2):  # a sweeper writes out what it parsed, for each job
        parsed = parser.parse_override(text)
        text = f"{key}={parsed.get_value_element_as_str()}"
    cfg = OmegaConf.create({"a": parsed.value(), "b": "${a}" if key == "imgpath" else None})
    cfg = OmegaConf.create(OmegaConf.to_yaml(cfg))
    values = OmegaConf.to_container(cfg, resolve=True)
    return paths.absolute("", values["b"] or values["a"])


_LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Cn"), exclude_characters="/")
_MARKS = st.sampled_from("!\"#$%&'()*+,-.:;<=>?@[\\]^_`{|}~ ")
_TEXTS = st.text(st.one_of(_MARKS, _LETTERS), min_size=1, max_size=40)
_NAMES = _TEXTS.filter(lambda name: name not in (".", "..") and len(name.encode()) < 250)


@pytest.mark.parametrize("name", NAMES)
def test_no_grammar_sees_the_name_of_what_exists(folder, name):
    check_no_grammar_sees(folder, name)


@settings(max_examples=500, deadline=None)
@given(_NAMES)
def test_no_grammar_sees_any_of_five_hundred_names(folder, name):
    check_no_grammar_sees(folder, name)


def check_no_grammar_sees(folder: Path, name: str) -> None:
    (folder / name).touch()
    for sweeping in (False, True):
        assert read_by_hydra("imgpath", name, sweeping) == str(folder / name)
    (folder / name).unlink()


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(_NAMES)
def test_five_hundred_names_through_a_whole_configuration(folder, name):
    check_is_literal(folder, name)


# --- what does not -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [one for one in NAMES if one not in ("null", "'quoted'.jpg")])
def test_another_name_is_taken_letter_for_letter_too(folder, name):
    if name in ("${deg}.jpg", "$${deg}", "\\\\${deg}"):
        pytest.skip("a reference to a key")
    for key in ("imgpath", "targetpath"):
        if name == "~me.jpg":
            with pytest.raises(
                UserError, match=r"names the home folder of a user that does not exist here"
            ):
                paths.read([f"{key}={name}"])
        else:
            assert read_by_hydra(key, name) == str(folder / name)


def test_what_hydra_says_of_the_rest(folder):
    assert composed("imgpath=null").imgpath is None
    assert composed("targetpath='a b'").targetpath == str(folder / "a b")
    assert composed("targetpath=runs (1)/${augment.name}-${seed}", "seed=5").targetpath == (
        str(folder / "runs (1)" / "script-5")
    )
    assert composed("task=probe", "task.checkpoint=[a,b]").task.checkpoint == (
        [str(folder / "a"), str(folder / "b")]
    )
    assert composed("task=probe", "task.checkpoint=[a (1), 'b, c',it's,Café]").task.checkpoint == (
        [str(folder / "a (1)"), str(folder / "b, c"), str(folder / "it's"), str(folder / "Café")]
    )


@pytest.mark.parametrize("value, jobs", [
    ("a.jpg,b.jpg", "a.jpg,b.jpg"), ("choice(a.jpg,b.jpg)", "choice(a.jpg,b.jpg)"),
    ("range(3)", "range(3)"), ("glob(*)", "glob(*)"),
    ("a (1).jpg,b.jpg", "'{0}/a (1).jpg',{0}/b.jpg"),
    ("null,Café.jpg", "null,'{0}/Café.jpg'"),
])  # fmt: skip
def test_in_a_sweep_commas_and_functions_mean_what_hydra_says(folder, value, jobs):
    assert paths.read([f"imgpath={value}"], sweeping=True) == [f"imgpath={jobs.format(folder)}"]


def test_of_two_pictures_with_a_comma_in_their_name_a_sweep_takes_the_one_that_is_there(folder):
    (folder / "a,b").touch()
    assert paths.read(["imgpath=a,b"], sweeping=True) == ["imgpath='" + f"{folder}/a,b'"]
    (folder / "a,b").unlink()


# --- where it leads ------------------------------------------------------------------------------


def test_homes_urls_and_detours(folder, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert composed("imgpath=~/a (1).jpg").imgpath == "/home/me/a (1).jpg"
    assert composed("targetpath=~/sets").targetpath == "/home/me/sets"
    assert composed("targetpath=file:///data/a%20set").targetpath == "/data/a set"
    assert composed("imgpath=file://localhost/data/a.jpg").imgpath == "/data/a.jpg"
    assert composed("targetpath=s3://bucket/a (1)").targetpath == "s3://bucket/a (1)"
    assert composed("targetpath=a/../b/./c//d").targetpath == str(folder / "b" / "c" / "d")


@pytest.mark.parametrize("name", ["timm:resnet18.a1_in1k", "runs/teacher"])
def test_a_name_of_timm_is_no_path_where_it_may_stand(folder, name):
    meant = name if name.startswith("timm:") else f"{folder}/{name}"
    typed = ("task=pretrain", "method=distil")
    assert composed(*typed, f"method.teacher={name}").method.teacher == meant
    assert singleimg.compose(*typed, **{"method.teacher": name}).method.teacher == meant
    assert composed(f"imgpath={name}").imgpath == f"{folder}/{name}"


def test_two_points_leave_the_folder_that_a_link_leads_to(tmp_path):
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "deep")
    assert paths.absolute("targetpath", f"{tmp_path}/link/../set") == str(tmp_path / "disk" / "set")


@pytest.mark.parametrize("typed, sentence", [
    ("imgpath=", "imgpath= is empty: type imgpath=<a path>, or leave it out."),
    ("targetpath=~no.one/x", "targetpath=~no.one/x names the home folder of a user that does not "
     "exist here: type the path in full, or targetpath=./~no.one/x for what has that name."),
    ("targetpath=file://server/x", "targetpath=file://server/x is not a path on this machine: type "
     "targetpath=file:///a/path, or the path alone."),
])  # fmt: skip
def test_a_path_that_cannot_be_one(folder, typed, sentence):
    with pytest.raises(UserError) as caught:
        composed(typed)
    assert str(caught.value) == sentence


# --- from Python ---------------------------------------------------------------------------------


def test_values_of_python_need_no_quotes(folder):
    cfg = singleimg.compose(
        "augment=paper", imgpath=folder / "photo (1).jpg", scale=[100, 1], num_imgs="1M", deg=1,
        durable=False, threads=None, **{"encode.quality": 90, "output.class_name": "a, (b)"},
    )  # fmt: skip
    assert cfg.imgpath == str(folder / "photo (1).jpg") and cfg.num_imgs == 10**6
    assert (cfg.scale, cfg.deg, cfg.threads) == ([100, 1], 1, None) and not cfg.durable
    assert cfg.encode.quality == 90 and cfg.output.class_name == "a, (b)"
