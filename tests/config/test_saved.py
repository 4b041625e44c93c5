"""What of a configuration is kept beside its images, and in the name of their folder."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from singleimg.config import saved
from singleimg.errors import UserError
from singleimg.storage.local import LocalStore
from tests.config.test_checks import loaded


@pytest.mark.parametrize(
    "overrides, labels",
    [
        ([], []),
        (["deg=30", "augment=script"], []),
        (["deg=45", "scale=[100,1]"], ["deg45", "scale100_1"]),
        (["augment=paper", "deg=30", "scale=null", "augment.jitter=0"], ["deg30", "scalenull",
                                                                         "jitter0"]),
        (["vflip=true", "cropfirst=false", "seed=3"], ["vflip", "nocropfirst", "seed3"]),
        (["encode=png"], ["png"]),
        (["encode.quality=90"], ["q90"]),
    ],
)  # fmt: skip
def test_names_tell_what_differs_from_the_preset(overrides, labels):
    assert saved.differences(loaded(*overrides)) == labels


def test_keys_for_one_command_are_not_kept():
    cfg = loaded("if_exists=overwrite", "allow_version_change=true", "deg=45")
    cfg.trusted_modules = ["mine"]
    for text in (saved.config_text(cfg), saved.resolved_text(cfg)):
        kept = OmegaConf.create(text)
        assert (kept.if_exists, kept.allow_version_change, kept.deg) == ("resume", False, 45)
        assert list(kept.trusted_modules) == []


def test_what_was_kept_comes_back(tmp_path):
    cfg = loaded("deg=45", "output.class_name=c")
    (tmp_path / "config.resolved.yaml").write_text(saved.resolved_text(cfg))
    back = saved.load(LocalStore(tmp_path), ["mine"])
    assert (back.deg, back.output.class_name, list(back.trusted_modules)) == (45, "c", ["mine"])
    assert back.augment.transforms[1].degrees == 45


@pytest.mark.parametrize("text", ["deg: [", "deg: many", "- 1", "nobodys_key: 1"])
def test_a_harmed_file_is_named(tmp_path, text):
    (tmp_path / "config.resolved.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config.resolved.yaml cannot be read \("):
        saved.load(LocalStore(tmp_path))


def test_a_reference_in_a_resolved_configuration_is_refused(tmp_path):
    """It could carry what stands in our environment into a dataset that we pass on."""
    (tmp_path / "config.resolved.yaml").write_text("imgpath: ${oc.env:HOME}\n")
    with pytest.raises(UserError, match=r"holds a reference"):
        saved.load(LocalStore(tmp_path))
