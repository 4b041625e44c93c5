"""DINO: into which of many classes of its own does the teacher put the other view?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from singleimg.errors import UserError
from singleimg.learn.methods.base import check_positive, check_whole
from singleimg.learn.methods.two_views import TaughtByMean, check_fraction, mean_features


class DINO(TaughtByMean):
    """Cross-entropy of the student's classes of one view with the teacher's of the other.

    output: how many classes. bottleneck: values before them, of length 1. temperature: of the
    student. teacher_temperature: at the beginning, and from ``sharpening``, a fraction of the
    training, on. centre_momentum: what the centre, the mean of the teacher's outputs that is taken
    off them, keeps of itself in an update. frozen: fraction of the training in which the last layer
    stays as it is.

    Two views of one size; the recipe's small ones beside them (multi-crop) are left out.

    Source: Caron et al.: Emerging properties in self-supervised vision transformers (ICCV 2021);
    ``DINOLoss`` and ``DINOProjectionHead`` of lightly, with BatchNorm, as for convolutions.
    """

    def __init__(
        self,
        *,
        bottleneck: int = 256,
        temperature: float = 0.1,
        teacher_temperature: Sequence[float] = (0.04, 0.04),
        sharpening: float = 0.3,
        centre_momentum: float = 0.9,
        frozen: float = 0.01,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_whole("bottleneck", bottleneck, 1)
        check_positive(temperature=temperature)
        two = isinstance(teacher_temperature, Sequence) and len(teacher_temperature) == 2
        if not two or not all(type(t) in (int, float) and t > 0 for t in teacher_temperature):
            raise UserError(
                f"method.teacher_temperature={teacher_temperature} is not two numbers over 0: type "
                "for example 'method.teacher_temperature=[0.04,0.07]'."
            )
        check_fraction("sharpening", sharpening, 0.3)
        check_fraction("centre_momentum", centre_momentum, 0.9)
        check_fraction("frozen", frozen, 0.01)
        self.bottleneck, self.temperature = bottleneck, temperature
        self.teacher_temperature, self.sharpening = teacher_temperature, sharpening
        self.centre_momentum, self.frozen = centre_momentum, frozen
        self.now = teacher_temperature[0]  # the teacher's temperature

    def new_head(self, features: int) -> nn.Module:
        from lightly.models.modules.heads import DINOProjectionHead

        with warnings.catch_warnings():  # torch has another weight normalisation, lightly not yet
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*weight_norm")
            return DINOProjectionHead(
                features, self.hidden, self.bottleneck, self.output, batch_norm=True
            )

    def build_heads(self, features: int) -> None:
        from lightly.loss import DINOLoss

        super().build_heads(features)
        self.dino = DINOLoss(
            self.output, student_temp=self.temperature, center_momentum=self.centre_momentum
        )

    def schedule(self, fraction: float) -> None:
        super().schedule(fraction)
        first, last = self.teacher_temperature
        risen = min(1.0, fraction / self.sharpening) if self.sharpening else 1.0
        self.now = first + (last - first) * risen
        self.head.last_layer.weight_v.requires_grad_(fraction >= self.frozen)

    def outputs(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.head(mean_features(self.trunk, images)), self.taught(images)

    def loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        return self.dino([*teacher.chunk(2)], [*student.chunk(2)], teacher_temp=self.now)
