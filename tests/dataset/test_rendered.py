"""What training reads of images that were never stored: the very images that a run stores."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader
from torch.utils.data.distributed import DistributedSampler
from torchvision.transforms import v2

from singleimg import RenderedDataset, SingleImage, StoredDataset, UserError, compose
from singleimg.config import location, saved
from tests.conftest import ROOT
from tests.dataset.conftest import COUNT, pixels_of, refused, same

# --- rendered: the very images that a run stores -------------------------------------------------

ENGINES, ENCODINGS = ("native", "reference"), ("jpeg", "png", "webp")


@pytest.fixture(scope="session")
def encoded(run, picture, tmp_path_factory) -> Path:
    """Five images by each engine in each encoding: six jobs of one sweep."""
    home = tmp_path_factory.mktemp("encoded")
    by_choice = f"targetpath={home}/${{engine._target_}}/${{encode._target_}}"
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
    (tmp_path / "app.py").write_text(APP.format(conf=str(location.CONF)))
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
       "{_target_: tests.dataset.test_rendered.Twofold}]")  # fmt: skip
TRUST = "trusted_modules=[tests.dataset.test_rendered]"


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


@pytest.mark.parametrize("encoded", [False, True])
def test_a_batch_is_drawn_at_once_and_holds_what_each_image_is_alone(picture, encoded):
    cfg = compose(f"imgpath={picture}", "img_size=32", "augment=strong", "num_imgs=30")
    dataset = RenderedDataset(cfg, encoded=encoded, transform=np.asarray)
    lots: list[list[int]] = []
    draw_many = dataset._images.draw_many
    dataset._images.draw_many = lambda places: lots.append(list(places)) or draw_many(places)
    batch = dataset.__getitems__([3, 3, -1, 7])
    assert lots == [[3, 3, 29, 7]]
    for index, (image, label) in zip((3, 3, 29, 7), batch, strict=True):
        assert np.array_equal(image, dataset[index][0]) and label == 0
    with pytest.raises(IndexError, match=r"^image 30 of 30$"):
        dataset.__getitems__([1, 30])


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
        self.seen.append(torch.get_num_threads())
        if params["refuse"]:
            raise RuntimeError("not this one")
        return inpt


@pytest.mark.parametrize("engine", ENGINES)
def test_the_threads_of_the_process_are_what_they_were(picture, engine):
    """Rendered on one thread, whether it succeeds or not, since one sums in one order."""
    before = torch.get_num_threads()
    own = "augment.transforms=[{_target_: tests.dataset.test_rendered.Threads},"
    own += "{_target_: torchvision.transforms.v2.RandomCrop, size: [32, 32]}]"
    cfg = compose(f"imgpath={picture}", "img_size=32", f"engine={engine}", own, TRUST)
    refusals, dataset = 0, RenderedDataset(cfg, 20)
    try:
        torch.set_num_threads(3)
        Threads.seen.clear()
        for index in range(20):
            try:
                dataset[index]
            except UserError:
                refusals += 1
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert 0 < refusals < 20
    assert set(Threads.seen[-20:]) == {1}


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
    dataset = pickle.loads(pickle.dumps(RenderedDataset(described_only, 1)))
    Image.new("RGB", (200, 150)).save(described_only / "my.png")
    images = iter(DataLoader(dataset, num_workers=1))
    # It is told when a dataset is made, and later; workers hand the sentence on.
    for ask in (lambda: RenderedDataset(described_only), lambda: dataset[0], lambda: next(images)):
        with pytest.raises(UserError) as caught:
            ask()
        assert (
            f"imgpath={described_only}/my.png has changed since this dataset was started: restore "
            "the old picture, or type another targetpath."
        ) in str(caught.value)
    assert next(images, None) is None  # ends the worker, which would take seconds later


def test_a_folder_that_holds_nothing_to_render(tmp_path):
    assert refused(tmp_path, RenderedDataset).startswith(f"imgpath={tmp_path} holds no picture (")
    (tmp_path / "recipe.json").write_text(
        '{"pixels": {"sources": []}, "layout": {}, "made_with": {}}'
    )
    assert refused(tmp_path, RenderedDataset) == (
        f"{tmp_path}/config.resolved.yaml is missing: type another folder, or restore it."
    )


def test_code_of_the_users_needs_trust(picture, tmp_path):
    """What a saved configuration says of trust does not count."""
    cfg = compose(f"imgpath={picture}", "img_size=32", "num_imgs=3", OWN, TRUST)
    expected = RenderedDataset(cfg).render(1)
    cfg.output.class_name = "c"
    text = saved.resolved_text(cfg)
    text = text.replace("trusted_modules: []", "trusted_modules: [tests.dataset.test_rendered]")
    assert "[tests.dataset.test_rendered]" in text
    (tmp_path / "config.resolved.yaml").write_text(text)
    sentence = (
        "augment.transforms[1]._target_=tests.dataset.test_rendered.Twofold is not trusted: a "
        "configuration "
        "may name torchvision.transforms.* and singleimg.transforms.* here; for code of yours type "
        "'trusted_modules=[tests]' on the command line."
    )
    cfg.trusted_modules = []
    for source in (tmp_path, cfg):
        with pytest.raises(UserError) as caught:
            RenderedDataset(source)[1]
        assert str(caught.value) == sentence
        trusting = RenderedDataset(source, trusted_modules=["tests.dataset.test_rendered"])
        assert np.array_equal(trusting.render(1), expected)
