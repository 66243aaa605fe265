"""`robomix push`: a dataset or policy to the Hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from robomix.cli.writing import Switch


@dataclass(frozen=True)
class Arguments:
    """Uploads a LeRobot dataset, or the policy folder of a checkpoint or of `robomix export`, to the Hugging Face Hub.

    The plan is printed first. A dataset is checked, and refused if the check says FAIL; it gets a card and the tag of
    its version, by which LeRobot finds it. Log in with `hf auth login` before. Exit code 0: uploaded, or with --dry_run
    could be; 2: refused, or a mistake in what was asked.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    """The dataset (with meta/info.json), or the policy (with config.json and model.safetensors)."""
    repo_id: str
    """Where to, as NAMESPACE/NAME. A repository that is not there is made."""
    private: Switch = False
    """Make a new repository a private one."""
    branch: str | None = None
    """Upload to this branch, made if it is not there, and set no tag. Default: main."""
    force: Switch = False
    """Upload a dataset although the check says FAIL."""
    dry_run: Switch = False
    """Check, print the plan, and upload nothing."""


def run(argv: Sequence[str]) -> int:
    """Uploads what `argv` names; the exit code. Raises RobomixError for what is wrong with it."""
    arguments = tyro.cli(Arguments, prog="robomix push", args=list(argv), use_underscores=True)
    from robomix.remote.hub_upload import upload  # both take a second to import
    from robomix.tools.push import as_table, plan_push

    console = Console()
    plan = plan_push(
        arguments.folder,
        arguments.repo_id,
        private=arguments.private,
        branch=arguments.branch,
        force=arguments.force,
    )
    console.print(as_table(plan))
    for text in (*plan.notes, *plan.refusals):
        console.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if plan.refusals:
        last = f"refused, nothing is uploaded: {len(plan.refusals)} reason{'s' if len(plan.refusals) > 1 else ''}"
    elif arguments.dry_run:
        last = "nothing was uploaded, as --dry_run asks"
    else:
        last = f"uploaded to {plan.upload.url}, commit {upload(plan.upload)}"
    console.print(last, markup=False, highlight=False, soft_wrap=True)
    return 2 if plan.refusals else 0
