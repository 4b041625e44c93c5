"""What was drawn as typed columns: the same for every image, whatever happened to be drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from singleimg.config import make
from singleimg.drawing.columns import Columns
from singleimg.drawing.pipeline import Pipeline, Sample
from singleimg.errors import UserError
from tests.config.test_checks import loaded

SIZE = (150, 200)


def made(*transforms) -> tuple[Pipeline, Columns]:
    pipeline = Pipeline(transforms)
    return pipeline, Columns(pipeline, SIZE)


def preset(name: str, *more: str) -> tuple[Pipeline, Columns]:
    return made(*make.instantiate_transforms(loaded(f"augment={name}", "img_size=32", *more)))


def rows(pipeline: Pipeline, columns: Columns, count: int = 60) -> list[dict]:
    samples = [pipeline.draw(0, index, 1, lambda _: SIZE) for index in range(count)]
    return [columns.row(sample) for sample in samples]


def drawn(columns: Columns, names: tuple[str, ...], *params: dict) -> dict:
    """The row of an image for which ``params`` were drawn."""
    return columns.row(Sample(0, 0, 0, names, params))


# --- names and types -----------------------------------------------------------------------------

JITTER = {
    **{f"color_jitter_fn_idx_{k}": "int64" for k in range(4)},
    "color_jitter_brightness_factor": "float64",
    "color_jitter_contrast_factor": "float64",
    "color_jitter_saturation_factor": "float64",
    "color_jitter_hue_factor": "float64",
}
CROP = {
    "crop_resize_affine_top": "int64",
    "crop_resize_affine_left": "int64",
    "crop_resize_affine_height": "int64",
    "crop_resize_affine_width": "int64",
    "crop_resize_affine_angle": "float64",
    "crop_resize_affine_shear": "float64",
    "crop_resize_affine_interpolation": "string",
}
HFLIP = {"random_horizontal_flip_apply": "bool"}
VFLIP = {"random_vertical_flip_apply": "bool"}
GREY = {"random_grayscale_num_input_channels": "int64"}
BLUR = {"gaussian_blur_sigma_0": "float64", "gaussian_blur_sigma_1": "float64"}
ROTATED = {
    "rotated_crop_angle": "float64",
    "rotated_crop_width": "float64",
    "rotated_crop_height": "float64",
    "rotated_crop_u": "float64",
    "rotated_crop_v": "float64",
}
PRESETS = {  # columns, in their order; those that some images do without
    "script": (CROP | JITTER, JITTER),
    "paper": (ROTATED | HFLIP | JITTER, JITTER),
    "weak": (CROP | HFLIP | JITTER, JITTER),
    "strong": (
        CROP | HFLIP | VFLIP | JITTER | {"random_grayscale_apply": "bool"} | GREY | BLUR,
        JITTER | GREY | BLUR,
    ),
    "none": ({}, {}),
}


@pytest.mark.parametrize("name", PRESETS)
def test_the_columns_of_the_presets(name):
    _, columns = preset(name)
    types, conditional = PRESETS[name]
    assert list(columns.types.items()) == list(types.items())
    assert columns.always == types.keys() - conditional.keys()


KINDS = {"bool": bool, "int64": int, "float64": float, "string": str}


@pytest.mark.parametrize("name", PRESETS)
def test_every_row_fits_its_columns(name):
    """Also beyond the few draws from which the types are known."""
    pipeline, columns = preset(name)
    found = rows(pipeline, columns, 200)
    for row in found:
        assert columns.always <= row.keys() <= columns.types.keys()
        assert all(type(value) is KINDS[columns.types[key]] for key, value in row.items())
    seen = {key for row in found for key in row}
    assert seen == set(columns.types)


def test_a_row_holds_what_was_drawn():
    pipeline, columns = preset("weak", "augment.jitter=0")
    sample = pipeline.draw(5, 9, 1, lambda _: SIZE)
    crop, flip, jitter = sample.record()["transforms"]
    assert jitter["transforms"] == []  # it happens to no image: a column all of nulls
    row = columns.row(sample)
    assert row == {
        **{f"crop_resize_affine_{key}": value for key, value in crop.items() if key != "name"},
        "random_horizontal_flip_apply": flip["apply"],
    }
    assert JITTER.keys() <= columns.types.keys()


# --- what some images do without -----------------------------------------------------------------


class Tells(v2.Transform):
    """A user's transform that draws what it is told to draw."""

    def __init__(self, tell) -> None:
        super().__init__()
        self.tell = tell

    def make_params(self, flat_inputs):
        return self.tell(float(torch.rand(1)))

    def transform(self, inpt, params):
        return inpt


