"""Random numbers as functions of seed, purpose and number: nothing to save, nothing shared."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from singleimg.learn.seeding import numpy_generator, torch_generator
from tests.learn.tiny import new_state

KEYS = [(0, "order", 1), (1, "order", 1), (0, "augment", 1), (0, "order", 2), (0, "order", 0)]


def test_the_same_key_gives_the_same_numbers_whatever_was_drawn_before() -> None:
    first = numpy_generator(0, "order", 1).random(5)
    np.random.seed(3)
    torch.manual_seed(3)
    numpy_generator(0, "order", 1).random(99)
    assert np.array_equal(numpy_generator(0, "order", 1).random(5), first)
    once, again = (torch.rand(5, generator=torch_generator(0, "order", 1)) for _ in range(2))
    assert torch.equal(once, again)


def test_seed_purpose_and_number_each_give_others() -> None:
    assert len({tuple(numpy_generator(*key).integers(1000, size=8)) for key in KEYS}) == len(KEYS)
    drawn = {tuple(torch.rand(8, generator=torch_generator(*key)).tolist()) for key in KEYS}
    assert len(drawn) == len(KEYS)


def test_a_number_that_is_left_out_is_0() -> None:
    assert np.array_equal(
        numpy_generator(4, "images").random(3), numpy_generator(4, "images", 0).random(3)
    )


@pytest.mark.parametrize("torchs", [False, True])
def test_the_first_numbers_of_a_row_of_updates_are_uniform_and_unrelated(torchs: bool) -> None:
    if torchs:
        rows = [
            torch.rand(2, generator=torch_generator(0, "augment", n)).tolist() for n in range(1500)
        ]
    else:
        rows = [numpy_generator(0, "augment", n).random(2).tolist() for n in range(1500)]
    first, second = np.array(rows).T
    assert stats.kstest(first, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.1  # from update to update
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


def test_drawing_leaves_the_generators_of_the_process_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    torch.rand(3, generator=torch_generator(0, "latents", 5))
    numpy_generator(0, "order", 5).permutation(9)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


def test_an_update_draws_by_its_number_and_a_device_of_several_by_its_own() -> None:
    def three(state, step: int) -> tuple[float, ...]:
        state.step = step
        return tuple(torch.rand(3, generator=state.generator("crop")).tolist())

    alone, first, second = new_state(), new_state(world_size=2), new_state(rank=1, world_size=2)
    assert three(alone, 7) == three(alone, 7) != three(alone, 8)
    assert three(first, 7) == three(alone, 7) != three(second, 7)
    assert three(new_state(seed=1), 7) != three(alone, 7)
