"""``python run.py``: the exact number of images, the same bytes, and everything beside them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from tests.conftest import images_of, summary_of
from tests.scenarios import tree_hash

SMALL = ("img_size=32", "output.shard_size=10")


@pytest.fixture(scope="module")
def made(run, picture, tmp_path_factory) -> Path:
    """A dataset of 37 images in four shards, with its parameters."""
    target = tmp_path_factory.mktemp("made") / "set"
    run(f"imgpath={picture}", "num_imgs=37", "save_params=true", f"targetpath={target}", *SMALL)
    return target


def test_every_index_is_there_once_and_whole(made):
    names = [f"train/my-picture/{i // 10:06d}/patch_{i:09d}.jpg" for i in range(37)]
    assert sorted(images_of(made)) == names
    for name in names:
        image = Image.open(made / name)
        image.load()
        assert (image.format, image.size, image.mode) == ("JPEG", (32, 32), "RGB")


def test_torchvision_reads_it_as_one_class(made):
    dataset = ImageFolder(made / "train")
    assert (len(dataset), dataset.classes) == (37, ["my-picture"])


def test_the_record_of_what_was_made_lies_beside_it(made):
    assert sorted(path.name for path in made.iterdir()) == [
        "README.md",
        "config.resolved.yaml",
        "config.yaml",
        "croissant.json",
        "dataset.json",
        "manifest",
        "params",
        "recipe.json",
        "run.log",
        "train",
    ]
    summary = summary_of(made)
    assert (summary["images"], summary["shards"]) == (37, 4)
    files = [file for file in made.rglob("*.jpg")]
    assert summary["bytes"] == sum(file.stat().st_size for file in files)
    recipe = json.loads((made / "recipe.json").read_text())
    assert recipe["fingerprint"] == summary["fingerprint"]
    hashes = images_of(made)
    _, record, *entries = map(json.loads, (made / "manifest/000003.jsonl").read_text().splitlines())
    assert (record["start"], record["stop"]) == (30, 37)
    assert record["fingerprint"] == summary["fingerprint"]
    names = [f"train/my-picture/000003/patch_{i:09d}.jpg" for i in range(30, 37)]
    assert [(entry[0], entry[1], entry[3]) for entry in entries[:-1]] == [
        (index, name, hashes[name]) for index, name in enumerate(names, 30)
    ]
    assert entries[-1][:2] == [None, "params/000003.jsonl"]


def test_the_drawn_parameters_are_those_of_the_python_interface(made):
    from singleimg import SingleImage

    lines = [
        json.loads(line)
        for file in sorted((made / "params").iterdir())
        for line in file.read_text().splitlines()
    ]
    images = SingleImage.open(made)
    assert lines == [images.draw(i).record() for i in range(37)]
    written = Image.open(made / "train/my-picture/000000/patch_000000003.jpg")
    difference = np.abs(np.asarray(written).astype(int) - images.render(3)).mean()
    assert difference < 12  # what JPEG loses of a picture with hard edges


def test_a_second_run_says_that_all_is_there(run, made, picture):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    result = run(
        f"imgpath={picture}", "num_imgs=37", "save_params=true", f"targetpath={made}", *SMALL
    )
    assert result.stdout.splitlines()[0] == f"All 37 images are in {made} already."
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


def test_the_saved_configuration_makes_the_same_bytes(run, made, tmp_path):
    run("-cp", made, "-cn", "config", f"targetpath={tmp_path / 'again'}", cwd=tmp_path)
    assert images_of(tmp_path / "again") == images_of(made)
    recipe = (tmp_path / "again" / "recipe.json").read_text()
    assert recipe == (made / "recipe.json").read_text()


def test_a_change_to_the_saved_configuration_takes_effect(run, made, tmp_path):
    run("-cp", made, "-cn", "config", f"targetpath={tmp_path / 'other'}", "deg=45", "num_imgs=5")
    assert not set(images_of(tmp_path / "other").values()) & set(images_of(made).values())
    resolved = (tmp_path / "other" / "config.resolved.yaml").read_text()
    assert "deg: 45" in resolved


def test_extending_gives_what_a_fresh_run_gives(run, picture, tmp_path):
    common = (f"imgpath={picture}", *SMALL)
    run(*common, "num_imgs=14", f"targetpath={tmp_path / 'grown'}")
    result = run(*common, "num_imgs=25", f"targetpath={tmp_path / 'grown'}")
    assert "15 of 25 images of 32 px" in result.stdout
    run(*common, "num_imgs=25", f"targetpath={tmp_path / 'fresh'}")
    assert tree_hash(tmp_path / "grown") == tree_hash(tmp_path / "fresh")
    assert summary_of(tmp_path / "grown")["images"] == 25
    last = result.stdout.splitlines()[-1]
    typed = " ".join([*common, f"targetpath={tmp_path / 'grown'}"])
    assert last == f"Extend:  python run.py {typed} num_imgs=50"


# --- unnamed targets -----------------------------------------------------------------------------


def test_the_same_command_with_more_images_goes_on_and_so_does_the_line_that_it_prints(
    run, picture, tmp_path
):
    (tmp_path / "my pictures").mkdir()
    shutil.copy(picture, tmp_path / "my pictures" / "a.png")
    common = ("imgpath=my pictures/a.png", *SMALL)
    run(*common, "num_imgs=14", cwd=tmp_path)
    said = run(*common, "num_imgs=25", cwd=tmp_path).stdout
    assert "15 of 25 images of 32 px" in said
    line = shlex.split(said.splitlines()[-1].removeprefix("Extend:  "))
    assert line[:2] == ["python", "run.py"] and line[-1] == "num_imgs=50"
    assert "30 of 50 images of 32 px" in run(*line[2:], cwd=tmp_path).stdout
    [made] = (tmp_path / "outputs").iterdir()
    assert re.fullmatch(r"a-script-32px-[0-9a-f]{8}", made.name)
    run(*common, "num_imgs=50", f"targetpath={tmp_path / 'fresh'}", cwd=tmp_path)
    assert tree_hash(made) == tree_hash(tmp_path / "fresh")


def test_the_line_that_it_prints_neither_overwrites_nor_looks(run, picture, tmp_path):
    common = (f"imgpath={picture}", "img_size=32")
    said = run(*common, "debug=true", "if_exists=overwrite", cwd=tmp_path).stdout.splitlines()
    [made] = (tmp_path / "outputs").iterdir()
    assert said[-2:] == [
        f"Extend:  python run.py {' '.join(common)} num_imgs=128",
        f"Grid:    {made / 'grid.png'}",
    ]


def test_fewer_images_are_there_already(run, picture, tmp_path):
    common = (f"imgpath={picture}", *SMALL)
    run(*common, "num_imgs=25", cwd=tmp_path)
    [made] = (tmp_path / "outputs").iterdir()
    before = tree_hash(made)
    assert run(*common, "num_imgs=14", cwd=tmp_path).stdout.splitlines() == [
        f"{made} holds 25 images already: the first 14 are those of this command.",
        f"Load:    torch.utils.data.Subset(singleimg.StoredDataset({str(made)!r}), range(14))",
    ]
    assert tree_hash(made) == before
    said = run(*common, "num_imgs=14", f"targetpath={made}", cwd=tmp_path, code=1).stderr
    assert said.startswith(f"targetpath={made} already holds 25 images, more than num_imgs=14: ")


def test_a_target_that_has_the_number_in_its_name_goes_on(run, picture, tmp_path):
    """As all had once; of several the largest one."""
    common = (f"imgpath={picture}", *SMALL)
    run(*common, "num_imgs=14", cwd=tmp_path)
    [made] = (tmp_path / "outputs").iterdir()
    first, _, digest = made.name.rpartition("-")
    old = made.with_name(f"{first}-14-{digest}")
    made.rename(old)
    for other in (f"{first}-9-{digest}", f"{first}-90-deg45-{digest}", f"b-{first}-99-{digest}"):
        made.with_name(other).mkdir()
    run(*common, "num_imgs=25", cwd=tmp_path)
    assert summary_of(old)["images"] == 25 and not made.exists()


def test_a_sweep_makes_one_dataset_a_job(run, picture, tmp_path):
    run(
        "-m",
        "deg=0,45",
        "shear=0,30",
        "num_imgs=6",
        "img_size=32",
        f"imgpath={picture}",
        f"targetpath={tmp_path}",
    )
    targets = sorted(path.name for path in tmp_path.iterdir())
    labels = [name.removeprefix("my-picture-script-32px-")[:-9] for name in targets]
    assert sorted(labels) == [
        "deg0-shear0", "deg0-shear30", "deg45-shear0", "deg45-shear30",
    ]  # fmt: skip
    contents = [tuple(images_of(tmp_path / name).values()) for name in targets]
    assert [len(content) for content in contents] == [6] * 4 and len(set(contents)) == 4


def test_parallel_jobs_of_a_sweep_make_the_same_bytes(run, picture, tmp_path):
    """Inside a joblib worker threads would share one generator; nothing of ours may notice."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    common = ("num_imgs=12", "seed=1,2", f"imgpath={picture}", *SMALL)
    run(
        "-m",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "threads=2",
        *common,
        f"targetpath={tmp_path / 'parallel'}",
    )
    run("-m", *common, f"targetpath={tmp_path / 'one'}")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(names) == 2 == len(list((tmp_path / "parallel").iterdir()))
    for name in names:
        assert images_of(tmp_path / "parallel" / name) == images_of(tmp_path / "one" / name)


