"""Which code a configuration may name, and that finding out calls none of it."""

from __future__ import annotations

import subprocess
import sys
from enum import EnumMeta

import pytest
from omegaconf import OmegaConf

from singleimg import SingleImage
from singleimg.config import allowlist, make, saved
from singleimg.errors import UserError
from singleimg.storage.local import LocalStore
from tests.config.test_checks import composed, loaded
from tests.conftest import ROOT


def refused(group: str, target: object, *trusted: str) -> str:
    node = {"_target_": target}
    with pytest.raises(UserError) as caught:
        allowlist.check_objects(node, group, allowlist.allowed(group, trusted))
    return str(caught.value)


def found(group: str, target: str, *trusted: str) -> object:
    return allowlist.find(target, f"{group}._target_", allowlist.allowed(group, trusted))


# --- stage one: the text -------------------------------------------------------------------------

AUGMENT = "a configuration may name torchvision.transforms.* and singleimg.transforms.* here"


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "logging.os.system",
        "torch.load",
        "singleimg.sources.file.File",
        "torchvision.transformsevil.Crop",
        ".os",
        "",
        "???",
        "${nowhere}",
        5,
        None,
    ],
)
def test_the_text_of_a_target_must_begin_with_an_allowed_module(target):
    assert refused("augment", target) == f"augment._target_={target} is not trusted: {AUGMENT}."


def test_code_of_the_users_own_gets_a_hint():
    assert refused("augment", "mine.Crop") == (
        f"augment._target_=mine.Crop is not trusted: {AUGMENT}; for code of yours type "
        "'trusted_modules=[mine]' on the command line."
    )


def test_each_group_has_its_own_list():
    assert refused("image", "singleimg.transforms.RotatedCrop").endswith(
        "a configuration may name dead_leaves, file, folder, noise, plain, url here."
    )
    assert refused("experiment", "singleimg.sources.file.File").endswith("may name no code here.")


def test_targets_are_found_wherever_they_stand():
    node = {"a": [{"_target_": "x.A", "b": {"_target_": "x.B"}}], "_target_": {"_target_": "x.C"}}
    place = allowlist.allowed("augment")
    keys = [key for key, *_ in allowlist.targets(node, "augment", place)]
    assert keys == ["augment._target_", "augment._target_._target_", "augment.a[0]._target_",
                    "augment.a[0].b._target_"]  # fmt: skip
    cfg = OmegaConf.create(
        {"evil": {"_target_": "x.A"}, "name": "x.B",
         "image": {"_target_": "${name}", "a": "${evil}", "b": "${oc.create:{_target_: x.C}}",
                   "c": "${nowhere}", "d": "???"}}
    )  # fmt: skip
    found = allowlist.targets(cfg.image, "image", allowlist.allowed("image"))
    assert [target for _, target, _ in found] == ["x.B", "x.A", "x.C"]


def test_what_refers_to_itself_has_an_end():
    node: dict = {}
    node["again"] = node
    with pytest.raises(UserError, match="is nested too deeply: leave out what refers to itself"):
        list(allowlist.targets(node, "image", allowlist.allowed("image")))


