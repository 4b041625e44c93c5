"""A classifier that learns what another one says of images, whatever they show."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from singleimg.errors import UserError
from singleimg.learn.methods.base import check_positive, cosine, set_lr
from singleimg.learn.methods.classifier import Classifier
from singleimg.learn.methods.train_state import TrainState


class Distil(Classifier):
    """A student of a frozen ``teacher``: it sees images without labels, and what the teacher says.

    teacher: a training with labels: its folder, one of its ``.pt`` files, or a ``.safetensors`` of
    it with its head; or ``timm:<model>``. temperature: by which the scores of both are divided.
    cutmix, mixup: probabilities that an image is mixed with another one of its batch, by a square
    or by a sum; the share of the other one is of Beta(``alpha``, ``alpha``). AdamW; ``lr`` rises
    from 0 over the first ``warmup`` of the training and falls to 0 by half a cosine.

    Source: Asano, Saeed: Extrapolating from a single image to a thousand classes using distillation
    (ICLR 2023); Hinton, Vinyals, Dean: Distilling the knowledge in a neural network (2015).
    """

    metrics = ("loss", "agreement")
    is_taught = True

    def __init__(
        self,
        *,
        teacher: str,
        temperature: float = 8.0,
        cutmix: float = 0.5,
        mixup: float = 0.0,
        alpha: float = 1.0,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        warmup: float = 0.05,
        **settings: Any,
    ) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay, **settings)
        check_positive(1, temperature=temperature, alpha=alpha)
        shares = {"cutmix": cutmix, "mixup": mixup, "warmup": warmup}
        for key, value in shares.items():
            if type(value) not in (int, float) or not 0 <= value <= 1:
                raise UserError(
                    f"method.{key}={value} is not from 0 to 1: type for example method.{key}=0.1."
                )
        if cutmix + mixup > 1:
            raise UserError(
                f"method.cutmix={cutmix:g} and method.mixup={mixup:g} are probabilities of which "
                "one or the other is done, and more than 1 together: type smaller ones."
            )
        self.teacher = teacher
        self.temperature, self.cutmix, self.mixup, self.alpha = temperature, cutmix, mixup, alpha
        self.warmup = warmup
        # Its weights are none of the student's: no checkpoint holds them.
        self._teacher: tuple[nn.Module, ...] = ()

    def optimizer(self) -> Optimizer:
        return AdamW(self.parameters(), self.lr, weight_decay=self.weight_decay)

    def learn_from(self, teacher: nn.Module) -> None:
        self._teacher = (teacher.eval().requires_grad_(False),)

    def schedule(self, fraction: float) -> None:
        set_lr(self.optimizers["all"], cosine(self.lr, fraction, self.warmup))

    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        """``labels`` are not looked at."""
        generator = state.generator("mix")
        share = self.shares(len(images), images.shape[-1], generator, images.device)
        images = torch.lerp(images, images.roll(1, 0), share)
        with state.fabric.autocast():
            with torch.no_grad():
                taught = self._teacher[0](images)
            scores = self(images)
        loss = divergence(scores.float(), taught.float(), self.temperature)
        state.descend(loss, self.optimizers["all"])
        agreement = (scores.argmax(1) == taught.argmax(1)).float().mean()
        return {"loss": loss.detach(), "agreement": agreement}

    def shares(
        self, count: int, side: int, generator: torch.Generator, device: torch.device
    ) -> Tensor:
        """How much each pixel of ``count`` images is of another image: B×1×S×S of 0 … 1.

        For CutMix 1 within a square and 0 around it, for MixUp the same everywhere, else 0.
        """
        draw = np.random.default_rng(generator.initial_seed())
        kind, top, left = draw.random((3, count))
        share = draw.beta(self.alpha, self.alpha, count)
        square = np.rint(side * np.sqrt(share))
        top, left = (np.floor(place * (side - square + 1)) for place in (top, left))
        share *= kind < self.cutmix + self.mixup
        square[kind >= self.cutmix] = -1  # none
        drawn = torch.from_numpy(np.stack([share, square, top, left])).float().to(device)
        share, square, top, left = drawn[..., None, None, None]
        place = torch.arange(side, device=device)
        rows, columns = place[:, None] - top, place - left
        inside = (rows >= 0) & (rows < square) & (columns >= 0) & (columns < square)
        return torch.where(square < 0, share, inside.float())


def divergence(scores: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence of the teacher's classes from the student's, at a temperature,
    times its square, so that gradients are of one size whatever it is."""
    said, right = (nn.functional.log_softmax(one / temperature, 1) for one in (scores, taught))
    parts = nn.functional.kl_div(said, right, reduction="batchmean", log_target=True)
    return parts * temperature**2
