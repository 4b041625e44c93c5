"""SimCLR: which of all other views in the batch is of the same image?"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from singleimg.learn.methods.base import accuracy, check_positive
from singleimg.learn.methods.two_views import TwoViews


class SimCLR(TwoViews):
    """Cross-entropy of picking a view's partner by cosine similarity (NT-Xent).

    temperature: by which similarities are divided. ``accuracy``: how often the partner is the most
    similar of the 2B − 1 other views. Nothing learned: a loss of log(2B − 1). On several devices
    views are compared with those of all of them.

    Source: Chen et al.: A simple framework for contrastive learning of visual representations (ICML
    2020); ``NTXentLoss`` and ``SimCLRProjectionHead`` of lightly.
    """

    metrics = ("loss", "accuracy", "spread")

    def __init__(self, *, temperature: float = 0.5, **settings: Any) -> None:
        super().__init__(**settings)
        check_positive(temperature=temperature)
        self.temperature = temperature

    def build_heads(self, features: int) -> None:
        from lightly.loss import NTXentLoss
        from lightly.models.modules.heads import SimCLRProjectionHead

        self.head = SimCLRProjectionHead(features, self.hidden, self.output)
        everywhere = torch.distributed.is_available()
        self.nt_xent = NTXentLoss(self.temperature, gather_distributed=everywhere)

    def loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        return self.nt_xent(*student.chunk(2))

    def measure(self, student: Tensor) -> dict[str, Tensor]:
        directions = nn.functional.normalize(student, dim=1)
        similar = (directions @ directions.T).fill_diagonal_(-2)
        partners = torch.arange(len(student), device=student.device).roll(len(student) // 2)
        return {"accuracy": accuracy(similar, partners), **super().measure(student)}