class Other(Tells):
    """Another one."""


def test_what_a_gate_keeps_closed_is_null_and_the_gate_itself_never():
    pipeline, columns = made(v2.RandomSolarize(100, p=0.5), v2.RandomGrayscale(p=0.01))
    assert columns.types == {
        "random_solarize_apply": "bool",
        "random_grayscale_apply": "bool",
        "random_grayscale_num_input_channels": "int64",  # known though it hardly ever happens
    }
    assert columns.always == {"random_solarize_apply", "random_grayscale_apply"}
    row = rows(pipeline, columns, 1)[0]
    assert row.keys() == columns.always and row["random_grayscale_apply"] is False


def test_a_parameter_that_is_drawn_now_and_then_is_not_one_of_every_row():
    pipeline, columns = made(Tells(lambda u: {"a": u} if u < 0.5 else {"a": u, "b": u, "c": None}))
    assert columns.types == {"tells_a": "float64", "tells_b": "float64"}
    assert columns.always == {"tells_a"}
    assert {len(row) for row in rows(pipeline, columns)} == {1, 3}  # c is null wherever it is


def test_containers_say_which_of_their_transforms_every_image_has():
    columns = [
        made(kind([Tells(lambda u: {"a": u}), Other(lambda u: {"b": 1})]))[1]
        for kind in (v2.Compose, v2.RandomOrder, v2.RandomApply, v2.RandomChoice)
    ]
    assert all(one.types == {"tells_a": "float64", "other_b": "int64"} for one in columns)
    always = {"tells_a", "other_b"}
    assert [one.always for one in columns] == [always, always, set(), set()]


def test_a_container_in_a_container_that_may_not_happen_may_not_happen():
    _, columns = made(v2.RandomApply([v2.Compose([Tells(lambda u: {"a": u})])], p=0.5))
    assert columns.types == {"tells_a": "float64"} and columns.always == set()


def test_each_transform_of_a_choice_gets_the_picture_as_it_comes():
    """One after the other they would not fit: of 120 pixels there are none left after 60."""
    choice = v2.RandomChoice([v2.RandomCrop(60), v2.RandomCrop(120), v2.RandomCrop(61)])
    pipeline, columns = made(choice, v2.RandomCrop(40))
    assert {type(value) for row in rows(pipeline, columns) for value in row.values()} <= {bool, int}
    assert {f"random_crop{number}_top" for number in ("", "_2", "_3", "_4")} < columns.types.keys()
    assert columns.always == {key for key in columns.types if key.startswith("random_crop_4_")}


# --- names ---------------------------------------------------------------------------------------


def test_the_second_of_a_kind_gets_a_number():
    tell = Tells(lambda u: {"a": u})
    pipeline, columns = made(tell, v2.RandomApply([Tells(lambda u: {"a": 1})]), tell, tell)
    assert columns.types == {
        "tells_a": "float64",
        "tells_2_a": "int64",
        "tells_3_a": "float64",
        "tells_4_a": "float64",
    }
    row = rows(pipeline, columns, 1)[0]
    assert len({row[f"tells{number}_a"] for number in ("", "_3", "_4")}) == 3


