"""BYOL: what does the teacher say of the other view? No negatives."""

from __future__ import annotations

from torch import Tensor, nn

from singleimg.learn.methods.two_views import TaughtByMean, mean_features


class BYOL(TaughtByMean):
    """A predictor on the student's head predicts the teacher's output of the other view.

    The loss is minus their cosine similarity, mean over both directions: −1 … 1.

    Source: Grill et al.: Bootstrap your own latent (NeurIPS 2020); ``NegativeCosineSimilarity``,
    ``BYOLProjectionHead`` and ``BYOLPredictionHead`` of lightly.
    """

    def new_head(self, features: int) -> nn.Module:
        from lightly.models.modules.heads import BYOLProjectionHead

        return BYOLProjectionHead(features, self.hidden, self.output)

    def build_heads(self, features: int) -> None:
        from lightly.loss import NegativeCosineSimilarity
        from lightly.models.modules.heads import BYOLPredictionHead

        super().build_heads(features)
        self.predictor = BYOLPredictionHead(self.output, self.hidden, self.output)
        self.negative_cosine = NegativeCosineSimilarity()

    def outputs(self, images: Tensor) -> tuple[Tensor, Tensor]:
        predicted = self.predictor(self.head(mean_features(self.trunk, images)))
        return predicted, self.taught(images)

    def loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        return self.negative_cosine(student, teacher.roll(len(teacher) // 2, 0))
