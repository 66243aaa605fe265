"""A plan from beginning to end: work out what is drawn, weigh files, try the loader and the policy for some seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robomix.errors import ConfigError
from robomix.mixture.dataset import Batch
from robomix.tools.plan.disk import cache_bytes, dataset_bytes
from robomix.tools.plan.seen import SourceSeen, sources_seen
from robomix.tools.plan.trial import Trial, try_policy
from robomix.tools.training_file import TrainingFile
from robomix.tools.verify.drawing import draw
from robomix.tools.verify.result import Timing
from robomix.tools.verify.subject import Subject

_ENOUGH = 1_000_000
"""Batches of which a measurement never draws all."""


@dataclass(frozen=True)
class Plan:
    """What a training will see, need and take."""

    steps: int
    batch_size: int
    """Samples of a global batch."""
    ranks: int
    sweep: dict[float, list[SourceSeen]]
    """Alpha to what is drawn of each source; the file's own first, unless others were asked for."""
    dataset_bytes: int
    cache_bytes: int
    loading: Timing
    """Measured by drawing from the loader of the training."""
    save_freq: int
    """Steps between two checkpoints; 0: only the last."""
    trial: Trial | None
    """Measured by some steps of the policy; None where the file names none, or it cannot be built."""
    no_trial: str = ""
    """Why there was no trial."""

    @property
    def loading_s(self) -> float:
        """Seconds that reading all batches takes."""
        return self.steps * self.batch_size / self.loading.samples_per_s

    @property
    def training_s(self) -> float | None:
        """Seconds that all steps take, should their batches be there in time; None without a trial."""
        return None if self.trial is None else self.steps * self.trial.step_s

    @property
    def expected_s(self) -> float:
        """Seconds of the training: batches are read while the step before is taken, so the slower of both counts."""
        return max(self.loading_s, self.training_s or 0.0)

    @property
    def checkpoints(self) -> int:
        """How many checkpoints are written."""
        return 1 if self.save_freq == 0 else -(-self.steps // self.save_freq)

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "steps": self.steps,
            "batch_size": self.batch_size,
            "ranks": self.ranks,
            "sweep": [{"alpha": a, "sources": [s.record() for s in seen]} for a, seen in self.sweep.items()],
            "dataset_bytes": self.dataset_bytes,
            "cache_bytes": self.cache_bytes,
            "loading": self.loading.record(),
            "trial": None if self.trial is None else self.trial.record(),
            "no_trial": self.no_trial,
            "checkpoints": self.checkpoints,
            "loading_s": self.loading_s,
            "training_s": self.training_s,
            "expected_s": self.expected_s,
        }


def plan(
    file: TrainingFile, subject: Subject, *, steps: int, alphas: Sequence[float] = (), seconds: float = 10
) -> Plan:
    """The plan of `steps` steps of `file`'s training, whose loader is `subject`; each trial lasts about `seconds`.

    `alphas` are drawn up side by side; by default, the file's. Writes no files, but columns that the cache lacks.
    Raises RobomixError for what cannot be opened, read or used.
    """
    for name, value in (("steps", steps), ("seconds", seconds)):
        if value <= 0:
            raise ConfigError(f"--{name}: found {value}, expected more than 0.")
    sources, kept = subject.mixture.sources, list[Batch]()
    sweep = {
        alpha: sources_seen(sources, file.dataset, steps=steps, batch_size=subject.batch_size, alpha=alpha)
        for alpha in (alphas or [file.dataset.alpha])
    }

    def keep(batch: Batch, step: int, rank: int) -> None:
        if rank == 0 and step < 2:
            kept.append(batch)

    _, timing = draw(subject, _ENOUGH, keep, seconds)
    trial, reason = None, "the file names no policy"
    if file.training is not None:
        try:
            trial, reason = try_policy(file.training, subject.mixture, kept, seconds), ""
        except ConfigError as error:
            reason = str(error)
    datasets = [source.dataset for source in sources]
    return Plan(
        steps=steps,
        batch_size=subject.batch_size,
        ranks=subject.ranks,
        sweep=sweep,
        dataset_bytes=dataset_bytes(datasets),
        cache_bytes=cache_bytes(datasets),
        loading=timing,
        save_freq=file.save_freq,
        trial=trial,
        no_trial=reason,
    )
