"""What a loader profile has measured, and what follows from it by arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from robomix.tools.plan.trial import Trial

_NEAR = 0.95
"""What reaches this share of the best counts as good: more workers would cost memory for little."""


@dataclass(frozen=True)
class Pace:
    """How fast batches came from a loader with some number of workers."""

    workers: int
    """0: batches are read in the process that takes them."""
    threads: int
    """That decode camera frames, in each worker."""
    samples: int
    """How many were read, in whole batches, after the first ones."""
    seconds: float
    """From the last batch before them to their last."""
    phases_s: Mapping[str, float]
    """Seconds of all workers together by phase of reading a batch (`mixture.laps.PHASES`)."""

    @property
    def samples_per_s(self) -> float:
        return self.samples / self.seconds

    @property
    def reading_s(self) -> float:
        """Seconds of all workers together in which batches were read."""
        return sum(self.phases_s.values())

    @property
    def handing_over(self) -> float:
        """Share of the workers' time in which they did not read, but handed batches over or waited for orders."""
        return 0.0 if self.workers == 0 else max(0.0, 1 - self.reading_s / (self.workers * self.seconds))

    def shares(self) -> dict[str, float]:
        """Phase to its share of the time in which batches were read; in the sum 1."""
        return {phase: seconds / self.reading_s for phase, seconds in self.phases_s.items()}

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        told = {"samples_per_s": self.samples_per_s, "handing_over": self.handing_over, "shares": self.shares()}
        return vars(self) | {"phases_s": dict(self.phases_s)} | told


@dataclass(frozen=True)
class Bench:
    """A loader profile of one rank."""

    origin: str
    """The mixture file."""
    batch_size: int
    """Samples of a batch."""
    cores: int
    """Of this machine, or those that this process may use."""
    alone: Pace
    """In one process with one thread: here the phases are processor time."""
    paces: tuple[Pace, ...]
    """With 0, 1 and more workers, as a training has them."""
    cameras: int
    """Cameras that samples have."""
    frames_per_sample: float
    """Camera frames of a sample, on average."""
    decoded_per_frame: float | None
    """Frames of video that were decoded for each that was wanted; None where there are no videos."""
    resizes: bool
    """Whether pictures are resized by a transform of some source."""
    windowed: bool
    """Whether `shuffle_window` is set."""
    far: bool
    """Whether some source lies in object storage."""
    trial: Trial | None
    """Steps of the policy; None where none is named, or it cannot be built."""
    no_trial: str = ""
    """Why there was no trial."""

    @property
    def decode_limit(self) -> float | None:
        """Samples per second if all cores did nothing but decode; None where there are no camera frames."""
        decoding = self.alone.phases_s.get("decode", 0.0)
        return self.cores * self.alone.samples / decoding if decoding and self.frames_per_sample else None

    @property
    def needed(self) -> float | None:
        """Samples per second that the policy takes; None where it is not known."""
        return None if self.trial is None else self.batch_size / self.trial.step_s

    @property
    def best(self) -> Pace:
        """The fastest loader, which is what reading can give on this machine."""
        return max(self.paces, key=lambda pace: pace.samples_per_s)

    @property
    def limit(self) -> Literal["reading", "policy"] | None:
        """What a training with `recommended` waits for; None where the policy is not known."""
        if self.needed is None:
            return None
        return "policy" if self.trained(self.recommended) >= _NEAR * self.needed else "reading"

    @property
    def recommended(self) -> Pace:
        """The fewest workers with which a training is about as fast as with any number of them.

        Without a known policy one at least, so that batches are read while a step is taken.
        """
        known = [pace for pace in self.paces if pace.workers or self.needed is not None]
        best = max(map(self.trained, known))
        return next(pace for pace in known if self.trained(pace) >= _NEAR * best)

    def trained(self, pace: Pace) -> float:
        """Samples per second of a training that reads at `pace`: workers read on meanwhile, the process itself cannot.

        Without a policy, those of reading alone.
        """
        if self.needed is None:
            return pace.samples_per_s
        if pace.workers == 0:
            return 1 / (1 / pace.samples_per_s + 1 / self.needed)
        return min(pace.samples_per_s, self.needed)

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        own = {key: value for key, value in vars(self).items() if key not in ("alone", "paces", "trial")}
        return own | {
            "alone": self.alone.record(),
            "paces": [pace.record() | {"trained_samples_per_s": self.trained(pace)} for pace in self.paces],
            "trial": None if self.trial is None else self.trial.record(),
            "decode_limit": self.decode_limit,
            "needed": self.needed,
            "limit": self.limit,
            "recommended_num_workers": self.recommended.workers,
        }
