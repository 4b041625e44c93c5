"""What training reads: images that were stored, in any format, and images that never were."""

from __future__ import annotations

import builtins
import io
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader
from torch.utils.data.distributed import DistributedSampler
from torchvision.transforms import v2

from singleimg import RenderedDataset, SingleImage, StoredDataset, UserError, compose
from singleimg.config import make, saved, schema
from singleimg.dataset.recipe import Recipe
from singleimg.outputs.resolve import described
from singleimg.storage.manifest import Entry, Record, record_text
from singleimg.storage.shards import Plan
from tests.conftest import ROOT

FORMATS = ("folder", "webdataset", "parquet", "lmdb")
COUNT = 23
SMALL = (f"num_imgs={COUNT}", "img_size=32", "output.shard_size=7")


@pytest.fixture(scope="session")
def stored(run, picture, tmp_path_factory) -> dict[str, Path]:
    """The same images in each format: four jobs of one sweep, in four shards each."""
    home = tmp_path_factory.mktemp("stored")
    by_format = f"targetpath={home}/${{hydra:runtime.choices.output}}"
    run("-m", f"output={','.join(FORMATS)}", f"imgpath={picture}", *SMALL, by_format)
    return {name: next((home / name).iterdir()) for name in FORMATS}


@pytest.fixture(scope="session")
def files(stored) -> list[bytes]:
    """The bytes of each image file, read from the folder without any help of ours."""
    found = {int(file.stem[-9:]): file for file in stored["folder"].rglob("patch_*")}
    return [found[index].read_bytes() for index in range(COUNT)]


@pytest.fixture(params=FORMATS)
def path(request, stored) -> Path:
    """The dataset in each of the formats, in turn."""
    return stored[request.param]


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def same(image: Image.Image, pixels: np.ndarray) -> bool:
    return image.mode == "RGB" and np.array_equal(np.asarray(image), pixels)


def refused(path: Path, kind: type = StoredDataset, **more) -> str:
    with pytest.raises(UserError) as caught:
        kind(path, **more)
    return str(caught.value)


# --- stored --------------------------------------------------------------------------------------


def test_every_format_gives_every_image_and_the_one_label(path, files):
    dataset = StoredDataset(path)
    assert len(dataset) == COUNT and len(list((path / "manifest").iterdir())) == 4
    assert [dataset.file(index) for index in range(COUNT)] == files
    found = list(dataset)  # ends, since what is beyond the last raises IndexError
    assert len(found) == COUNT
    assert all(same(image, pixels_of(data)) for (image, _), data in zip(found, files, strict=True))
    assert {label for _, label in found} == {0}


def test_negative_indices_count_from_the_end_and_others_are_refused(path, files):
    dataset = StoredDataset(str(path))
    assert dataset.file(-1) == files[-1] and dataset.file(-COUNT) == files[0]
    for index in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError, match=rf"^image {index} of {COUNT}$"):
            dataset[index]
    with pytest.raises(IndexError):
        dataset.__getitems__([0, COUNT])


def test_an_index_may_be_whatever_counts_as_a_whole_number(stored, files):
    dataset = StoredDataset(stored["webdataset"])
    assert dataset.file(np.int64(5)) == dataset.file(torch.tensor(5)) == files[5]
    with pytest.raises(TypeError):
        dataset[1.0]


def test_a_transform_takes_the_place_of_the_image(path, files):
    dataset = StoredDataset(path, v2.PILToTensor())
    image, label = dataset[3]
    assert torch.equal(image, torch.tensor(pixels_of(files[3])).permute(2, 0, 1)) and label == 0


def test_a_batch_is_asked_for_at_once_in_any_order_and_with_repetitions(path, files):
    wanted = [21, 0, 7, 7, -1]
    batch = StoredDataset(path).__getitems__(wanted)
    for (image, label), index in zip(batch, wanted, strict=True):
        assert same(image, pixels_of(files[index])) and label == 0


def test_it_is_small_to_pickle_even_when_much_was_read(path, files):
    dataset = StoredDataset(path)
    assert [dataset.file(index) for index in range(COUNT)] == files
    data = pickle.dumps(dataset)
    assert len(data) < 1000
    assert pickle.loads(data).file(9) == files[9]


def test_a_dataset_that_was_replaced_is_read_anew(stored, files, tmp_path):
    """An open file would go on showing the old one, at the places of the new."""
    here = tmp_path / "set"
    shutil.copytree(stored["webdataset"], here)
    assert StoredDataset(here).file(2) == files[2]
    other = compose("num_imgs=9", "img_size=40", "output=webdataset", f"targetpath={here}",
                    "output.shard_size=7", "if_exists=overwrite", "backend=sequential")  # fmt: skip
    make.task(other)(other)
    image, _ = StoredDataset(here)[2]
    assert image.size == (40, 40)


