"""When a training saves a checkpoint, and of what."""

import logging
from dataclasses import dataclass
from typing import Any

from robomix.mixture.resolve import as_records, stages_records
from robomix.training.checkpoint import save_checkpoint
from robomix.training.config import TrainConfig
from robomix.training.drawn import Drawn
from robomix.training.learning import Learning, Measured
from robomix.training.messages import policies_of
from robomix.training.robots import prompt_notes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Saver:
    """Saves the checkpoints of a training."""

    config: TrainConfig
    drawn: Drawn
    measured: Measured
    learning: Learning

    @property
    def is_wanted(self) -> bool:
        """Whether there are to be checkpoints at all."""
        return self.config.save_checkpoint

    def is_due(self, step: int, *, last: bool) -> bool:
        """Whether to save after `step`: every `save_freq` steps, and after the `last`."""
        every = self.config.save_freq
        return self.is_wanted and (last or (every > 0 and step % every == 0))

    def __call__(self, step: int) -> None:
        """Saves the policy as last gathered. For the main process alone.

        Raises RobomixError where that cannot be written.
        """
        learning, shared = self.learning, self.learning.shared
        folder = save_checkpoint(
            config=self.config,
            step=step,
            policy=shared.whole.policy,
            processors=learning.processors,
            robots=learning.robots,
            optimizer=shared.optimizer,
            optimizer_state=shared.whole.optimizer_state,
            scheduler=shared.scheduler,
            mixture_record=self._record(),
            lock=self.measured.lock,
            schedule_state=self.drawn.schedule.state(step),
        )
        log.info("checkpoint: %s%s", folder, policies_of(self.drawn.folders))

    def _record(self) -> dict[str, Any]:
        """The resolved mixture, as a checkpoint holds it (`recorded_mixture`)."""
        drawn = self.drawn
        return {
            "config": self.config.dataset.to_dict(),
            "groups": drawn.groups,
            "folders": drawn.folders,
            "condition": drawn.told,
            "given_statistics": self.learning.given,
            "notes": prompt_notes(self.learning.mixture.sources),
            "table": as_records(drawn.table),
            "stages": stages_records(drawn.schedule),
        }
