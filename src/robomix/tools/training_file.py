"""What a mixture file says of a training, whether or not it names a policy: for tools that look at one and run none."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from robomix.config import MixtureConfig
from robomix.documents import read_document
from robomix.errors import ConfigError
from robomix.problems import report, wrong
from robomix.training.command_line import read_training_file
from robomix.training.config import TrainConfig
from robomix.validation import fields_of, fit

_NUMBERS = {
    "batch_size": 1,
    "gradient_accumulation_steps": 1,
    "steps": 1,
    "seed": 0,
    "num_workers": 0,
    "prefetch_factor": 1,
    "save_freq": 0,
}
"""What is read of a file without a policy, beside its mixture, and what it is at least."""


@dataclass(frozen=True)
class TrainingFile:
    """A mixture file, with the settings of its training or their defaults."""

    path: Path
    dataset: MixtureConfig
    batch_size: int
    """Of one part of a step of one rank."""
    gradient_accumulation_steps: int
    steps: int
    seed: int
    num_workers: int
    prefetch_factor: int
    save_freq: int
    training: TrainConfig | None
    """All of it; None where the file names no policy."""

    @property
    def samples_per_step(self) -> int:
        """Of one rank."""
        return self.batch_size * self.gradient_accumulation_steps

    @property
    def policy(self) -> Any:
        """The LeRobot policy config; None where the file names none."""
        return None if self.training is None else self.training.policy

    @classmethod
    def read(cls, path: Path, policy_flags: Sequence[str] = ()) -> "TrainingFile":
        """The file at `path`, its policy as flags such as `--policy.type=act` have it, if any are given.

        Raises ConfigError with everything that is wrong with it.
        """
        data = read_document(path)
        if not isinstance(data.get("dataset"), Mapping):
            raise ConfigError(f"{path} has no block `dataset:`, which says what the mixture is.")
        if data.get("policy") is not None or policy_flags:
            training = read_training_file(path, policy_flags)
            return cls(
                path, training.dataset, training=training, **{name: getattr(training, name) for name in _NUMBERS}
            )
        dataset = MixtureConfig.from_dict(data["dataset"], origin=str(path))
        return cls(path, dataset, training=None, **_numbers(data, str(path)))


def _numbers(data: Mapping[str, Any], origin: str) -> dict[str, int]:
    """The settings of a file without a policy, each as given or as a training has it by default."""
    hints = fields_of(TrainConfig)
    problems = [problem for name in _NUMBERS if name in data for problem in fit(hints[name], data[name], (name,))]
    problems = problems or [
        wrong((name,), data[name], f"{least} or more")
        for name, least in _NUMBERS.items()
        if name in data and data[name] < least
    ]
    if problems:
        raise report(problems, origin=origin)
    defaults = {field.name: field.default for field in fields(TrainConfig) if field.default is not MISSING}
    return {name: int(data.get(name, defaults[name])) for name in _NUMBERS}
