"""The step downhill: one norm for all that moves, and an end where numbers are none any more."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from singleimg.errors import UserError
from singleimg.learn.methods.train_state import Diverged, TrainState, parameters
from tests.learn.tiny import new_state, same


def point(*values: float) -> nn.Parameter:
    """Something to move."""
    return nn.Parameter(torch.tensor(values, dtype=torch.float32))


def slope(parameter: nn.Parameter, *gradient: float) -> Tensor:
    """A loss whose gradient is this."""
    return (parameter * torch.tensor(gradient)).sum()


def test_a_step_is_the_optimisers_own() -> None:
    one, state = point(1, 2), new_state()
    state.descend(slope(one, 3, 4), SGD([one], 0.1))
    assert one.tolist() == pytest.approx([0.7, 1.6]) and state.norm == pytest.approx(5)


@pytest.mark.parametrize(
    ("max_norm", "length"), [(None, 5), (100, 5), (5.001, 5), (2, 2), (0.5, 0.5)]
)
def test_a_gradient_longer_than_max_norm_is_scaled_down_to_it(
    max_norm: float | None, length: float
) -> None:
    one, state = point(0, 0), new_state(max_norm=max_norm)
    state.descend(slope(one, 3, 4), SGD([one], 1.0))
    step = -one.detach()
    assert float(step.norm()) == pytest.approx(length, rel=1e-4)
    assert float(step[0] / step[1]) == pytest.approx(3 / 4)
    assert state.norm == pytest.approx(5)  # said as it was


def test_several_optimisers_share_one_norm_and_all_step() -> None:
    one, two, state = point(0), point(0), new_state(max_norm=1.0)
    state.descend(slope(one, 3) + slope(two, 4), SGD([one], 1.0), SGD([two], 10.0))
    assert state.norm == pytest.approx(5)
    assert one.item() == pytest.approx(-0.6, rel=1e-4)
    assert two.item() == pytest.approx(-8, rel=1e-4)


def test_what_no_optimiser_was_named_for_stays() -> None:
    one, two = point(1), point(1)
    others = SGD([two], 1.0)
    new_state().descend(slope(one, 3) * two.sum(), SGD([one], 1.0))
    assert two.item() == 1
    new_state().descend(slope(two, 2), others)  # and nothing of the step before is left in it
    assert two.item() == -1


def test_gradients_do_not_add_up_from_step_to_step() -> None:
    one, state = point(0), new_state()
    optimizer = SGD([one], 1.0)
    for _ in range(3):
        state.descend(slope(one, 2), optimizer)
    assert one.item() == -6


def test_a_parameter_that_has_no_gradient_is_left_out() -> None:
    one, unused, state = point(0), point(5), new_state()
    state.descend(slope(one, 3), SGD([one, unused], 1.0, weight_decay=0.5))
    assert unused.item() == 5 and state.norm == 3
    frozen = nn.Parameter(torch.ones(1), requires_grad=False)
    state.descend(slope(one, 1), SGD([one, frozen], 1.0))
    assert frozen.item() == 1


def test_parameters_are_those_of_all_groups() -> None:
    one, two, three = point(1), point(2), point(3)
    optimizer = SGD([{"params": [one, two]}, {"params": [three], "lr": 1}], 0.1)
    assert [p.item() for p in parameters(optimizer)] == [1, 2, 3]


# --- numbers that are none -----------------------------------------------------------------------


@pytest.mark.parametrize(("value", "said"), [(math.nan, "nan"), (math.inf, "inf")])
@pytest.mark.parametrize("max_norm", [None, 1.0])
def test_a_loss_that_is_no_number_ends_the_training_with_a_sentence_and_no_step(
    value: float, said: str, max_norm: float | None
) -> None:
    one, two, state = point(1, 2), point(3), new_state(max_norm=max_norm)
    optimizers: list[Optimizer] = [SGD([one], 0.1), SGD([two], 0.1)]
    before = [one.detach().clone(), two.detach().clone()]
    state.step = 1233
    with pytest.raises(Diverged) as mistake:
        state.descend((slope(one, 1, 1) + two.sum()) * value, *optimizers)
    assert str(mistake.value) == (
        f"update 1,234 has a gradient that is not finite (its loss is {said}): type a smaller "
        "method.lr, or train.max_norm=1, and task.resume=never to start again."
    )
    assert same([one.detach(), two.detach()], before) and isinstance(mistake.value, UserError)


def test_one_gradient_that_is_none_among_many_is_enough() -> None:
    one, two = point(1.0), point(0.0)
    with pytest.raises(Diverged, match=r"^update 1 has a gradient that is not finite"):
        new_state().descend(one.sum() + two.sqrt().sum(), SGD([one, two], 0.1))
    assert (one.item(), two.item()) == (1, 0)


# --- several devices -----------------------------------------------------------------------------


def test_gradients_are_means_over_the_devices() -> None:
    one, two, state = point(0, 0), point(0), new_state(world_size=2)  # the other's are zero
    state.descend(slope(one, 6, 8) + slope(two, 24), SGD([one], 1.0), SGD([two], 1.0))
    assert one.tolist() == [-3, -4] and two.item() == -12
    assert state.norm == pytest.approx(13)  # of the mean, which is what moves


def test_a_mean_keeps_every_gradient_in_its_place_and_shape() -> None:
    shapes = [(2, 3), (4,), (1, 1, 2, 2)]
    moved = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
    gradients = [torch.arange(p.numel()).view(p.shape) * 2.0 + 1 for p in moved]
    loss = sum((p * g).sum() for p, g in zip(moved, gradients, strict=True))
    new_state(world_size=2).descend(loss, SGD(moved, 1.0))
    assert same([-2 * p.detach() for p in moved], gradients)


def test_the_device_is_the_fabrics() -> None:
    assert new_state().device == torch.device("cpu") and isinstance(new_state(), TrainState)


class Two:
    """The second of two, as a Fabric answers; the first one's tensors hold zeros."""

    device, world_size, global_rank = torch.device("cpu"), 2, 1

    def all_gather(self, tensor: Tensor) -> Tensor:
        return torch.stack([torch.zeros_like(tensor), tensor])

    def all_reduce(self, tensor: Tensor, *, reduce_op: str) -> Tensor:
        assert reduce_op == "mean"
        return tensor / 2


def test_what_is_decided_by_means_is_decided_alike() -> None:
    assert TrainState(Two(), 0, None).means({"loss": 3.0, "nmi": 1.0}) == {"loss": 1.5, "nmi": 0.5}
    assert new_state().means({"loss": 3.0}) == {"loss": 3.0}


def test_each_process_goes_on_with_its_own_random_numbers() -> None:
    torch.manual_seed(7)
    state = TrainState(Two(), 0, None)
    states, wanted = state.random_states(), torch.rand(3)
    assert len(states) == 2 and not states[0][0].any()
    torch.manual_seed(8)
    state.set_random_state(states)
    assert torch.equal(torch.rand(3), wanted)


def test_on_other_devices_than_those_that_were_each_gets_numbers_of_its_own() -> None:
    one = new_state()
    states = one.random_states()
    state = TrainState(Two(), 0, None)
    drawn = []
    for _ in range(2):
        state.set_random_state(states)
        drawn.append(torch.rand(3))
    one.set_random_state(states)
    assert torch.equal(*drawn) and not torch.equal(torch.rand(3), drawn[0])
