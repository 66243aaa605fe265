"""Weights of the loss by source (`loss_weight`), apart from how often the sources are drawn."""

from collections.abc import Sequence

import torch
from torch import Tensor

from robomix.errors import ConfigError
from robomix.mixture.source import Source
from robomix.training.objectives import Learner


class LossWeights:
    """What each sample's part of the loss is multiplied by, as `Objective.total` takes it."""

    def __init__(self, sources: Sequence[Source], learner: Learner, device: torch.device) -> None:
        """Raises ConfigError where a source has a loss weight and the policy gives one loss for the whole batch."""
        weighted = [source for source in sources if source.config.loss_weight != 1.0]
        if weighted and not learner.tells_samples_apart:
            raise ConfigError(
                f"source {weighted[0].name!r}: loss_weight: found {weighted[0].config.loss_weight:g}, but policy "
                f"{learner.policy.config.type!r} gives one loss for the whole batch, in which sources cannot be told "
                "apart. Remove the key; `weight` says how often a source is drawn."
            )
        of_sources = [source.config.loss_weight for source in sources]
        self._of_sources = torch.tensor(of_sources, device=device) if weighted else None

    def __call__(self, source: Tensor) -> Tensor | None:
        """(B,) for samples of `source` (B,), their dataset_index; None where no source has a weight."""
        return None if self._of_sources is None else self._of_sources[source.to(self._of_sources.device)]
