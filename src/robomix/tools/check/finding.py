"""What a check says: defects by their ids, and findings, each one place where a dataset has one."""

from dataclasses import asdict, dataclass, replace
from enum import IntEnum, StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a finding means for whoever wants to train on the dataset."""

    FAIL = "FAIL"
    """The files contradict each other or cannot be read: a training stops, or learns from wrong data."""
    WARN = "WARN"
    """Some reader will stumble over it, or something is probably not as it was meant."""
    INFO = "INFO"
    """A property of the data that is worth knowing, and may well be meant."""
    UNVERIFIED = "UNVERIFIED"
    """Could not be looked at, because something else is broken or is not here."""


class Depth(IntEnum):
    """How much of a dataset is read."""

    META = 1
    """The metadata, file names, sizes, footers."""
    FILES = 2
    """Also all numbers, and the packets of all videos; no picture is decoded."""
    DECODE = 3
    """Also every picture."""


class Repair(StrEnum):
    """What `robomix repair` can do about a defect."""

    CERTAIN = "certain"
    """Mends it by itself: nothing is lost, and there is only one way."""
    FLAG = "flag"
    """Mends it when asked by a flag of its own, because data is dropped, altered or guessed."""
    NONE = "none"
    """A person must decide."""


@dataclass(frozen=True)
class Defect:
    """One way in which a dataset can be wrong."""

    id: str
    """Letter of its family and number, such as E04."""
    title: str
    """A few words, for tables."""
    verdict: Verdict
    """Of its findings, where the check does not say otherwise."""
    depth: Depth
    """At which it is found."""
    consequence: str
    """What it does to a training, in a sentence."""
    repair: Repair = Repair.NONE
    flag: str | None = None
    """The flag of `robomix repair` that asks for the repair, such as drop_episodes."""


@dataclass(frozen=True)
class Finding:
    """One place where a dataset has a defect."""

    defect: Defect
    found: str
    """What is there, in a sentence that names files and values."""
    expected: str
    """What should be there."""
    key: str | None = None
    """The feature it is about."""
    episodes: tuple[int, ...] = ()
    """`episode_index` of the episodes it is about; empty: the whole dataset."""
    file: str | None = None
    """Relative to the dataset."""
    verdict: Verdict | None = None
    """Default: the defect's."""
    dataset: str = ""
    """Path of the dataset, set by `check`."""
    mendable: bool = True
    """False where this very finding is beyond the repair of its defect."""
    remedy: str | None = None
    """The flag that mends this very finding, where it is another than its defect's; empty where none is needed."""

    @property
    def level(self) -> Verdict:
        return self.verdict or self.defect.verdict

    @property
    def repair(self) -> Repair:
        if not self.mendable or self.level == Verdict.UNVERIFIED:
            return Repair.NONE
        if self.remedy is None:
            return self.defect.repair
        return Repair.FLAG if self.remedy else Repair.CERTAIN

    @property
    def flag(self) -> str | None:
        """The flag of `robomix repair` that it needs to be mended."""
        return (self.remedy or self.defect.flag) if self.repair is Repair.FLAG else None

    def of(self, dataset: str) -> "Finding":
        return replace(self, dataset=dataset)

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        plain = asdict(self) | {"id": self.defect.id, "title": self.defect.title, "verdict": self.level.value}
        del plain["defect"], plain["mendable"], plain["remedy"]
        return plain | {
            "episodes": list(self.episodes),
            "consequence": self.defect.consequence,
            "repair": self.repair.value,
            "repair_flag": self.flag,
        }


class UnverifiableError(Exception):
    """What a check needs is not there or cannot be read: its defects are neither found nor ruled out."""
