"""Repairs of LeRobot datasets: the content that can be told from a damaged one, written by the engine of all tools."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from robomix.formats.lerobot.write_checks import check_target
from robomix.tools.build.content import Content, Drawn
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.layout import lay_out
from robomix.tools.build.plan import Plan, make_plan
from robomix.tools.build.plan_table import as_table
from robomix.tools.build.write import write_dataset
from robomix.tools.check.raw.lerobot import RawLeRobot
from robomix.tools.check.reports import Report
from robomix.tools.repair.consent import Consent
from robomix.tools.repair.encoding import described, encoded_again, encoder_for
from robomix.tools.repair.recover import recover


@dataclass(frozen=True)
class LeRobotWork:
    """A LeRobot dataset to be written."""

    plan: Plan
    unmeasured: tuple[str, ...]
    """Cameras whose statistics are measured anew."""
    encoder: str

    def write(self, engine: Engine) -> None:
        ask = partial(check_target, overwrite=False)
        write_dataset(
            self.plan.content, self.plan.files, self.plan.target, check_target=ask, codec=self.encoder, engine=engine
        )

    def refusals(self) -> tuple[str, ...]:
        return self.plan.refusals

    def table(self) -> Table:
        table = as_table(replace(self.plan, refusals=()))
        if self.unmeasured:
            table.add_row("statistics measured anew", ", ".join(self.unmeasured))
        return table

    def record(self) -> dict[str, Any]:
        return self.plan.record() | {"measured": list(self.unmeasured)}


def plan_lerobot(root: Path, target: Path, report: Report, consent: Consent) -> LeRobotWork | None:
    """What is to be written for the dataset at `root`; None where nothing can be told, as `consent` then says."""
    raw = RawLeRobot(root)
    found = recover(raw, report.findings, consent)
    if found is None:
        return None
    if not found.content.episodes:
        consent.impossible.append("no episode would be left.")
        return None
    encoder = encoder_for(raw)
    content = encoded_again(found.content, raw, report.findings, consent, encoder)
    plan = make_plan(content, target, version=found.version, codec=encoder)
    for reason, frames in plan.encoded:
        if not _was_asked(content, reason):
            consent.ask("reencode", f"{frames:,} frames cannot be copied: {reason}")
    files = lay_out(plan.content, found.version, codec=encoder)
    plan = replace(plan, content=described(plan.content, encoder), files=files)
    return LeRobotWork(plan, found.unmeasured, encoder)


def _was_asked(content: Content, reason: str) -> bool:
    """Whether frames are encoded for this reason because the flag was given."""
    parts = (part for episode in content.episodes for part in episode.videos.values())
    return any(isinstance(part, Drawn) and part.reason == reason for part in parts)
