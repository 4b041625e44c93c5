"""BiGAN: a generator of images and an encoder of them, and a discriminator of pairs drives both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from singleimg.errors import UserError, did_you_mean
from singleimg.learn.methods.base import SHOWN, Method, check_positive, check_whole, set_lr
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.base import Network
from singleimg.learn.networks.generator import (
    SLOPE,
    Generator,
    JointDiscriminator,
    count_features,
    discriminator_trunk,
)

LOSSES = ("gan", "wgan_gp")
_GENERATED = 64  # pixels, as the recipe has it
LAST = 0.01  # of the learning rate is left at the end, where it decays


class BiGAN(Method):
    """The discriminator tells (image, its encoding) from (generated image, its latent).

    loss: ``gan``, the encoder's trunk is what is learned; or ``wgan_gp`` (the paper's MonoGAN),
    the discriminator's trunk is, four convolutions without BatchNorm. latent: values of a latent,
    uniform in ±1. generated_size: side of a generated image, pixels; None: 64, or the network's
    where that is smaller; the discriminator sees real images reduced to it, the encoder sees them
    whole. width: channels of the generator's last map. critic_steps: updates of the discriminator
    for one of generator and encoder, each with ``batch_size`` new images. penalty: weight of the
    gradient penalty. decay_from: from this fraction of the training on the learning rate falls
    exponentially to 1 %.

    Source: Donahue, Krähenbühl, Darrell: Adversarial feature learning (ICLR 2017), and its code,
    jeffdonahue/bigan; Gulrajani et al.: Improved training of Wasserstein GANs (NeurIPS 2017).
    """

    metrics = ("discriminator", "generator", "penalty")
    watched = "reconstruction"
    seen: Tensor  # of the last update

    def __init__(
        self,
        *,
        loss: str = "gan",
        latent: int = 200,
        generated_size: int | None = None,
        width: int = 64,
        hidden: int = 1024,
        critic_steps: int = 1,
        penalty: float = 10.0,
        lr: float = 2e-4,
        betas: Sequence[float] = (0.5, 0.999),
        weight_decay: float = 2.5e-5,
        decay_from: float = 0.5,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if loss not in LOSSES:
            raise UserError(
                f"method.loss={loss} is not one of {', '.join(LOSSES)}"
                f"{did_you_mean(loss, LOSSES)}: type for example method.loss=wgan_gp."
            )
        check_positive(lr=lr)
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise UserError(
                f"method.betas={list(betas)} is not two numbers from 0 to under 1: type for "
                "example 'method.betas=[0.5,0.999]'."
            )
        for key, value in (("critic_steps", critic_steps), ("latent", latent), ("width", width)):
            check_whole(key, value, 1)
        self.loss, self.latent, self.generated_size = loss, latent, generated_size
        self.width, self.hidden, self.critic_steps = width, hidden, critic_steps
        self.penalty, self.lr = penalty, lr
        self.betas = tuple(map(float, betas))  # Adam takes no whole number
        self.weight_decay, self.decay_from = weight_decay, decay_from

    @property
    def images_an_update(self) -> int:
        return self.batch_size * self.critic_steps

    @property
    def penalised(self) -> bool:
        """Whether the discriminator is a critic, held to slope 1 by a gradient penalty."""
        return self.loss == "wgan_gp"

    def build(self, network: Network, images: int, classes: int) -> None:
        """The trunk is the encoder's, or with ``wgan_gp`` the critic's."""
        self.size = network.size
        self.generated_size = self.generated_size or min(_GENERATED, network.size)
        if self.penalised and self.generated_size != network.size:
            raise UserError(
                f"method.loss=wgan_gp needs generated images of network.size={network.size} "
                f"pixels, not of method.generated_size={self.generated_size}: type "
                f"method.generated_size={network.size}."
            )
        self.trunk = network.trunk(norm=not self.penalised, slope=SLOPE)
        encoding = network.trunk(slope=SLOPE) if self.penalised else self.trunk
        features = encoding.features(network.size)
        self.encoder = nn.Sequential(encoding, nn.Linear(features, self.latent), nn.Tanh())
        self.generator = Generator(self.generated_size, self.latent, self.width)
        image_trunk = self.trunk
        if not self.penalised:
            image_trunk = discriminator_trunk(self.generated_size, self.width)
        self.discriminator = JointDiscriminator(
            image_trunk, count_features(image_trunk, self.generated_size), self.latent, self.hidden
        )
        self.optimizers["discriminator"] = self._adam(self.discriminator)
        self.optimizers["generator"] = self._adam(self.generator, self.encoder)
        self.train()

    def _adam(self, *modules: nn.Module) -> Adam:
        owned = [p for module in modules for p in module.parameters()]
        return Adam(owned, self.lr, self.betas, weight_decay=self.weight_decay)

    def schedule(self, fraction: float) -> None:
        past = max(0.0, fraction - self.decay_from) / max(1 - self.decay_from, 1e-9)
        for optimizer in self.optimizers.values():
            set_lr(optimizer, self.lr * LAST**past)

    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        """The discriminator's updates, then one of generator and encoder."""
        random = state.generator("latents")
        for real in images.chunk(self.critic_steps):
            discriminator_loss, penalty = self._update_discriminator(real, random, state)
        self.discriminator.requires_grad_(False)
        with state.fabric.autocast():
            encoded, generated, latents = self._pairs(real, random)
            loss = self._generator_loss(
                self.discriminator(self.reduce(real), encoded),
                self.discriminator(generated, latents),
            )
        state.descend(loss, self.optimizers["generator"])
        self.discriminator.requires_grad_(True)
        self.seen = real
        return {"discriminator": discriminator_loss, "generator": loss.detach(), "penalty": penalty}

    def _update_discriminator(
        self, real: Tensor, random: torch.Generator, state: TrainState
    ) -> tuple[Tensor, Tensor]:
        with state.fabric.autocast():
            with torch.no_grad():
                encoded, generated, latents = self._pairs(real, random)
            seen = self.reduce(real)
            loss = self._discriminator_loss(
                self.discriminator(seen, encoded), self.discriminator(generated, latents)
            )
        penalty = torch.zeros((), device=real.device)
        if self.penalised:
            mix = torch.rand(len(real), 1, generator=random).to(real.device, non_blocking=True)
            penalty = gradient_penalty(
                self.discriminator,
                torch.lerp(generated.float(), seen, mix[:, :, None, None]),
                torch.lerp(latents, encoded.float(), mix),
            )
        state.descend(loss + self.penalty * penalty, self.optimizers["discriminator"])
        return loss.detach(), penalty.detach()

    def _pairs(self, real: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """The encodings of ``real``, as many generated images, and their latents."""
        latents = 2 * torch.rand(len(real), self.latent, generator=random) - 1
        latents = latents.to(real.device, non_blocking=True)
        return self.encoder(real), self.generator(latents), latents

    def _discriminator_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """What the discriminator wants small: it gives encoded pairs large values."""
        if self.penalised:
            return made.mean() - real.mean()
        return (nn.functional.softplus(-real) + nn.functional.softplus(made)).mean()

    def _generator_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """What generator and encoder want small: the opposite."""
        if self.penalised:
            return real.mean() - made.mean()
        return (nn.functional.softplus(real) + nn.functional.softplus(-made)).mean()

    def reduce(self, images: Tensor) -> Tensor:
        """Real images in the size of generated ones."""
        if images.shape[-1] == self.generated_size:
            return images
        return nn.functional.interpolate(
            images, size=(self.generated_size, self.generated_size), mode="area"
        )

    @torch.no_grad()
    def end_epoch(self) -> dict[str, float]:
        """Mean absolute difference of images and what is generated from their encodings."""
        self.eval()
        error = (self.generator(self.encoder(self.seen)) - self.reduce(self.seen)).abs().mean()
        self.train()
        return {"reconstruction": float(error)}

    @torch.no_grad()
    def pictures(self, images: Tensor) -> dict[str, Tensor]:
        """Samples of latents that stay the same; and each image beside its reconstruction."""
        self.eval()
        random = torch.Generator().manual_seed(0)
        latents = 2 * torch.rand(2 * SHOWN, self.latent, generator=random) - 1
        pairs = torch.stack([self.reduce(images), self.generator(self.encoder(images))], 1)
        samples = self.generator(latents.to(images.device))
        self.train()
        return {"samples": samples, "reconstructions": pairs.flatten(0, 1)}


def gradient_penalty(discriminator: nn.Module, images: Tensor, latents: Tensor) -> Tensor:
    """Mean of (‖∇‖ - 1)² of the discriminator's value at these pairs: a scalar to differentiate.

    The gradient is that with respect to images in ±1 and latents together. Source: Gulrajani et
    al., equation 3.
    """
    images, latents = images.detach().requires_grad_(), latents.detach().requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        value = discriminator(images, latents).sum()
        of_images, of_latents = torch.autograd.grad(value, (images, latents), create_graph=True)
    # Images lie in 0 … 1: a gradient with respect to ±1 is half as large.
    square = (of_images / 2).flatten(1).square().sum(1) + of_latents.square().sum(1)
    return ((square + 1e-12).sqrt() - 1).square().mean()