def test_what_would_disappoint_is_said_in_a_line(run, picture, tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "icon.png")
    common = ("output=none", f"imgpath={tmp_path / 'icon.png'}", "num_imgs=2", "cropfirst=false")
    assert run(*common, "img_size=201").stdout.splitlines()[0] == (
        "A picture of 20 px is less than a tenth of img_size=201: its images show no detail."
    )
    assert "less than a tenth" not in run(*common, "img_size=200").stdout
    said = run("output=none", f"imgpath={picture}", "augment=none", "num_imgs=3").stdout
    assert said.splitlines()[0] == (
        "augment=none changes nothing: the 3 images of one picture are copies of the same."
    )
    own = "augment.transforms=[{_target_: torchvision.transforms.v2.CenterCrop, size: 32}%s]"
    flip = ", {_target_: torchvision.transforms.v2.RandomHorizontalFlip}"
    common = ("output=none", f"imgpath={picture}", "img_size=32", "num_imgs=3")
    assert "changes nothing" in run(*common, own % "").stdout
    assert "changes nothing" not in run(*common, own % flip).stdout


def test_batch_size_and_threads_change_no_byte(run, made, picture, tmp_path):
    run(
        f"imgpath={picture}",
        "num_imgs=37",
        "batch_size=5",
        "threads=1",
        "backend=threading",
        f"targetpath={tmp_path / 'set'}",
        *SMALL,
    )
    assert images_of(tmp_path / "set") == images_of(made)


