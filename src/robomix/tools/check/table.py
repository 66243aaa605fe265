"""Reports and the catalogue of defects, for people."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from robomix.tools.check.finding import Defect, Depth, Finding, Repair, Verdict
from robomix.tools.check.raw.values import number, some
from robomix.tools.check.reports import Report, Reports, counts

_STYLES = {Verdict.FAIL: "bold red", Verdict.WARN: "yellow", Verdict.INFO: "cyan", Verdict.UNVERIFIED: "magenta"}
_DEPTHS = {Depth.META: "--meta", Depth.FILES: "default", Depth.DECODE: "--decode"}
_SHOWN_EPISODES = 8


def as_tables(reports: Reports) -> Iterator[Table | Text]:
    """A table for each dataset that has findings, a line for each other, and last the verdict."""
    for report in reports.each:
        if report.findings:
            yield _findings(report.dataset, report.findings)
            yield from _remedy(report)
        else:
            yield Text(f"{plain(report.dataset)}: nothing found")
    if reports.across:
        yield _findings("Across the datasets", reports.across)
    yield _verdict(reports)


def _findings(title: str, findings: Sequence[Finding]) -> Table:
    table = Table(title=Text(plain(title)), title_justify="left")
    for column in ("verdict", "id", "defect", "where", "found, and expected", "repair"):
        table.add_column(column, overflow="fold")
    order = list(Verdict).index
    for finding in sorted(findings, key=lambda one: order(one.level)):
        if finding.level != Verdict.UNVERIFIED:
            said = f"{finding.found}\nexpected: {finding.expected}"
            cells = (finding.defect.id, finding.defect.title, _where(finding), said)
            table.add_row(_styled(finding.level), *(Text(plain(cell)) for cell in cells), _repair(finding))
    for reason, ids in unverified(findings).items():
        cells = (some(ids, 60), "not looked at", "", reason)
        table.add_row(_styled(Verdict.UNVERIFIED), *(Text(plain(cell)) for cell in cells), "")
    return table


def unverified(findings: Sequence[Finding]) -> Mapping[str, list[str]]:
    """Ids by the reason for which they could not be looked at."""
    reasons: dict[str, dict[str, None]] = {}
    for finding in findings:
        if finding.level == Verdict.UNVERIFIED:
            reasons.setdefault(finding.found, {})[finding.defect.id] = None
    return {reason: list(ids) for reason, ids in reasons.items()}


def _styled(verdict: Verdict) -> Text:
    return Text(verdict.value, _STYLES[verdict])


def _where(finding: Finding) -> str:
    lines = [finding.key] if finding.key else []
    if finding.episodes:
        lines.append(f"episode {some(finding.episodes, _SHOWN_EPISODES)}")
    return "\n".join(lines or ([finding.file] if finding.file else []))


def _repair(finding: Finding) -> str:
    if finding.repair is Repair.FLAG:
        return f"--{finding.flag}"
    return "yes" if finding.repair is Repair.CERTAIN else "no"


def _remedy(report: Report) -> Iterator[Text]:
    mendable = [finding for finding in report.findings if finding.repair is not Repair.NONE]
    flags = dict.fromkeys(f" --{finding.flag}" for finding in mendable if finding.repair is Repair.FLAG)
    if mendable:
        certain = sum(finding.repair is Repair.CERTAIN for finding in mendable)
        command = f"robomix repair {plain(report.dataset)} --out NEW"
        of_flags = f"; {len(mendable) - certain} more with{''.join(flags)}" if flags else ""
        yield Text(f"{number(certain, 'finding')} can be mended by {command}{of_flags}")


def _verdict(reports: Reports) -> Text:
    found = ", ".join(f"{count} {verdict}" for verdict, count in counts(reports.findings).items() if count)
    verdict = reports.verdict
    said = f"{number(len(reports.each), 'dataset')}: {found or 'nothing found'}"
    return Text(said, _STYLES[verdict] if verdict else "green")


def plain(text: str) -> str:
    """Without characters that a terminal would obey: names and texts come from untrusted files."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


COLUMNS = ("id", "defect", "verdict", "found", "repair", "what it does to a training")


def _cells(defect: Defect) -> tuple[str, ...]:
    repair = (
        f"`--{defect.flag}`" if defect.repair is Repair.FLAG else "yes" if defect.repair is Repair.CERTAIN else "no"
    )
    return defect.id, defect.title, defect.verdict.value, _DEPTHS[defect.depth], repair, defect.consequence


def catalogue(known: Mapping[str, Defect]) -> Table:
    """Every defect, in the order of the ids."""
    table = Table(*COLUMNS)
    for id in sorted(known):
        table.add_row(*(Text(cell.replace("`", "")) for cell in _cells(known[id])))
    return table


def catalogue_markdown(known: Mapping[str, Defect]) -> str:
    """The same as a Markdown table: what docs/defects.md shows."""
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *(_cells(known[id]) for id in sorted(known))]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
