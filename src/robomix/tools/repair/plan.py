"""What a repair will do, told before anything is written: of each finding what becomes of it, and what it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from rich.table import Table

from robomix.tools.build.engines.base import Engine
from robomix.tools.check.finding import Finding, Repair, Verdict
from robomix.tools.check.reports import Report
from robomix.tools.repair.consent import Consent, Flags
from robomix.tools.repair.recover import acts_on


class Outcome(StrEnum):
    """What becomes of a finding."""

    MENDED = "mended"
    """It will be gone, and nothing is lost by it."""
    GRANTED = "mended by its flag"
    """It will be gone, as a flag that was given allows."""
    ASKED = "needs a flag"
    """It stays, or keeps everything from being written, unless its flag is given."""
    LEFT = "left"
    """It is beyond repair, or was not looked at."""


@dataclass(frozen=True)
class Treatment:
    """A finding, and what becomes of it."""

    finding: Finding
    outcome: Outcome
    why: str
    """For what is left: the reason; else the flag."""

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return self.finding.record() | {"outcome": self.outcome.value, "why": self.why}


class Work(Protocol):
    """What there is to be written."""

    def write(self, engine: Engine) -> None:
        """Have it written by `engine`. Raises RobomixError where that is not possible."""

    def refusals(self) -> tuple[str, ...]:
        """Why it cannot be written."""

    def table(self) -> Table:
        """For people."""

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""


@dataclass(frozen=True)
class RepairPlan:
    """A repair that is about to be done."""

    source: Path
    target: Path
    report: Report
    """What `check` says of the source."""
    treatments: tuple[Treatment, ...]
    consent: Consent
    work: Work | None
    """None where nothing can be written."""

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why nothing is written, all reasons at once."""
        return (*self.consent.refusals, *(self.work.refusals() if self.work is not None else ()))

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "source": str(self.source),
            "out": str(self.target),
            "findings": [treatment.record() for treatment in self.treatments],
            "dropped_or_altered": [
                {"flag": need.flag, "what": need.what, "episodes": list(need.episodes)} for need in self.consent.granted
            ],
            "notes": list(self.consent.notes),
            "refusals": list(self.refusals),
            "new": None if self.work is None else self.work.record(),
        }


def treat(findings: Sequence[Finding], flags: Flags) -> tuple[Treatment, ...]:
    """What becomes of each finding, in the order of the report."""
    return tuple(Treatment(finding, *_outcome(finding, flags)) for finding in findings)


def _outcome(finding: Finding, flags: Flags) -> tuple[Outcome, str]:
    if finding.level == Verdict.UNVERIFIED:
        return Outcome.LEFT, "could not be looked at"
    if finding.repair is Repair.NONE:
        beyond = "a person must decide" if finding.defect.repair is Repair.NONE else "what is right cannot be told"
        return Outcome.LEFT, beyond
    if finding.repair is Repair.CERTAIN:
        return Outcome.MENDED, ""
    if not acts_on(finding):
        return Outcome.LEFT, "no more than a remark"
    flag = str(finding.flag)
    return (Outcome.GRANTED if flags.has(flag) else Outcome.ASKED), f"--{flag}"
