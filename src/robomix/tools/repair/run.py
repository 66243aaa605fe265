"""`repair`: the plan for a dataset, and carrying it out."""

from pathlib import Path

from robomix.errors import ConfigError
from robomix.formats.aloha_hdf5 import is_aloha
from robomix.formats.robomimic.dataset import is_robomimic
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.engines.processes import Processes
from robomix.tools.check.finding import Depth
from robomix.tools.check.raw.other import is_other
from robomix.tools.check.reports import Report
from robomix.tools.check.run import check
from robomix.tools.repair.consent import Consent, Flags
from robomix.tools.repair.lerobot import plan_lerobot
from robomix.tools.repair.plan import RepairPlan, Work, treat
from robomix.tools.repair.robomimic import plan_robomimic


def plan_repair(path: Path, target: Path, flags: Flags | None = None, depth: Depth = Depth.FILES) -> RepairPlan:
    """Looks at the dataset at `path` as `check` does at `depth`, and decides what of it goes to the new `target`.

    Nothing is written. What cannot be done, and why, is in the plan's `refusals`. Raises ConfigError for a target
    inside of the dataset.
    """
    flags = flags or Flags()
    flags.check()
    path, target = Path(path).resolve(), Path(target).absolute()
    if target.resolve().is_relative_to(path):
        raise ConfigError(f"{target} lies within {path}, which is not written to. Choose a place outside of it.")
    report = check(path, depth)
    consent = Consent(flags)
    return RepairPlan(
        path, target, report, treat(report.findings, flags), consent, _work(path, target, report, consent)
    )


def carry_out(plan: RepairPlan, engine: Engine | None = None) -> Report:
    """Writes the mended dataset to the plan's target, and looks at it as was looked at the damaged one.

    `engine` writes the files; default: this process.

    Raises ConfigError with all refusals at once; then nothing is written. The target appears complete or not at all.
    """
    if plan.refusals or plan.work is None:
        listing = "".join(f"\n  {reason}" for reason in plan.refusals)
        raise ConfigError(f"{plan.target} is not written:{listing}")
    plan.work.write(engine or Processes(1))
    return check(plan.target, plan.report.depth)


def _work(path: Path, target: Path, report: Report, consent: Consent) -> Work | None:
    if not is_other(path):
        return plan_lerobot(path, target, report, consent)
    if is_robomimic(path) and not is_aloha(path):
        return plan_robomimic(path, target, report, consent)
    consent.impossible.append(f"{path} is neither a LeRobot dataset nor a file of robomimic's: no other is mended.")
    return None
