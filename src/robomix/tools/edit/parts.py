"""Several datasets in one folder, which appear together or not at all."""

import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from robomix.errors import ConfigError
from robomix.files import LONGEST_NAME
from robomix.tools.build.content import Content
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.engines.processes import Processes
from robomix.tools.build.places import no_linked_source, no_source, sources_of
from robomix.tools.build.plan import Plan, expect_sound
from robomix.tools.build.write import Job, write_together


def write_parts(
    plans: Mapping[str, Plan],
    folder: Path,
    codecs: Mapping[str, str],
    *,
    overwrite: bool = False,
    workers: int = 1,
    engine: Engine | None = None,
) -> None:
    """Carries out each plan below `folder` under its name; the folder appears when all are complete and sound.

    `codecs` names the encoder of each; `workers` and `engine` as for `carry_out`. Raises ConfigError with all
    refusals at once, and for a folder that may not be written.
    """
    problems = folder_problems(folder, [plan.content for plan in plans.values()], overwrite=overwrite)
    if refusals := dict.fromkeys([*problems, *(reason for plan in plans.values() for reason in plan.refusals)]):
        raise ConfigError(f"{folder} is not written:" + "".join(f"\n  {reason}" for reason in refusals))
    jobs = {name: Job(plan.content, plan.files, codecs[name]) for name, plan in plans.items()}
    ask = partial(check_folder, overwrite=overwrite)
    write_together(jobs, folder, ask, expect_sound, engine or Processes(workers))


def folder_problems(folder: Path, contents: Iterable[Content], *, overwrite: bool) -> list[str]:
    """Why `folder` may not become the one in which the parts lie."""
    sources = [source for content in contents for source in sources_of(content)]
    found = [*no_source(folder, sources), *no_linked_source(folder, sources)]
    try:
        check_folder(folder, overwrite=overwrite)
    except ConfigError as error:
        found.append(str(error))
    return found


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Raises ConfigError if `folder` is there, and is not to be overwritten or holds more than LeRobot datasets."""
    if not folder.exists():
        return
    if not overwrite:
        raise ConfigError(f"{folder} exists already. Choose another folder, or ask to overwrite it.")
    if not folder.is_dir() or folder.is_symlink():
        raise ConfigError(f"{folder} is no folder, so it is not overwritten. Choose another.")
    for entry in folder.iterdir():
        if not (entry / "meta/info.json").is_file():
            raise ConfigError(
                f"{folder} holds {entry.name}, which is no LeRobot dataset, so it is not overwritten. Remove it "
                "yourself, or choose another folder."
            )


def check_name(name: str) -> None:
    """Raises ConfigError for what cannot be the name of a part's folder."""
    if not name or name.startswith(".") or any(character in name for character in "/\\\0"):
        raise ConfigError(f"a part cannot be named {name!r}: its name is a folder's. Use letters, digits, '-' and '_'.")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise ConfigError(f"a part cannot be named {name[:40]!r}...: a folder's name has at most {LONGEST_NAME} bytes.")