def test_lists_and_dicts_are_spread():
    _, columns = made(Tells(lambda u: {"a": [u, (1, {"b": "x"})], "c": torch.tensor([True])}))
    assert columns.types == {
        "tells_a_0": "float64",
        "tells_a_1_0": "int64",
        "tells_a_1_1_b": "string",
        "tells_c_0": "bool",
    }


def test_a_long_list_is_one_text():
    """ElasticTransform draws two numbers for each pixel: nobody wants as many columns."""
    pipeline, columns = made(Tells(lambda u: {"a": np.full((1, 40, 50), 2), "b": [1.5] * 64}))
    assert len(columns.types) == 1 + 64
    row = rows(pipeline, columns, 1)[0]
    assert row["tells_a_0"] == str([[2] * 50] * 40)
    assert row["tells_b_63"] == 1.5


# --- types ---------------------------------------------------------------------------------------


def test_kinds_that_alternate_have_a_type_that_holds_both():
    pipeline, columns = made(
        Tells(lambda u: {"a": 1 if u < 0.5 else u, "b": "x" if u < 0.5 else 2})
    )
    assert columns.types == {"tells_a": "float64", "tells_b": "string"}
    found = rows(pipeline, columns)
    assert {type(row["tells_a"]) for row in found} == {float}
    assert {row["tells_b"] for row in found} == {"x", "2"}


ONE = Tells(lambda u: {"a": 0.5, "b": 7, "c": True, "d": "x"})


@given(st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.booleans(), st.text())
def test_values_that_fit_are_what_was_drawn(whole, number, truth, text):
    _, columns = made(ONE)
    row = drawn(columns, ("Tells",), {"a": number, "b": whole, "c": truth, "d": text})
    assert row == {"tells_a": number, "tells_b": whole, "tells_c": truth, "tells_d": text}
    row = drawn(columns, ("Tells",), {"a": whole, "d": whole, "b": None})
    assert row == {"tells_a": whole, "tells_b": None, "tells_d": str(whole)}
    assert type(row["tells_a"]) is float


@settings(max_examples=30)
@given(
    st.sampled_from("abc"),
    st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.text()),
)
def test_a_value_of_another_kind_is_a_sentence(key, value):
    _, columns = made(ONE)
    kind = {"a": "float64", "b": "int64", "c": "bool"}[key]
    if type(value) is KINDS[kind] or (kind == "float64" and type(value) is int):
        return
    with pytest.raises(UserError) as caught:
        drawn(columns, ("Tells",), {key: value})
    assert str(caught.value) == (
        f"the drawn tells_{key}={value!r} does not fit its column of {kind}: type "
        "save_params=false, or let its transform draw values of one type."
    )


def test_a_parameter_that_nobody_knew_of_is_a_sentence():
    """Drawn so rarely that no trial showed it."""
    _, columns = made(ONE)
    with pytest.raises(UserError) as caught:
        drawn(columns, ("Tells",), {"e": 1})
    assert str(caught.value) == (
        "the drawn tells_e=1 has no column: type save_params=false, or "
        "let its transform draw values of one type."
    )
    assert drawn(columns, ("Tells",), {"e": None})["tells_e"] is None


# --- transforms that nobody can look into ---------------------------------------------------------


class Whole:
    """A user's callable, which draws while it renders; knows no black picture."""

    def __call__(self, image: Image.Image) -> Image.Image:
        if not np.asarray(image).any():
            raise ZeroDivisionError
        return image


def test_one_that_draws_while_it_renders_has_no_columns():
    assert made(v2.RandomHorizontalFlip(), Whole())[1].types == HFLIP


def test_none_is_tried_on_a_picture_unless_a_size_is_asked_for():
    """As in a run: what is measured is what a later transform needs to draw."""
    assert made(Whole(), v2.RandomHorizontalFlip())[1].types == HFLIP
    with pytest.raises(UserError, match="ZeroDivisionError"):
        made(Whole(), v2.RandomCrop(32))
