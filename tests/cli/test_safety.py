"""A configuration of a stranger's runs no code: each attempt gets its sentence, and no effect."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Run, images_of

SMALL = ("num_imgs=2", "img_size=32", "targetpath=set")
PLANTED = """\
from pathlib import Path
Path(__file__).with_name("marker").touch()  # for the import
import os
import torch
from torchvision.transforms.v2 import Transform
class Crop(Transform):
    def transform(self, picture, parameters):
        from torchvision.transforms.v2.functional import center_crop
        return center_crop(picture, [32, 32])
def callback(**arguments):
    pass
"""


@pytest.fixture
def home(tmp_path) -> Path:
    """A working folder with a module on Python's path that leaves a marker when imported."""
    (tmp_path / "planted.py").write_text(PLANTED)
    return tmp_path


def attempt(run: Run, home: Path, *arguments: str, **environment: str) -> str:
    """Types ``arguments``; checks that they are refused without any effect; the sentence."""
    before = sorted(path for path in home.rglob("*"))
    result = run(*arguments, code=1, cwd=home, PYTHONPATH=str(home), **environment)
    assert_refused(result)
    assert sorted(path for path in home.rglob("*") if path.name != "__pycache__") == before
    return result.stderr.strip()


def assert_refused(result: subprocess.CompletedProcess) -> None:
    """One sentence and no traceback."""
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


# --- targets -------------------------------------------------------------------------------------

MARK = "command: touch marker"
TARGETS = {
    f"augment.transforms=[{{_target_: os.system, {MARK}}}]": "augment.transforms[0]._target_="
    "os.system is not trusted: a configuration may name torchvision.transforms.* and "
    "singleimg.transforms.* here.",
    f"augment.transforms=[{{_target_: logging.os.system, {MARK}}}]": "augment.transforms[0]",
    "augment.transforms=[{_target_: builtins.eval, _args_: ['open(\"marker\", \"w\")']}]":
    "augment.transforms[0]._target_=builtins.eval is",
    "augment.transforms=[{_target_: torch.load, f: planted.py}]": "augment.transforms[0]",
    "augment.transforms=[{_target_: singleimg.transforms.base.np.load, file: planted.py}]":
    "augment.transforms[0]._target_=singleimg.transforms.base.np.load is",
    "augment.transforms=[{_target_: singleimg.storage.local.write_all, path: marker, data: a}]":
    "augment.transforms[0]._target_=singleimg.storage.local.write_all is",
    "augment.transforms=[{_target_: torchvision.transforms.v2.RandomApply, transforms: "
    f"[{{_target_: os.system, {MARK}}}]}}]": "augment.transforms[0].transforms[0]._target_=os.",
    "augment.transforms=[{_target_: planted.Crop}]": "augment.transforms[0]._target_=planted.Crop",
    "image._target_=singleimg.sources.decoding.os.system":
    "image._target_=singleimg.sources.decoding.os.system is not trusted: a configuration may name "
    "dead_leaves, file, folder, noise, plain, url here.",
    "image._target_=${oc.decode:os.system}": "image._target_=os.system",
    '+image.more="${oc.create:{_target_: os.system}}"': "image.more._target_=os.system is",
    "output._target_=planted.Crop": "output._target_",
    "task._target_=planted.callback": "task._target_",
    "task._target_=singleimg.sources.decoding.os.abort": "task._target_",
    "+more={_target_: os.system}": "more._target_=os.system is not trusted: a configuration may "
    "name no code here.",
}  # fmt: skip


@pytest.mark.parametrize("override, sentence", TARGETS.items(), ids=lambda v: v[:60])
def test_a_target_that_is_not_trusted(run, home, override, sentence):
    assert attempt(run, home, override, *SMALL).startswith(sentence)


def test_composing_alone_is_refused_as_well(run, home):
    said = attempt(run, home, "--cfg", "job", "backend._target_=planted.Crop")
    assert said.startswith("backend._target_=planted.Crop is not trusted")


def test_a_transform_of_ones_own_needs_trust(run, home):
    own = "augment.transforms=[{_target_: planted.Crop}]"
    assert attempt(run, home, own, *SMALL).endswith(
        "; for code of yours type 'trusted_modules=[planted]' on the command line."
    )
    environment = {"cwd": home, "PYTHONPATH": str(home)}
    run(own, "trusted_modules=[planted]", *SMALL, **environment)
    assert (home / "marker").exists()
    saved = (home / "set" / "config.yaml").read_text()
    assert "trusted_modules: []" in saved
    replay = ("-cp", str(home / "set"), "-cn", "config", "targetpath=again")
    assert_refused(run(*replay, code=1, **environment))
    run(*replay, "trusted_modules=[planted]", **environment)
    assert list(images_of(home / "again").values()) == list(images_of(home / "set").values())