def test_debug_makes_64_images_and_a_grid_to_look_at(run, picture, tmp_path):
    run("debug=true", f"imgpath={picture}", "img_size=32", f"targetpath={tmp_path / 'd'}")
    assert len(images_of(tmp_path / "d")) == 64
    grid = Image.open(tmp_path / "d" / "grid.png")
    assert grid.size == (8 * 34, 8 * 34)


@pytest.mark.parametrize("encoding, suffix", [("png", ".png"), ("webp", ".webp")])
def test_other_encodings(run, picture, tmp_path, encoding, suffix):
    run(
        "num_imgs=3",
        f"encode={encoding}",
        "output.class_name=dummy",
        f"imgpath={picture}",
        f"targetpath={tmp_path / 'x'}",
        "img_size=32",
    )
    names = [f"train/dummy/000000/patch_{i:09d}{suffix}" for i in range(3)]
    assert sorted(images_of(tmp_path / "x")) == names


def test_output_none_writes_nothing(run, picture, tmp_path):
    result = run("output=none", "num_imgs=5", f"imgpath={picture}", "img_size=32", cwd=tmp_path)
    assert "5 images" in result.stdout.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_several_sources_are_drawn_from(run, picture, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, colour in [("a", (255, 0, 0)), ("b", (0, 255, 0)), ("c", (0, 0, 255))]:
        Image.new("RGB", (64, 48), colour).save(folder / f"{name}.png")
    run(
        "image=folder",
        f"imgpath={folder}",
        "num_imgs=30",
        "img_size=32",
        "augment=none",
        "save_params=true",
        f"targetpath={tmp_path / 'set'}",
        "encode=png",
    )
    lines = (tmp_path / "set" / "params" / "000000.jsonl").read_text().splitlines()
    sources = [json.loads(line)["source"] for line in lines]
    assert set(sources) == {0, 1, 2}
    for index, source in enumerate(sources):
        file = next((tmp_path / "set").rglob(f"patch_{index:09d}.png"))
        pixel = Image.open(file).getpixel((16, 16))
        assert pixel == [(255, 0, 0), (0, 255, 0), (0, 0, 255)][source]


def test_a_users_own_transform_by_its_dotted_path(run, picture, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom PIL import Image\n\n"
        "class Roll:\n"
        "    def __init__(self, most):\n        self.most = most\n"
        "    def __call__(self, image):\n"
        "        shift = np.random.randint(self.most)\n"
        "        return Image.fromarray(np.roll(np.asarray(image), shift, axis=0))\n"
    )
    own = (
        "augment.transforms=[{_target_: mine.Roll, most: 9},"
        "{_target_: torchvision.transforms.v2.Resize, size: [32, 32]}]"
    )
    common = ("num_imgs=6", "img_size=32", f"imgpath={picture}", own, "trusted_modules=[mine]")
    run(*common, f"targetpath={tmp_path / 'one'}", PYTHONPATH=str(tmp_path))
    run(*common, f"targetpath={tmp_path / 'two'}", PYTHONPATH=str(tmp_path))
    images = images_of(tmp_path / "one")
    assert images == images_of(tmp_path / "two") and len(set(images.values())) > 2
    next((tmp_path / "two").rglob("*.jpg")).write_bytes(b"")
    arguments = [f"targetpath={tmp_path / 'two'}", "trusted_modules=[mine]"]
    said = run("task=verify", *arguments, code=1, PYTHONPATH=str(tmp_path)).stderr
    assert said.endswith(f"task=repair {arguments[0]} '{arguments[1]}'\n")
    run("task=repair", *arguments, PYTHONPATH=str(tmp_path))
    assert images == images_of(tmp_path / "two")
    refused = run(
        *common,
        f"targetpath={tmp_path / 'three'}",
        "backend=threading",
        code=1,
        PYTHONPATH=str(tmp_path),
    )
    assert refused.stderr.strip() == (
        "Roll draws from Python's or NumPy's global generator, which threads share: "
        "type backend=loky (or backend=sequential)."
    )
    assert not (tmp_path / "three").exists()


@pytest.mark.slow
def test_ten_thousand_and_seven_images_on_any_number_of_workers(run, photograph, tmp_path):
    common = (f"imgpath={photograph}", "num_imgs=10007", "img_size=64")
    trees = []
    for threads in (2, 1):
        run(*common, f"threads={threads}", f"targetpath={tmp_path / str(threads)}")
        trees.append(images_of(tmp_path / str(threads)))
    assert trees[0] == trees[1]
    indices = sorted(int(Path(name).stem.removeprefix("patch_")) for name in trees[0])
    assert indices == list(range(10_007))
    dataset = ImageFolder(tmp_path / "1" / "train")
    assert len(dataset) == 10_007 and all(image.size == (64, 64) for image, _ in dataset)
