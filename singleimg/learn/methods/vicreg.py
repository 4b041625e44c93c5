"""VICReg: outputs that agree (invariance), differ (variance) and say new things (covariance)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from singleimg.learn.methods.two_views import TwoViews, check_not_negative


class VICReg(TwoViews):
    """Two views agree, while each value keeps a deviation of 1 and values stay uncorrelated.

    invariance, variance, covariance: weights of the three terms. On several devices the last two
    are those of all of them.

    Source: Bardes, Ponce, LeCun: VICReg (ICLR 2022); ``VICRegLoss`` of lightly, and
    ``BarlowTwinsProjectionHead``, whose three layers are those of VICReg's expander.
    """

    def __init__(
        self,
        *,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_not_negative(invariance=invariance, variance=variance, covariance=covariance)
        self.weights = invariance, variance, covariance

    def build_heads(self, features: int) -> None:
        from lightly.loss import VICRegLoss
        from lightly.models.modules.heads import BarlowTwinsProjectionHead

        self.head = BarlowTwinsProjectionHead(features, self.hidden, self.output)
        everywhere = torch.distributed.is_available()
        self.vicreg = VICRegLoss(*self.weights, gather_distributed=everywhere)

    def loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        return self.vicreg(*student.chunk(2))
