"""Plans of repairs, for people."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from robomix.tools.check.finding import Verdict
from robomix.tools.check.raw.values import number, some
from robomix.tools.check.table import plain, unverified
from robomix.tools.repair.plan import Outcome, RepairPlan

_STYLES = {Outcome.MENDED: "green", Outcome.GRANTED: "green", Outcome.ASKED: "yellow", Outcome.LEFT: "magenta"}


def as_tables(plan: RepairPlan) -> Iterator[Table | Text]:
    """What becomes of each finding, what is lost, what would be written, and why it is not."""
    if plan.treatments:
        yield _findings(plan)
    else:
        yield Text(f"{plain(str(plan.source))}: check finds nothing to mend")
    for need in plan.consent.granted:
        yield Text(plain(f"--{need.flag}: {need.what}"), "yellow")
    for note in plan.consent.notes:
        yield Text(plain(note))
    if plan.work is not None:
        yield plan.work.table()
    for reason in plan.refusals:
        yield Text(plain(f"refused: {reason}"), "bold red")


def _findings(plan: RepairPlan) -> Table:
    table = Table(title=Text(plain(str(plan.source))), title_justify="left")
    for column in ("outcome", "id", "verdict", "defect", "where", "found"):
        table.add_column(column, overflow="fold")
    order = list(Outcome).index
    for treatment in sorted(plan.treatments, key=lambda one: order(one.outcome)):
        finding = treatment.finding
        if finding.level == Verdict.UNVERIFIED:
            continue
        where = [finding.key] if finding.key else []
        where += [f"episode {some(finding.episodes, 8)}"] if finding.episodes else []
        cells = finding.defect.id, finding.level.value, finding.defect.title, "\n".join(where), finding.found
        outcome = f"{treatment.outcome.value}{': ' if treatment.why else ''}{treatment.why}"
        table.add_row(Text(outcome, _STYLES[treatment.outcome]), *(Text(plain(cell)) for cell in cells))
    for reason, ids in unverified([treatment.finding for treatment in plan.treatments]).items():
        cells = some(ids, 60), Verdict.UNVERIFIED.value, "could not be looked at", "", reason
        table.add_row(Text(Outcome.LEFT.value, _STYLES[Outcome.LEFT]), *(Text(plain(cell)) for cell in cells))
    return table


def last_line(plan: RepairPlan, *, applied: bool) -> Text:
    """What to do next."""
    if applied:
        return Text(f"written to {plain(str(plan.target))}")
    if plan.refusals:
        return Text(f"nothing can be written: {number(len(plan.refusals), 'reason')}", "bold red")
    return Text("nothing was written; --apply does it", "green")
