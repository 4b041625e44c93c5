"""What decides the bytes: equal recipes, equal fingerprints, and the other way round."""

from __future__ import annotations

import pytest

from singleimg.dataset.recipe import Recipe, canonical, make_recipe, numbers_as_floats, parse_recipe

PARTS = {
    "sources": ["ab" * 32],
    "transforms": [{"_target_": "a.B", "deg": 30, "scale": [500, 1]}],
    "img_size": 64,
    "seed": 0,
    "engine": "reference",
    "encoder": {"encoding": "png"},
    "layout": {"output": "folder"},
    "libraries": ("torch", "torchvision", "Pillow", "numpy"),
}


def test_30_and_30_point_0_are_one_recipe():
    other = {**PARTS, "transforms": [{"_target_": "a.B", "deg": 30.0, "scale": [500.0, 1.0]}]}
    assert make_recipe(**PARTS).fingerprint == make_recipe(**other).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"sources": ["cd" * 32]},
        {"sources": ["ab" * 32, "ab" * 32]},
        {"transforms": []},
        {"img_size": 65},
        {"seed": 1},
        {"engine": "native"},
        {"encoder": {"encoding": "webp", "quality": 75}},
    ],
)
def test_every_part_of_pixels_changes_the_fingerprint(change):
    assert make_recipe(**PARTS).fingerprint != make_recipe(**{**PARTS, **change}).fingerprint


def test_the_layout_does_not_change_the_fingerprint():
    other = make_recipe(**{**PARTS, "layout": {"output": "tar"}})
    assert make_recipe(**PARTS).fingerprint == other.fingerprint


def test_it_comes_back_from_its_file(tmp_path):
    recipe = make_recipe(**PARTS)
    (tmp_path / "recipe.json").write_text(recipe.text())
    assert parse_recipe((tmp_path / "recipe.json").read_text()) == recipe


def test_it_names_the_versions_and_where_it_decides_the_processor():
    names = {"singleimg", "torch", "torchvision", "pillow", "numpy"}
    assert set(make_recipe(**PARTS).made_with) == names
    decides = {**PARTS, "libraries": [*PARTS["libraries"], "processor"]}
    assert set(make_recipe(**decides).made_with) == {*names, "processor"}


def test_differences_name_the_key_the_old_and_the_new_value():
    old = make_recipe(**PARTS)
    new = make_recipe(**{**PARTS, "transforms": [{"_target_": "a.B", "deg": 45}], "seed": 3})
    assert old.differences(old) == []
    assert old.differences(new) == [
        "pixels.transforms[0].deg: 30.0 → 45.0",
        "pixels.transforms[0].scale: [500.0, 1.0] → nothing",
        "pixels.seed: 0.0 → 3.0",
    ]


def test_of_other_transforms_the_names_are_said():
    old = make_recipe(**PARTS)
    flips = [{"_target_": "v2.RandomHorizontalFlip", "p": 0.5}, {"_target_": "v2.Resize"}]
    assert old.differences(make_recipe(**{**PARTS, "transforms": flips, "seed": 3})) == [
        "pixels.transforms: B → RandomHorizontalFlip, Resize",
        "pixels.seed: 0.0 → 3.0",
    ]


@pytest.mark.parametrize(
    "before, after, said",
    [
        (["a"], ["b"], "1 of 1 pictures changed"),
        (["a", "b", "c"], ["a", "c", "b"], "2 of 3 pictures changed"),
        (["a"], ["a", "b"], "1 → 2 pictures"),
    ],
)
def test_of_pictures_it_is_said_how_many_differ(before, after, said):
    old, new = (make_recipe(**{**PARTS, "sources": sources}) for sources in (before, after))
    assert old.differences(new) == [f"pixels.sources: {said}"]


def test_canonical_json_has_one_text_for_one_value():
    assert (
        canonical({"b": [1.0], "a": None})
        == '{"a":null,"b":[1.0]}'
        == canonical({"a": None, "b": [1.0]})
    )


def test_booleans_and_huge_seeds_stay_what_they_are():
    assert numbers_as_floats([True, 2, 2**60 + 1]) == [True, 2.0, 2**60 + 1]
    assert numbers_as_floats(True) is True


def test_a_recipe_is_three_parts():
    assert Recipe({}, {}, {}).fingerprint == Recipe({}, {"x": 1}, {"y": "2"}).fingerprint