@pytest.mark.parametrize(
    "override", ["trusted_modules=planted", "trusted_modules=[planted],[os]", "trusted_modules=5"]
)
def test_trust_is_one_list(run, home, override):
    assert attempt(run, home, override, *SMALL) == (
        f"{override} is not one list of modules: type for example 'trusted_modules=[my_package]'."
    )


# --- configurations of strangers -----------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(run, picture, tmp_path_factory) -> str:
    """The text of a replayable configuration."""
    home = tmp_path_factory.mktemp("saved")
    run(f"imgpath={picture}", *SMALL, cwd=home)
    return (home / "set" / "config.yaml").read_text()


OWN = "augment.transforms=[{_target_: planted.Crop}]"


def replay(run: Run, home: Path, text: str, *arguments: str) -> str:
    """What the command line says to a stranger's ``config.yaml``."""
    (home / "theirs").mkdir()
    (home / "theirs" / "config.yaml").write_text(text)
    folder = ("-cp", str(home / "theirs"), "-cn", "config")
    return attempt(run, home, *folder, "targetpath=set", *arguments)


def below_hydra(saved: str, lines: str) -> str:
    """``saved`` with more lines under its key ``hydra``."""
    return saved.replace("\nhydra:\n", f"\nhydra:\n{lines}", 1)


def test_a_file_cannot_trust(run, home, saved):
    text = saved.replace("trusted_modules: []", "trusted_modules: [planted]")
    assert replay(run, home, text, OWN) == (
        "trusted_modules=[planted] is set in a file (or a sweep's parameters), and is allowed only "
        "on the command line: type 'trusted_modules=[planted]' if you trust it."
    )


@pytest.mark.parametrize(
    "key, value", [("if_exists", "overwrite"), ("allow_version_change", "true")]
)
def test_a_file_cannot_ask_for_what_counts_once(run, home, saved, key, value):
    """Else a stranger's configuration could replace a dataset of one's own."""
    old = {"if_exists": "resume"}.get(key, "false")
    text = saved.replace(f"\n{key}: {old}\n", f"\n{key}: {value}\n")
    assert text != saved
    assert replay(run, home, text) == (
        f"{key}={value} is set in a file (or a sweep's parameters), and is allowed only on the "
        f"command line: type {key}={value} if you trust it."
    )


@pytest.mark.parametrize(
    "task, own, key",
    [("repair", "", "task=repair"), ("export", "  to: somewhere\n", "task.to=somewhere"),
     ("verify", "  deep: true\n", "task.deep=true")],
)  # fmt: skip
def test_a_file_cannot_choose_what_changes_a_dataset_or_writes_another(
    run, home, saved, task, own, key
):
    text = _of_task(saved, task, task, own)
    assert replay(run, home, text) == f"{key} {FILE}: type {key} if you trust it."


@pytest.mark.parametrize("name", ["generate", "mine"])
def test_a_file_cannot_give_a_task_the_name_of_another(run, home, saved, name):
    text = _of_task(saved, name, "repair")
    assert replay(run, home, text).startswith(
        "task._target_=repair is not a task: type one of task=card, "
    )


def _of_task(saved: str, name: str, target: str, own: str = "") -> str:
    """The saved configuration, of another task."""
    before, _, after = saved.partition("\ntask:\n")
    lines = after.splitlines(keepends=True)
    rest = "".join(lines[next(n for n, line in enumerate(lines) if line[0] != " ") :])
    return f"{before}\ntask:\n  _target_: {target}\n  name: {name}\n{own}{rest}"


