"""What has been found, in one dataset and in several."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robomix.tools.check.finding import Depth, Finding, Verdict


@dataclass(frozen=True)
class Report:
    """What has been found in one dataset."""

    dataset: str
    depth: Depth
    findings: tuple[Finding, ...] = ()
    checked: tuple[str, ...] = ()
    """Ids of the defects that were looked for."""

    @property
    def verdict(self) -> Verdict | None:
        """The worst of the findings; None where there is none."""
        return worst(self.findings)

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "dataset": self.dataset,
            "depth": self.depth.name.lower(),
            "verdict": self.verdict,
            "counts": counts(self.findings),
            "checked": list(self.checked),
            "findings": [finding.record() for finding in self.findings],
        }


@dataclass(frozen=True)
class Reports:
    """What has been found in several datasets."""

    each: tuple[Report, ...]
    """In the order asked."""
    across: tuple[Finding, ...] = ()
    """What shows only when they are looked at together."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        return (*(finding for report in self.each for finding in report.findings), *self.across)

    @property
    def verdict(self) -> Verdict | None:
        """The worst of the findings; None where there is none."""
        return worst(self.findings)

    def of(self, ids: Collection[str]) -> "Reports":
        """Of these defects alone."""
        each = tuple(
            replace(
                report,
                findings=tuple(finding for finding in report.findings if finding.defect.id in ids),
                checked=tuple(id for id in report.checked if id in ids),
            )
            for report in self.each
        )
        return Reports(each, tuple(finding for finding in self.across if finding.defect.id in ids))

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "verdict": self.verdict,
            "counts": counts(self.findings),
            "datasets": [report.record() for report in self.each],
            "across": [finding.record() for finding in self.across],
        }


def worst(findings: Sequence[Finding]) -> Verdict | None:
    """The gravest verdict of the findings."""
    return min((finding.level for finding in findings), key=list(Verdict).index, default=None)


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """How many findings of each verdict there are."""
    return {verdict.value: sum(finding.level == verdict for finding in findings) for verdict in Verdict}