def test_nothing_is_imported_for_the_text():
    code = (
        "import sys; from singleimg.config import allowlist\n"
        "place = allowlist.allowed('augment', ['antigravity'])\n"
        "allowlist.check_names([{'_target_': 'torchvision.transforms.v2.RandomCrop'},"
        " {'_target_': 'antigravity.Crop'}], 'augment', place)\n"
        "sys.exit(bool({'torch', 'torchvision', 'antigravity'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# --- stage two: what it leads to -----------------------------------------------------------------


@pytest.mark.parametrize(
    "group, target, leads",
    [
        ("augment", "singleimg.transforms.pillow.Image.open", "PIL.Image"),
        ("augment", "singleimg.transforms.pillow.Any", "typing"),
        ("augment", "singleimg.transforms.RotatedCrop.__class__", "builtins"),
        ("augment", "singleimg.transforms.base.np.load", "numpy"),
        ("augment", "torchvision.transforms.functional.Image.open", "PIL.Image"),
        ("augment", "torchvision.transforms.functional.torch.load", "torch"),
    ],
)
def test_a_path_may_not_lead_out_of_its_modules(group, target, leads):
    said = refused(group, target)
    assert said.startswith(f"{group}._target_={target} is not trusted: it leads to {leads}, and a ")


def test_only_classes_are_named_where_objects_are_made():
    assert refused("augment", "singleimg.transforms.base.mirrored") == (
        "augment._target_=singleimg.transforms.base.mirrored is a function: type the dotted path "
        "of a class."
    )
    assert refused("augment", "singleimg.transforms.base.RATIO") == (
        "augment._target_=singleimg.transforms.base.RATIO is not a class: type the dotted path of "
        "one."
    )
    assert refused("augment", "torchvision.transforms.v2").startswith(
        "augment._target_=torchvision.transforms.v2 is not a class"
    )


def test_what_is_allowed_is_found():
    assert found("augment", "torchvision.transforms.v2.RandomCrop").__name__ == "RandomCrop"
    assert type(found("augment", "torchvision.transforms.InterpolationMode")) is EnumMeta


def test_wrong_names_get_a_hint():
    assert refused("augment", "singleimg.transforms.RotatedCrap") == (
        "augment: singleimg.transforms.RotatedCrap does not exist (did you mean RotatedCrop?): "
        "type the dotted path of a class that Python can import from here."
    )
    assert refused("image", "fil") == (
        "image._target_=fil is not trusted: a configuration may name dead_leaves, file, folder, "
        "noise, plain, url here (did you mean file?)."
    )


@pytest.mark.parametrize(
    "group, name, kind",
    [
        ("image", "file", "File"),
        ("engine", "native", "NativeEngine"),
        ("encode", "webp", "WebpEncoder"),
        ("output", "lmdb", "LmdbOutput"),
        ("backend", "joblib", "JoblibBackend"),
        ("method", "rotnet", "RotNet"),
        ("network", "alexnet_bn", "AlexNetBN"),
        ("data", "imagefolder", "Folders"),
        ("probe", "cached", "Cached"),
        ("task", "export", "export"),
        ("task", "pretrain", "pretrain"),
    ],
)
def test_a_choice_is_named_by_its_file(group, name, kind):
    assert found(group, name).__name__ == kind


@pytest.mark.parametrize("group", allowlist.HOMES)
def test_no_place_in_our_code_is_named_outside_of_augment(group):
    """Files of a group's package that are no choice, and paths to those that are."""
    for name in ("base", "decoding", "resolve", "os", "singleimg.sources.file.File",
                 "singleimg.jobs.driver.replace", "singleimg.config.allowlist.find"):  # fmt: skip
        assert refused(group, name).startswith(f"{group}._target_={name} is not trusted: ")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A package of a user's own, which also imports dangerous names."""
    text = "import os\nfrom os import system\nclass Crop: pass\ndef crop(): pass\n"
    (tmp_path / "mine_of_trust.py").write_text(text)
    (tmp_path / "broken_of_trust.py").write_text("import nowhere_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    return "mine_of_trust"


def test_a_trusted_module_may_be_named_in_every_group(mine):
    for group in allowlist.HOMES:
        assert found(group, f"{mine}.Crop", mine).__name__ == "Crop"
        assert found(group, f"{mine}.crop", mine).__name__ == "crop"


def test_a_trusted_module_does_not_open_what_it_imports(mine):
    for target in (f"{mine}.os.system", f"{mine}.system"):
        assert "is not trusted: it leads to" in refused("augment", target, mine)


def test_a_trusted_module_that_is_missing_or_broken(mine):
    assert "does not exist" in refused("augment", "nowhere.Crop", "nowhere")
    assert refused("augment", "broken_of_trust.Crop", "broken_of_trust") == (
        "augment: broken_of_trust.Crop cannot be imported (ModuleNotFoundError: No module named "
        "'nowhere_at_all'): fix its module."
    )


@pytest.mark.parametrize("name", ["a-b", "", "a..b", "os;", "1a"])
def test_the_names_of_trusted_modules_are_checked(name):
    with pytest.raises(UserError, match=r"not the dotted name of a module: type for example"):
        allowlist.check_modules(["mine", name])


# --- what is checked is what is made -------------------------------------------------------------


def test_a_text_that_hydra_would_resolve_again_is_refused():
    cfg = composed("imgpath=a.png")
    cfg.image = {
        "_target_": "file",
        "path": "\\${oc.create:{_target_: os.abort}}",
    }
    with pytest.raises(UserError, match=r"^image.path=.* holds \$\{ as a text: leave it out"):
        make.instantiate(cfg, "image")


def test_all_transforms_are_checked_before_the_first_is_made(mine):
    names = (f"{mine}.Crop, x: 1", "singleimg.transforms.base.np.load")
    entries = ", ".join(f"{{_target_: {name}}}" for name in names)
    cfg = loaded(f"augment.transforms=[{entries}]", f"trusted_modules=[{mine}]")
    with pytest.raises(
        UserError, match=r"^augment.transforms\[1\]._target_=singleimg.transforms.base.np"
    ):
        make.instantiate_transforms(cfg)


# --- from a file ---------------------------------------------------------------------------------


def test_a_dataset_cannot_ask_for_trust(mine, tmp_path, picture):
    own = f"augment.transforms=[{{_target_: {mine}.Crop}}]"
    cfg = loaded(own, f"trusted_modules=[{mine}]", f"imgpath={picture}")
    assert "trusted_modules: []" in saved.resolved_text(cfg)
    assert "trusted_modules: []" in saved.config_text(cfg)
    assert list(cfg.trusted_modules) == [mine]
    text = saved.resolved_text(cfg).replace("modules: []", f"modules: [{mine}]")
    (tmp_path / "config.resolved.yaml").write_text(text)
    with pytest.raises(
        UserError, match=rf"^augment.transforms\[0\]._target_={mine}.Crop is not tr"
    ):
        SingleImage.open(tmp_path)
    assert list(saved.load(LocalStore(tmp_path), [mine]).trusted_modules) == [mine]
    (tmp_path / "config.resolved.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"config.resolved.yaml cannot be read \("):
        SingleImage.open(tmp_path)


@pytest.mark.parametrize("target", ["parquet.ParquetWriter", "webdataset.TarWriter", "base.Output"])
def test_an_output_is_an_output_and_no_writer_of_files(tmp_path, target):
    """A writer is told its path: a stranger's configuration would write anywhere."""
    cfg = loaded(f"imgpath={tmp_path / 'a.png'}")
    path = tmp_path / "precious.txt"
    cfg.output = {"_target_": f"singleimg.outputs.{target}", "path": str(path), "place": "a/b"}
    with pytest.raises(UserError, match=r"is not trusted: a configuration may name folder, lmdb"):
        make.instantiate(cfg, "output")
    assert not path.exists()
