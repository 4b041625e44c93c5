"""What updates read and change beside weights: devices, random numbers, the step downhill."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from singleimg.errors import UserError
from singleimg.learn.seeding import torch_generator

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Diverged(UserError):
    """A gradient is not finite: the training is over."""


class TrainState:
    """The state of one run that updates read: where it is, and on what it runs.

    fabric: Lightning Fabric, launched. seed: of the run. max_norm: of the gradient, larger ones are
    scaled down to it; None: as it is.
    """

    def __init__(self, fabric: Fabric, seed: int, max_norm: float | None) -> None:
        self.fabric, self.seed, self.max_norm = fabric, seed, max_norm
        self.step = 0  # updates done
        self.norm = torch.zeros((), device=fabric.device)  # of the last gradient
        # The first update with a gradient that is not finite, 0: none, and its loss.
        self._diverged = torch.zeros(2, device=fabric.device)

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.fabric.device

    def generator(self, purpose: str) -> torch.Generator:
        """Random numbers of this update, other ones on each device of several."""
        rank = self.fabric.global_rank
        return torch_generator(self.seed, f"{purpose} {rank}" if rank else purpose, self.step)

    def random_states(self) -> list[list[Tensor]]:
        """Of each process torch's states: the processor's, and that of a GPU where it has one."""
        mine = [torch.get_rng_state()]
        if self.device.type == "cuda":
            mine.append(torch.cuda.get_rng_state(self.device))
        if self.fabric.world_size == 1:
            return [mine]
        every = [self.fabric.all_gather(state).cpu() for state in mine]
        # Copies: torch reads a state from where its memory begins, of a view too.
        return [[states[rank].clone() for states in every]
                for rank in range(self.fabric.world_size)]  # fmt: skip

    def set_random_state(self, states: list[list[Tensor]]) -> None:
        """Its own of these; on other devices than those that were, numbers of the update's own."""
        kinds = 2 if self.device.type == "cuda" else 1
        if len(states) != self.fabric.world_size or len(states[0]) != kinds:
            torch.manual_seed(self.generator("other devices").initial_seed())
            return
        processor, *gpu = states[self.fabric.global_rank]
        torch.set_rng_state(processor)
        for state in gpu:
            torch.cuda.set_rng_state(state, self.device)

    def descend(self, loss: Tensor, *optimizers: Optimizer) -> None:
        """One step of each of the ``optimizers``, which share one gradient norm.

        The gradients are means over all devices. Raises Diverged where they are not finite, on a
        processor before the step, on a GPU at the next :meth:`check`: to ask it is to wait for it.
        """
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        moved = [p for optimizer in optimizers for p in parameters(optimizer)]
        gradients = [p.grad for p in moved if p.grad is not None]
        if self.fabric.world_size > 1 and gradients:
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            flat = self.fabric.all_reduce(flat, reduce_op="mean")
            parts = flat.split([gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))
        if gradients:
            self.norm = nn.utils.get_total_norm(gradients)
        first = ~torch.isfinite(self.norm) & (self._diverged[0] == 0)
        step = torch.full_like(self._diverged[0], self.step + 1)
        now = torch.stack([step, loss.detach().to(step.dtype)])
        self._diverged = torch.where(first, now, self._diverged)
        if self.device.type == "cpu":
            self.check()
        if self.max_norm is not None:
            torch._foreach_mul_(gradients, (self.max_norm / self.norm).clamp(max=1))
        for optimizer in optimizers:
            optimizer.step()

    def check(self) -> None:
        """Raises Diverged when a gradient of any update so far was not finite."""
        step, loss = self._diverged.tolist()
        if step:
            raise Diverged(
                f"update {int(step):,} has a gradient that is not finite (its loss is {loss:g}): "
                "type a smaller method.lr, or train.max_norm=1, and task.resume=never to start "
                "again."
            )

    def means(self, values: dict[str, float]) -> dict[str, float]:
        """Means over all devices, the same on each: what is decided by them is decided alike."""
        if self.fabric.world_size == 1 or not values:
            return values
        mine = torch.tensor(list(values.values()), device=self.device)
        mine = self.fabric.all_reduce(mine, reduce_op="mean")
        return dict(zip(values, mine.tolist(), strict=True))


def parameters(optimizer: Optimizer) -> Iterable[nn.Parameter]:
    """All that it moves."""
    return (p for group in optimizer.param_groups for p in group["params"])
