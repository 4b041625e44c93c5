"""What was written before: its former keys are dropped, whatever they held."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from singleimg.config import allowlist, saved
from singleimg.config.former import name_of, update_former, with_first_names
from singleimg.storage.local import LocalStore
from tests.config.test_checks import loaded

BEFORE = {"repair": False, "deep": False, "to": None, "debug": True, "dataset": None,
          "checkpoint": None, "resume": "auto"}  # fmt: skip
TASK = {"name": "generate", "ignores": ["repair", "deep", "to"]}


def test_former_keys_of_a_saved_configuration_are_dropped(tmp_path):
    for name, text in (("config.yaml", saved.config_text), ("config.resolved.yaml",
                                                            saved.resolved_text)):  # fmt: skip
        now = OmegaConf.create(text(loaded("deg=45", "output.class_name=c")))
        target = now.task.get("_target_")
        before = OmegaConf.merge(now, BEFORE)
        before.task = {**TASK, **({"_target_": target} if target else {})}
        (tmp_path / name).write_text(OmegaConf.to_yaml(before))
    for cfg in (saved.load(LocalStore(tmp_path)), saved.raw(LocalStore(tmp_path))):
        assert cfg.deg == 45 and not cfg.debug
        assert not {"repair", "deep", "to", "dataset", "checkpoint", "resume"} & set(cfg)


def test_a_run_saved_before_is_made_again_by_its_own_file(run, picture, tmp_path):
    old = tmp_path / "old"
    run("debug=true", f"imgpath={picture}", "img_size=32", f"targetpath={old}")
    file = old / "config.yaml"
    text = file.read_text().replace("debug: false", "debug: true\nrepair: false\nto: null")
    assert "\ndebug: true\n" in text and "\nrepair: false\n" in text
    file.write_text(text.replace("  name: generate\n", "  name: generate\n  ignores: [to]\n"))
    run("-cp", old, "-cn", "config", f"targetpath={tmp_path / 'new'}")
    assert not (tmp_path / "new" / "grid.png").exists()
    assert "All 64 images" in run("task=verify", f"targetpath={tmp_path / 'new'}").stdout
    run("-cp", old, "-cn", "config", f"targetpath={old}", "num_imgs=70", "debug=false")


LATER = (
    "prepare",
    "finish",
    "repair",
    "preview",
    "report",
    "card",
    "doctor",
    "evaluate",
    "export_trunk",
    "timm",
    "wrn",
    "dask",
    "ray",
    "plain",
    "distil",
    "simclr",
    "vicreg",
    "byol",
    "dino",
    "knn",
)  # no path ever stood for these


@pytest.mark.parametrize("group", sorted(allowlist.HOMES))
def test_each_name_reads_the_path_that_stood_for_it(group):
    for name in allowlist.allowed(group).choices:
        path = with_first_names({group: {"_target_": name}})[group]["_target_"]
        assert name_of(group, path) == name == name_of(group, name)
        assert path.startswith("singleimg.") or group == "encode" or name in LATER


@pytest.mark.parametrize(
    "encoding, encode",
    [
        ("jpeg", {"quality": 90, "subsampling": "4:4:4", "library": "pillow"}),
        ("png", {}),
        ("webp", {"quality": 90}),
    ],
)
def test_an_output_that_encoded_is_read_as_an_output_and_an_encoder(encoding, encode):
    keys = {"encoding": encoding, "quality": 90, "subsampling": "4:4:4", "jpeg": "pillow"}
    path = "singleimg.outputs.folder.FolderOutput"
    cfg = OmegaConf.create({"output": {"_target_": path, **keys, "shard_size": 7}})
    update_former(cfg)
    assert cfg.output == {"_target_": "folder", "shard_size": 7}
    assert cfg.encode == {"_target_": encoding, **encode}
