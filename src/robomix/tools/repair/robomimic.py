"""Repairs of robomimic's HDF5 files: a copy, with its attributes and masks put right and demonstrations left out.

Arrays are never touched: what is right with them is not for a tool to guess.
"""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rich.table import Table

from robomix.errors import ConfigError, FormatError
from robomix.formats.hdf5 import Faults
from robomix.formats.hdf5_output import changed_file
from robomix.formats.publish import staged_file
from robomix.formats.robomimic.dataset import hdf5_file
from robomix.formats.robomimic.write_checks import check_target
from robomix.tools.build.blame import blaming_the_system
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.fingerprint import expect_same, stamps_below
from robomix.tools.check.families.duplicates import copies_in
from robomix.tools.check.finding import UnverifiableError
from robomix.tools.check.raw.hdf5 import Demonstration, Demonstrations, read_demonstrations
from robomix.tools.check.raw.other import RawOther
from robomix.tools.check.raw.values import number, some
from robomix.tools.check.reports import Report
from robomix.tools.repair.consent import Consent
from robomix.tools.repair.recover import acts_on


@dataclass(frozen=True)
class RobomimicWork:
    """A robomimic file to be written."""

    source: Path
    target: Path
    kept: tuple[Demonstration, ...]
    dropped: tuple[Demonstration, ...]
    found: Demonstrations

    def write(self, engine: Engine) -> None:
        """It is one file, which this process writes, whatever the engine."""
        before = stamps_below([self.source])
        staged = staged_file(self.target, partial(check_target, overwrite=False))
        with blaming_the_system(self.target, "Nothing is left of it."), staged as staging:
            shutil.copyfile(self.source, staging)
            with Faults(self.target, "/"), changed_file(staging, self.target) as file:
                self._mend(file)
            expect_same(before, stamps_below([self.source]))

    def _mend(self, file: h5py.File) -> None:
        data = file["data"]
        for demonstration in self.dropped:
            del file[demonstration.name]
        for demonstration in self.kept:
            if demonstration.num_samples is not None:
                file[demonstration.name].attrs["num_samples"] = self._rows(demonstration)
        if self.found.total is not None:
            data.attrs["total"] = sum(map(self._rows, self.kept))
        kept = {demonstration.id for demonstration in self.kept}
        for name, members in (self.found.masks or {}).items():
            there = [f"demo_{member}" for member in members if member in kept]
            if len(there) < len(members):
                del file[f"mask/{name}"]
                file[f"mask/{name}"] = np.array(there, dtype="S")

    def _rows(self, demonstration: Demonstration) -> int:
        return demonstration.lengths[self.found.actions]

    def refusals(self) -> tuple[str, ...]:
        try:
            check_target(self.target, overwrite=False)
        except ConfigError as error:
            return (str(error),)
        return ()

    def table(self) -> Table:
        table = Table(title=f"plan for {self.target}", show_header=False)
        table.add_row("format", "robomimic HDF5, a copy of the file with attributes and masks put right")
        table.add_row("episodes, frames", f"{len(self.kept):,}, {sum(map(self._rows, self.kept)):,}")
        if self.dropped:
            table.add_row("left out", some((one.name for one in self.dropped), 8))
        return table

    def record(self) -> dict[str, Any]:
        return {
            "out": str(self.target),
            "version": "robomimic",
            "episodes": len(self.kept),
            "frames": sum(map(self._rows, self.kept)),
            "dropped": [one.name for one in self.dropped],
        }


def plan_robomimic(path: Path, target: Path, report: Report, consent: Consent) -> RobomimicWork | None:
    """What is to be written for the file at `path`; None where nothing can be, as `consent` then says."""
    source = hdf5_file(path)
    if source is None:
        consent.impossible.append(f"{path} is no single HDF5 file of robomimic's.")
        return None
    try:
        found = read_demonstrations(path)
    except (UnverifiableError, FormatError) as reason:
        consent.impossible.append(f"{str(reason).rstrip('.')}.")
        return None
    dropped: set[int] = set()
    for finding in report.findings:
        if finding.defect.id == "H01":
            consent.impossible.append(f"{finding.found.rstrip('.')}.")
        if finding.flag == "drop_episodes" and acts_on(finding):
            consent.ask(finding.flag, f"{finding.defect.id}, {finding.found.rstrip('.')}", finding.episodes)
            dropped |= set(finding.episodes)
    if consent.flags.drop_duplicates and any(finding.defect.id == "T07" for finding in report.findings):
        for first, *copies in copies_in(RawOther(path)):
            consent.ask("drop_duplicates", f"T07, all numbers are those of episode {first}", tuple(copies))
            dropped |= set(copies)
    kept = tuple(one for one in found.every if one.id not in dropped)
    if not kept:
        consent.impossible.append(f"of {number(len(found.every), 'episode')} none would be left.")
        return None
    return RobomimicWork(
        source, Path(target).absolute(), kept, tuple(one for one in found.every if one.id in dropped), found
    )
