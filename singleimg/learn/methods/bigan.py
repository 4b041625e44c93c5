"""BiGAN: a generator of images and an encoder of them, which a judge of pairs drives together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from singleimg.errors import UserError, did_you_mean
from singleimg.learn.methods.base import SHOWN, Method, check_whole, positive, set_lr
from singleimg.learn.methods.train_state import Work
from singleimg.learn.networks.base import Network
from singleimg.learn.networks.generator import (
    SLOPE,
    Generator,
    JointJudge,
    features_of,
    judging_trunk,
)

LOSSES = ("gan", "wgan_gp")
_GENERATED = 64  # pixels, as the recipe has it
LAST = 0.01  # of the learning rate is left at the end, where it decays


class BiGAN(Method):
    """The judge sees (image, its encoding) and (generated image, its latent), and learns which.

    loss: ``gan``, the encoder's trunk is what is learned; or ``wgan_gp`` (the paper's MonoGAN),
    the trunk of the judge is, four convolutions without BatchNorm. latent: values of a latent,
    uniform in ±1. generated_size: side of a generated image, pixels; None: 64, or the network's
    where that is smaller; the judge sees real ones reduced to it, the encoder sees them whole.
    width: channels of the generator's last map. critic_steps: updates of the judge for one of
    generator and encoder, each with ``batch_size`` new images. penalty: weight of the gradient
    penalty. decay_from: from this fraction of the training on the learning rate falls exponentially
    to 1 %.

    Source: Donahue, Krähenbühl, Darrell: Adversarial feature learning (ICLR 2017), and its code,
    jeffdonahue/bigan; Gulrajani et al.: Improved training of Wasserstein GANs (NeurIPS 2017).
    """

    metrics = ("judge", "generator", "penalty")
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
        positive(lr=lr)
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise UserError(
                f"method.betas={list(betas)} is not two numbers from 0 to under 1: type for "
                "example method.betas=[0.5,0.999]."
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
        """New images for each update of the judge."""
        return self.batch_size * self.critic_steps

    @property
    def penalised(self) -> bool:
        """Whether the judge is a critic, held to slope 1 by a gradient penalty."""
        return self.loss == "wgan_gp"

    def build(self, network: Network, images: int, classes: int) -> None:
        """The trunk is the encoder's, or with ``wgan_gp`` the critic's."""
        self.size = network.size
        self.generated_size = self.generated_size or min(_GENERATED, network.size)
        if self.penalised and self.generated_size != network.size:
            raise UserError(
                f"method.loss=wgan_gp judges images of network.size={network.size} pixels, and "
                f"method.generated_size={self.generated_size} is another: type "
                f"method.generated_size={network.size}."
            )
        self.trunk = network.trunk(norm=not self.penalised, slope=SLOPE)
        encoding = network.trunk(slope=SLOPE) if self.penalised else self.trunk
        features = encoding.features(network.size)
        self.encoder = nn.Sequential(encoding, nn.Linear(features, self.latent), nn.Tanh())
        self.generator = Generator(self.generated_size, self.latent, self.width)
        judging = self.trunk
        if not self.penalised:
            judging = judging_trunk(self.generated_size, self.width)
        self.judge = JointJudge(
            judging, features_of(judging, self.generated_size), self.latent, self.hidden
        )
        self.optimizers["judge"] = self._adam(self.judge)
        self.optimizers["generator"] = self._adam(self.generator, self.encoder)
        self.train()

    def _adam(self, *modules: nn.Module) -> Adam:
        owned = [p for module in modules for p in module.parameters()]
        return Adam(owned, self.lr, self.betas, weight_decay=self.weight_decay)

    def schedule(self, fraction: float) -> None:
        """Level, then exponentially down."""
        past = max(0.0, fraction - self.decay_from) / max(1 - self.decay_from, 1e-9)
        for optimizer in self.optimizers.values():
            set_lr(optimizer, self.lr * LAST**past)

    def update(self, images: Tensor, places: Tensor, labels: Tensor, work: Work) -> dict:
        """The judge's updates, then one of generator and encoder."""
        random = work.generator("latents")
        for real in images.chunk(self.critic_steps):
            judged, penalty = self._judge(real, random, work)
        self._freeze(self.judge, True)
        with work.fabric.autocast():
            encoded, generated, latents = self._pairs(real, random)
            fooled = self._fooled(
                self.judge(self.reduced(real), encoded), self.judge(generated, latents)
            )
        work.descend(fooled, self.optimizers["generator"])
        self._freeze(self.judge, False)
        self.seen = real
        return {"judge": judged, "generator": fooled.detach(), "penalty": penalty}

    def _judge(self, real: Tensor, random: torch.Generator, work: Work) -> tuple[Tensor, Tensor]:
        with work.fabric.autocast():
            with torch.no_grad():
                encoded, generated, latents = self._pairs(real, random)
            seen = self.reduced(real)
            loss = self._told(self.judge(seen, encoded), self.judge(generated, latents))
        penalty = torch.zeros((), device=real.device)
        if self.penalised:
            mix = torch.rand(len(real), 1, generator=random).to(real.device)
            penalty = gradient_penalty(
                self.judge,
                torch.lerp(generated.float(), seen, mix[:, :, None, None]),
                torch.lerp(latents, encoded.float(), mix),
            )
        work.descend(loss + self.penalty * penalty, self.optimizers["judge"])
        return loss.detach(), penalty.detach()

    def _pairs(self, real: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """The encodings of ``real``, as many generated images, and their latents."""
        latents = 2 * torch.rand(len(real), self.latent, generator=random) - 1
        latents = latents.to(real.device)
        return self.encoder(real), self.generator(latents), latents

    def _told(self, real: Tensor, made: Tensor) -> Tensor:
        """What the judge wants small: it gives encoded pairs large values."""
        if self.penalised:
            return made.mean() - real.mean()
        return (nn.functional.softplus(-real) + nn.functional.softplus(made)).mean()

    def _fooled(self, real: Tensor, made: Tensor) -> Tensor:
        """What generator and encoder want small: the opposite."""
        if self.penalised:
            return real.mean() - made.mean()
        return (nn.functional.softplus(real) + nn.functional.softplus(-made)).mean()

    def reduced(self, images: Tensor) -> Tensor:
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
        error = (self.generator(self.encoder(self.seen)) - self.reduced(self.seen)).abs().mean()
        self.train()
        return {"reconstruction": float(error)}

    @torch.no_grad()
    def pictures(self, images: Tensor) -> dict[str, Tensor]:
        """Samples of latents that stay the same; and each image beside its reconstruction."""
        self.eval()
        random = torch.Generator().manual_seed(0)
        latents = 2 * torch.rand(2 * SHOWN, self.latent, generator=random) - 1
        pairs = torch.stack([self.reduced(images), self.generator(self.encoder(images))], 1)
        samples = self.generator(latents.to(images.device))
        self.train()
        return {"samples": samples, "reconstructions": pairs.flatten(0, 1)}

    @staticmethod
    def _freeze(module: nn.Module, frozen: bool) -> None:
        for parameter in module.parameters():
            parameter.requires_grad_(not frozen)


def gradient_penalty(judge: nn.Module, images: Tensor, latents: Tensor) -> Tensor:
    """Mean of (‖∇‖ - 1)² of the judge's value at these pairs: a scalar to differentiate.

    The gradient is that with respect to images in ±1 and latents together. Source: Gulrajani et
    al., equation 3.
    """
    images, latents = images.detach().requires_grad_(), latents.detach().requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        value = judge(images, latents).sum()
        of_images, of_latents = torch.autograd.grad(value, (images, latents), create_graph=True)
    # Images lie in 0 … 1: a gradient with respect to ±1 is half as large.
    square = (of_images / 2).flatten(1).square().sum(1) + of_latents.square().sum(1)
    return ((square + 1e-12).sqrt() - 1).square().mean()
