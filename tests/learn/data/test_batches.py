"""The images of a training: the same pixels from memory and from processes, all of one size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from singleimg.learn.data.batches import (
    InMemory,
    StreamedImages,
    open_images,
    to_square,
    whole_batches,
)

MODES = ("RGB", "L", "RGBA", "P", "1")
PLACES = [np.array([3, 17]), np.array([0, 3, 5, 0]), np.array([19])]


class Pictures(Dataset):
    """Twenty pictures of several sizes and modes."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        pixels = np.random.default_rng(index).integers(0, 256, (30 + index, 40, 3), dtype=np.uint8)
        return Image.fromarray(pixels).convert(MODES[index % len(MODES)]), index % 4


def picture(height: int, width: int) -> Image.Image:
    """Red says the row, green the column."""
    rows, columns = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([rows, columns, rows * 0 + 9], -1).astype(np.uint8))


# --- in memory and streamed ----------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_images_are_the_same_from_memory_and_from_processes(workers: int) -> None:
    memory = open_images(Pictures(), 32, workers=1, memory=1)
    stream = StreamedImages(Pictures(), 32, workers, None)
    pairs = list(zip(memory.batches(PLACES), stream.batches(PLACES), strict=True))
    assert [len(one) for one, _ in pairs] == [2, 4, 1]
    for one, two in pairs:
        assert one.dtype == two.dtype == torch.uint8 and one.shape[1:] == (3, 32, 32)
        assert torch.equal(one, two)


def test_a_dataset_that_gives_many_at_once_is_asked_for_many_at_once() -> None:
    """Rendering them one by one takes ten times as long."""
    asked: list[int] = []

    class Many(Pictures):
        def __len__(self) -> int:
            return 600

        def __getitems__(self, indices: list[int]) -> list:
            asked.append(len(indices))
            return [self[index % 20] for index in indices]

    kept = open_images(Many(), 16, workers=1, memory=1)
    assert asked == [250, 250, 100]
    assert torch.equal(kept.pixels[580:], open_images(Pictures(), 16, workers=1, memory=1).pixels)


def test_streaming_leaves_torchs_generator_alone() -> None:
    """What a run draws for dropout is the same whether or not it was stopped in between."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(StreamedImages(Pictures(), 32, 0, None).batches(PLACES))
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_come_in_the_order_asked_for() -> None:
    images = InMemory(torch.arange(9, dtype=torch.uint8).view(9, 1, 1, 1).expand(9, 3, 2, 2))
    seen = [batch[:, 0, 0, 0].tolist() for batch in images.batches([np.array([8, 0]), [4]])]
    assert seen == [[8, 0], [4]] and list(images.batches([])) == []


def test_images_are_kept_where_they_fit_in_the_memory_allowed() -> None:
    size = 20 * 3 * 32**2 / 1e9
    opened = [open_images(Pictures(), 32, workers=0, memory=size * part) for part in (1.01, 0.99)]
    assert [type(one) for one in opened] == [InMemory, StreamedImages]
    assert [len(one) for one in opened] == [20, 20] and opened[0].size == opened[1].size == 32


@pytest.mark.parametrize("memory", [0, 1])
def test_labels_are_those_given_or_0(memory: int) -> None:
    labels = [index % 4 for index in range(20)]
    with_labels = open_images(Pictures(), 32, workers=1, memory=memory, labels=labels).labels
    without = open_images(Pictures(), 32, workers=1, memory=memory).labels
    assert with_labels.dtype == without.dtype == torch.int64
    assert with_labels.tolist() == labels and without.tolist() == [0] * 20


# --- fitted --------------------------------------------------------------------------------------


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    image = picture(24, 24)
    assert np.array_equal(np.asarray(to_square(image, 24)), np.asarray(image))


@pytest.mark.parametrize("shape", [(40, 100), (100, 40)])
def test_the_middle_is_taken_of_an_image_resized_along_its_shorter_side(shape: tuple) -> None:
    shown = np.asarray(to_square(picture(*shape), 20)).astype(int)
    assert shown.shape == (20, 20, 3)
    first = [(length - 40) / 2 for length in shape]  # of the square that is shown, in the original
    expected = [start + (np.arange(20) + 0.5) * 2 - 0.5 for start in first]
    assert np.abs(shown[2:-2, :, 0] - expected[0][2:-2, None]).max() <= 1
    assert np.abs(shown[:, 2:-2, 1] - expected[1][2:-2]).max() <= 1
    assert (shown[..., 2] == 9).all()


def test_a_smaller_image_is_enlarged() -> None:
    shown = np.asarray(to_square(picture(10, 10), 40)).astype(int)
    assert shown.shape == (40, 40, 3) and np.ptp(shown[20, :, 1]) == 9


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = picture(24, 24).convert(mode)
    assert to_square(image, 24).mode == "RGB"
    assert np.array_equal(np.asarray(to_square(image, 24)), np.asarray(image.convert("RGB")))


# --- whole batches -------------------------------------------------------------------------------


def test_a_batch_that_does_not_fill_is_left_out() -> None:
    assert whole_batches(np.arange(11), 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert whole_batches(np.arange(8), 4).shape == (2, 4) and whole_batches(
        np.arange(3), 4
    ).shape == (0, 4)