FILE = "is set in a file (or a sweep's parameters), and is allowed only on the command line"
HYDRA = {
    "  callbacks: {a: {_target_: os.system, command: touch marker}}\n":
    "callbacks.a._target_=os.system",
    "  callbacks: {a: {_target_: planted.callback}}\n": "callbacks.a._target_=planted.callback",
    "  callbacks: {a: {_target_: hydra.core.utils.os.system, command: touch marker}}\n":
    "callbacks.a._target_=hydra.core.utils.os.system",
    "  callbacks: {a: {_target_: hydra.utils.instantiate, config: {_target_: hydra.utils.call}}}\n":
    "callbacks.a._target_=hydra.utils.instantiate",
    "  callbacks: {a: '${oc.create:{_target_: os.system}}'}\n":
    "callbacks.a=${oc.create:{_target_: os.system}}",
    "  callbacks: ${image}\n": "callbacks=${image}",
    "  callbacks: {a: '${oc.create:{_target_: os.system, x: ${hydra:job.num}}}'}\n":
    "callbacks.a=${oc.create:{_target_: os.system, x: ${hydra:job.num}}}",
    "  launcher: {_target_: planted.callback}\n": "launcher._target_=planted.callback",
    "  launcher: {_target_: hydra_plugins.planted.Launcher}\n":
    "launcher._target_=hydra_plugins.planted.Launcher",
    "  sweeper: {max_batch_size: 1}\n": "sweeper.max_batch_size=1",
    "  job_logging: {version: 1, handlers: {a: {(): os.system, command: touch marker}}}\n":
    "job_logging.handlers.a.()=os.system",
    "  hydra_logging: {handlers: {a: {class: planted.Crop}}}\n":
    "hydra_logging.handlers.a.class=planted.Crop",
    "  job_logging: {handlers: {a: {class: logging.FileHandler, filename: marker}}}\n":
    "job_logging.handlers.a.class=logging.FileHandler",
    "  job_logging: {handlers: {a: {class: logging.StreamHandler, "
    "stream: ext://planted.Crop}}}\n": "job_logging.handlers.a.class=logging.StreamHandler",
    "  job: {env_set: {SINGLEIMG_CACHE: marker}}\n": "job.env_set.SINGLEIMG_CACHE=marker",
    "  job: {chdir: true}\n": "job.chdir=True",
    "  job: {name: ../precious}\n": "job.name=../precious",
    "  searchpath: [pkg://planted]\n": "searchpath=['pkg://planted']",
}  # fmt: skip


@pytest.mark.parametrize("lines, what", HYDRA.items(), ids=lambda v: str(v).strip()[:60])
def test_a_file_cannot_have_hydra_do_another_thing(run, home, saved, lines, what):
    said = replay(run, home, below_hydra(saved, lines))
    assert said.replace("'", "").startswith(f"hydra.{what} {FILE}: type hydra".replace("'", ""))


@pytest.mark.parametrize("launcher", [(), ("hydra/launcher=joblib",)], ids=["", "joblib"])
def test_parameters_of_a_sweep_are_no_command_line(run, home, saved, launcher):
    key, _, own = OWN.partition("=")
    lines = f"  sweeper: {{params: {{trusted_modules: '[planted]', {key}: '{own}'}}}}\n"
    (home / "theirs").mkdir()
    (home / "theirs" / "config.yaml").write_text(below_hydra(saved, lines))
    folder = ("-cp", str(home / "theirs"), "-cn", "config", "targetpath=set")
    result = run("-m", *folder, *launcher, code=1, cwd=home, PYTHONPATH=str(home))
    assert "Traceback" not in result.stderr
    assert not (home / "marker").exists() and not (home / "set").exists()
    assert "trusted_modules=[planted] is set in a file (or a sweep's parameters)" in result.stderr
    assert result.stderr.count("is set in a file") == 1


def test_a_folder_of_presets_cannot_either(run, home):
    pack = home / "pack" / "augment"
    pack.mkdir(parents=True)
    (pack / "theirs.yaml").write_text(
        "# @package _global_\ntrusted_modules: [planted]\naugment:\n  name: theirs\n"
        "  transforms: [{_target_: planted.Crop}]\n"
    )
    said = attempt(run, home, "--config-dir", "pack", "augment=theirs", *SMALL)
    assert said.startswith("trusted_modules=[planted] is set in a file")
    said = attempt(
        run, home, "--config-dir", "pack", "augment=theirs", "trusted_modules=[]", *SMALL
    )
    assert said.startswith("augment.transforms[0]._target_=planted.Crop is not trusted")


def test_a_pickled_job_is_not_loaded(run, home):
    assert attempt(run, home, "--experimental-rerun", "job.pickle") == (
        "--experimental-rerun is not supported: to make a dataset again, type python run.py -cp "
        "<its folder> -cn config targetpath=…."
    )


# --- what stays possible -------------------------------------------------------------------------


def test_hydra_may_do_what_is_typed(run, home, picture):
    common = (f"imgpath={picture}", *SMALL)
    run(*common, "hydra/job_logging=default", "+hydra.job.env_set.MINE=1", cwd=home)
    assert len(images_of(home / "set")) == 2


def test_a_sweep_with_trust_in_other_processes(run, home):
    own = ("augment.transforms=[{_target_: planted.Crop}]", "trusted_modules=[planted]")
    result = run(
        "-m", "hydra/launcher=joblib", *own, "seed=1,2", *SMALL, cwd=home, PYTHONPATH=str(home)
    )
    assert result.returncode == 0
    assert len(list((home / "set").iterdir())) == 2