# --- what cannot be opened -----------------------------------------------------------------------


@pytest.fixture
def copied(stored, tmp_path) -> Path:
    """A dataset to harm."""
    shutil.copytree(stored["webdataset"], tmp_path / "set")
    return tmp_path / "set"


def test_a_folder_without_a_dataset(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert refused(folder) == f"{folder} holds no dataset: give the targetpath of a run."


@pytest.mark.parametrize("summary", [None, "{", "[]", '{"images": "23"}', '{"images": true}'])
def test_a_dataset_of_which_images_are_missing(copied, summary):
    (copied / "dataset.json").unlink()
    if summary is not None:  # harmed is as good as missing
        (copied / "dataset.json").write_text(summary)
    assert refused(copied) == (
        f"{copied} holds a dataset of which images are missing: go on with it first, by the "
        "command that began it."
    )


def test_a_recipe_that_is_harmed(copied):
    file = copied / "recipe.json"
    recipe = json.loads(file.read_text())
    file.write_text(file.read_text()[:-40])
    assert refused(copied).startswith(f"{file} cannot be read (JSONDecodeError: ")
    file.write_text("[]")
    assert refused(copied) == (
        f"{file} cannot be read (TypeError: list indices must be integers or slices, not str): "
        "type another targetpath, or remove that folder."
    )
    file.write_text(json.dumps({**recipe, "pixels": {"encoder": "jpeg"}}))
    assert refused(copied) == (
        f"{file} is harmed. To mend it: python run.py task=repair targetpath={copied}"
    )
    file.write_text(json.dumps({**recipe, "layout": {"output": "scroll", "shard_size": 7}}))
    assert refused(copied) == (
        "a dataset of output=scroll cannot be read here (ModuleNotFoundError: No module named "
        "'singleimg.outputs.scroll'): its recipe.json is harmed, or of another version."
    )


def test_an_image_that_is_shorter_than_its_record_says(copied):
    os.truncate(copied / "train/shard-000001.tar", 600)
    with pytest.raises(OSError, match=r"shard-000001\.tar is shorter than its record says$"):
        StoredDataset(copied)[8]


# --- opening is the same whatever the size -------------------------------------------------------

MANY, A_SHARD = 1_281_167, 10_000


@pytest.fixture
def touched(monkeypatch) -> list[str]:
    """What Python is asked to open or to list from now on."""
    seen: list[str] = []
    for module, name in ((io, "open"), (builtins, "open"), (os, "open"), (os, "scandir"),
                         (os, "listdir")):  # fmt: skip
        function = getattr(module, name)

        def call(place, *arguments, _function=function, **options):
            seen.append(str(place))
            return _function(place, *arguments, **options)

        monkeypatch.setattr(module, name, call)
    return seen


@pytest.mark.parametrize("output", ["webdataset", "parquet"])
def test_opening_a_million_images_reads_two_files_and_an_image_the_record_of_its_shard(
    tmp_path, touched, output
):
    plan = Plan(MANY, A_SHARD)
    assert len(plan) == 129
    layout = described({"output": output, "shard_size": A_SHARD})
    recipe = Recipe({"encoder": {"encoding": "jpeg"}}, layout.layout(), {})
    (tmp_path / "recipe.json").write_text(recipe.text())
    (tmp_path / "dataset.json").write_text(json.dumps({"images": MANY}))
    for folder in ("manifest", "train"):
        (tmp_path / folder).mkdir()
    for shard in plan:  # whoever parsed one of these would fail
        (tmp_path / f"manifest/{shard.name}.jsonl").write_text("not a record")
    shard, place = plan[57], layout.place(plan[57])
    entries = [Entry(None, place, 30_000, "whole")]
    entries += [
        Entry(index, place, 3, "part", 3 * (index - shard.start))
        for index in range(shard.start, shard.stop)
    ]
    record = Record(shard.number, shard.start, shard.stop, 0, recipe.fingerprint, {})
    (tmp_path / f"manifest/{shard.name}.jsonl").write_text(record_text(record, entries))
    (tmp_path / place).write_bytes(b"".join(b"%03d" % (i % 1000) for i in range(A_SHARD)))

    touched.clear()
    dataset = StoredDataset(tmp_path)
    assert len(dataset) == MANY
    assert touched == [f"{tmp_path}/recipe.json", f"{tmp_path}/dataset.json"]

    touched.clear()
    assert [dataset.file(570_000 + k) for k in (0, 123, 9_999)] == [b"000", b"123", b"999"]
    assert touched == [f"{tmp_path}/manifest/000057.jsonl", f"{tmp_path}/{place}"]
    with pytest.raises(ValueError, match=r"000058\.jsonl is not what was written"):
        dataset.file(580_000)


# --- rendered: the very images that a run stores -------------------------------------------------

ENGINES, ENCODINGS = ("native", "reference"), ("jpeg", "png", "webp")


@pytest.fixture(scope="session")
def encoded(run, picture, tmp_path_factory) -> Path:
    """Five images by each engine in each encoding: six jobs of one sweep."""
    home = tmp_path_factory.mktemp("encoded")
    by_choice = f"targetpath={home}/${{engine.name}}/${{encode._target_}}"
    sweep = (f"engine={','.join(ENGINES)}", f"encode={','.join(ENCODINGS)}")
    run("-m", *sweep, f"imgpath={picture}", "num_imgs=5", "img_size=32", "seed=3", by_choice)
    return home


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("engine", ENGINES)
def test_images_are_those_that_a_run_stores_bit_for_bit(encoded, picture, engine, encoding):
    target = next((encoded / engine / encoding).iterdir())
    typed = (f"imgpath={picture}", f"engine={engine}", f"encode={encoding}",
             "img_size=32", "seed=3", "num_imgs=5")  # fmt: skip
    kept, images = StoredDataset(target), SingleImage.open(target)
    for source in (target, str(target), compose(*typed)):
        bare, lossy = RenderedDataset(source), RenderedDataset(source, encoded=True)
        assert len(bare) == len(lossy) == 5
        for index in range(5):
            pixels = images.render(index)
            assert np.array_equal(bare.render(index), pixels) and same(bare[index][0], pixels)
            assert bare.file(index) == lossy.file(index) == kept.file(index)
            assert lossy[index][0] == kept[index][0] and bare[index][1] == lossy[index][1] == 0
            if encoding == "png":  # loses nothing: what is stored shows what was rendered
                assert same(kept[index][0], pixels)
            else:
                assert not same(kept[index][0], pixels)


APP = """\
import sys

import hydra

from singleimg import RenderedDataset, compose


@hydra.main(config_path={conf!r}, config_name="config", version_base="1.3")
def train(cfg):
    for source in (cfg, compose(*sys.argv[1:]), cfg):
        dataset = RenderedDataset(source)
        print(len(dataset), *(dataset.file(index).hex() for index in range(3)))


if __name__ == "__main__":
    train()
"""


def test_the_users_own_hydra_application_gets_the_same(stored, picture, tmp_path):
    """With the configuration that it composed itself, and with one that we compose within it."""
    (tmp_path / "app.py").write_text(APP.format(conf=str(schema.CONF)))
    result = subprocess.run(
        [sys.executable, "app.py", f"imgpath={picture}", "num_imgs=1M", "img_size=32"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    kept = StoredDataset(stored["webdataset"])
    expected = " ".join(["1000000", *(kept.file(index).hex() for index in range(3))])
    assert result.stdout.splitlines() == [expected] * 3
    assert [file.name for file in tmp_path.iterdir()] == ["app.py"]  # Hydra leaves nothing there


def test_there_are_as_many_images_as_are_asked_for(stored, picture):
    more = RenderedDataset(stored["folder"], "1M")
    assert len(more) == 1_000_000
    fresh = RenderedDataset(compose(f"imgpath={picture}", "img_size=32", "num_imgs=1e6"))
    assert len(fresh) == 1_000_000
    # One that was stored, one far beyond those, the last.
    assert all(np.array_equal(more.render(i), fresh.render(i)) for i in (22, 987_654, -1))
    assert len(RenderedDataset(stored["folder"], 5)) == 5
    with pytest.raises(IndexError, match=r"^image 1000000 of 1,000,000$"):
        more[1_000_000]
    assert refused(stored["folder"], RenderedDataset, num_imgs="many") == (
        "num_imgs=many is not a number of images from 1 to 1,000,000,000: type for example "
        "num_imgs=1000, num_imgs=1e6 or num_imgs=1M."
    )


def test_the_users_transform_comes_on_top(stored):
    bare = RenderedDataset(stored["folder"])
    image, label = RenderedDataset(stored["folder"], transform=v2.PILToTensor())[4]
    assert torch.equal(image, torch.tensor(bare.render(4)).permute(2, 0, 1)) and label == 0


def test_a_configuration_is_checked_and_left_as_it_is(picture):
    cfg = compose(f"imgpath={picture}", "img_size=32")
    before = OmegaConf.to_yaml(cfg)
    assert RenderedDataset(cfg)[0][0].size == (32, 32)
    assert OmegaConf.to_yaml(cfg) == before
    cfg.deg = 200
    assert refused(cfg, RenderedDataset) == (
        "deg=200 is not an angle in degrees from 0 to 180: type for example deg=180."
    )


# --- in the processes of a DataLoader ------------------------------------------------------------


class Twofold:
    """A user's transform, in torchvision's old way, that draws from generators of the process."""

    def __call__(self, image: Image.Image) -> Image.Image:
        shift = np.random.randint(32) + random.randrange(32)
        return Image.fromarray(np.roll(np.asarray(image), shift, axis=0))


OWN = ("augment.transforms=[{_target_: torchvision.transforms.v2.RandomCrop, size: [32, 32]},"
       "{_target_: tests.dataset.test_torch.Twofold}]")  # fmt: skip
TRUST = "trusted_modules=[tests.dataset.test_torch]"


@pytest.fixture(scope="module")
def everything(stored, picture) -> ConcatDataset:
    """What there is of datasets, in one: so few processes have to start."""
    cfg = compose(f"imgpath={picture}", "num_imgs=9", "img_size=32", "augment=strong")
    own = compose(f"imgpath={picture}", "num_imgs=9", "img_size=32", OWN, TRUST)
    tensor = v2.PILToTensor()
    return ConcatDataset(
        [
            *(StoredDataset(path, tensor) for path in stored.values()),
            RenderedDataset(stored["folder"], transform=tensor),
            RenderedDataset(cfg, transform=tensor, encoded=True),
            RenderedDataset(own, transform=tensor),
        ]
    )


@pytest.fixture(scope="module")
def alone(everything) -> torch.Tensor:
    """All images, as one process reads them."""
    return torch.cat([images for images, _ in DataLoader(everything, batch_size=8)])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_give_what_one_process_gives_epoch_by_epoch(everything, alone, start):
    """Forked after the datasets were used; spawned anew from their pickles."""
    loader = DataLoader(
        everything, batch_size=8, num_workers=2, persistent_workers=True,
        multiprocessing_context=start,
    )  # fmt: skip
    for _ in range(2):
        batches = list(loader)
        assert torch.equal(torch.cat([images for images, _ in batches]), alone)
        assert not torch.cat([labels for _, labels in batches]).any()


def test_a_shuffled_epoch_holds_every_image_once(path, files):
    """Here whole batches are asked for."""
    loader = DataLoader(
        StoredDataset(path, v2.PILToTensor()), batch_size=5, shuffle=True, num_workers=2,
        multiprocessing_context="fork",
    )  # fmt: skip
    images = torch.cat([images for images, _ in loader]).permute(0, 2, 3, 1)
    shown = [image.numpy().tobytes() for image in images]
    kept = [pixels_of(data).tobytes() for data in files]
    assert sorted(shown) == sorted(kept) and shown != kept


@pytest.mark.parametrize("kind", [StoredDataset, RenderedDataset])
def test_two_replicas_share_all_images_between_them(stored, kind):
    dataset = kind(stored["folder"], transform=v2.PILToTensor())
    seen = []
    for rank in (0, 1):
        sampler = DistributedSampler(dataset, 2, rank, shuffle=True, seed=5, drop_last=True)
        images = torch.cat([images for images, _ in DataLoader(dataset, 4, sampler=sampler)])
        assert len(images) == COUNT // 2
        seen += [sha256(image.numpy().tobytes()).digest() for image in images]
    whole = {sha256(image.numpy().tobytes()).digest() for image, _ in dataset}
    assert len(set(seen)) == len(seen) == 2 * (COUNT // 2) and set(seen) < whole


# --- in a process that is somebody else's --------------------------------------------------------


def test_a_rendered_dataset_is_small_to_pickle_even_when_it_was_used(stored, picture):
    for source in (stored["folder"], compose(f"imgpath={picture}", "augment=strong")):
        dataset = RenderedDataset(source)
        pixels = dataset.render(1)
        data = pickle.dumps(dataset)
        assert len(data) < 10_000
        assert np.array_equal(pickle.loads(data).render(1), pixels)


class Threads(v2.Transform):
    """Notes how many threads there are while it renders; refuses one index in two."""

    seen: list[tuple[int, int]] = []  # noqa: RUF012

    def make_params(self, flat_inputs):
        return {"refuse": float(torch.rand(1)) < 0.5}

    def transform(self, inpt, params):
        self.seen.append((torch.get_num_threads(), cv2.getNumThreads()))
        if params["refuse"]:
            raise RuntimeError("not this one")
        return inpt


@pytest.mark.parametrize("engine", ENGINES)
def test_the_threads_of_the_process_are_what_they_were(picture, engine):
    """Rendered on one thread, whether it succeeds or not, since one sums in one order."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    own = "augment.transforms=[{_target_: tests.dataset.test_torch.Threads},{_target_: torchvision."
    own += "transforms.v2.RandomCrop, size: [32, 32]}]"
    cfg = compose(f"imgpath={picture}", "img_size=32", f"engine={engine}", own, TRUST)
    refusals, dataset = 0, RenderedDataset(cfg, 20)
    try:
        torch.set_num_threads(3)
        cv2.setNumThreads(2)
        Threads.seen.clear()
        for index in range(20):
            try:
                dataset[index]
            except UserError:
                refusals += 1
            assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 2)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
    assert 0 < refusals < 20
    # The reference has nothing to do with OpenCV.
    assert set(Threads.seen[-20:]) == {(1, 1) if engine == "native" else (1, 2)}


def test_global_generators_are_what_they_were(picture):
    """A transform may draw from them: they are seeded for it, and put back."""
    cfg = compose(f"imgpath={picture}", "img_size=32", OWN, TRUST)
    dataset = RenderedDataset(cfg, 6)
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
        files = [dataset.file(index) for index in range(6)]
        assert random.getstate() == before[0]
        assert np.random.get_state()[1].tolist() == before[1]
        assert torch.equal(torch.get_rng_state(), before[2])
        if seed == 1:
            first = files
    assert files == first and len(set(files)) == 6


# --- what its recipe says ------------------------------------------------------------------------


@pytest.fixture
def described_only(stored, tmp_path) -> Path:
    """What tells of a dataset, beside a source of its own."""
    for name in ("recipe.json", "config.resolved.yaml"):
        shutil.copy(stored["folder"] / name, tmp_path / name)
    file = tmp_path / "config.resolved.yaml"
    source = OmegaConf.load(file).imgpath
    shutil.copy(source, tmp_path / "my.png")
    file.write_text(file.read_text().replace(source, str(tmp_path / "my.png")))
    return tmp_path


def test_it_renders_from_the_source_that_its_configuration_names(described_only, files):
    assert RenderedDataset(described_only).file(0) == files[0]


def test_a_source_that_was_replaced_is_not_rendered_from(described_only):
    Image.new("RGB", (200, 150)).save(described_only / "my.png")
    dataset = RenderedDataset(described_only, 1)
    images = iter(DataLoader(dataset, num_workers=1))
    for ask in (lambda: dataset[0], lambda: next(images)):  # workers hand the sentence on
        with pytest.raises(UserError) as caught:
            ask()
        assert (
            f"imgpath={described_only}/my.png has changed since this dataset was begun: put the "
            "old picture back, or type another targetpath."
        ) in str(caught.value)
    assert next(images, None) is None  # ends the worker, which would take seconds later


def test_a_folder_that_holds_nothing_to_render(tmp_path):
    assert refused(tmp_path, RenderedDataset) == (
        f"{tmp_path}/config.resolved.yaml is missing: type another folder, or bring it back."
    )


def test_code_of_the_users_needs_trust(picture, tmp_path):
    """What a saved configuration says of trust does not count."""
    cfg = compose(f"imgpath={picture}", "img_size=32", "num_imgs=3", OWN, TRUST)
    expected = RenderedDataset(cfg).render(1)
    cfg.output.class_name = "c"
    text = saved.resolved_text(cfg)
    text = text.replace("trusted_modules: []", "trusted_modules: [tests.dataset.test_torch]")
    assert "[tests.dataset.test_torch]" in text
    (tmp_path / "config.resolved.yaml").write_text(text)
    sentence = (
        "augment.transforms[1]._target_=tests.dataset.test_torch.Twofold is not trusted: a "
        "configuration "
        "may name torchvision.transforms.* and singleimg.transforms.* here; for code of yours type "
        "trusted_modules=[tests] on the command line."
    )
    cfg.trusted_modules = []
    for source in (tmp_path, cfg):
        with pytest.raises(UserError) as caught:
            RenderedDataset(source)[1]
        assert str(caught.value) == sentence
        trusting = RenderedDataset(source, trusted_modules=["tests.dataset.test_torch"])
        assert np.array_equal(trusting.render(1), expected)
