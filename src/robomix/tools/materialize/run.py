"""Materializing a mixture: one source after the other, each complete before it has its name; the mixture file last.

A run that was stopped leaves the sources it has finished, and the next one goes on after them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from robomix.config import MixtureConfig
from robomix.errors import ConfigError
from robomix.formats.claims import clear_leftovers
from robomix.formats.detect import open_dataset
from robomix.formats.publish import resumable_folder, staged_file
from robomix.mixture.materialized import INDEX, KIND, RECORD, VERSION, Record
from robomix.tools.build import plan as build_plan
from robomix.tools.build.blame import blaming_the_system
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.engines.processes import Processes
from robomix.tools.build.fingerprint import expect_same, fingerprint, stamps_below
from robomix.tools.materialize.frame_files import expect_equal, write_frame_store
from robomix.tools.materialize.mixture_file import dataset_block, text_of
from robomix.tools.materialize.plan import MIXTURE_FILE, Part, Plan
from robomix.tools.materialize.small import CODEC
from robomix.tools.materialize.target import check_target
from robomix.tools.materialize.verify import Likeness, expect_same_samples, sampled


@dataclass(frozen=True)
class Result:
    """A mixture that was materialized."""

    file: Path
    """The mixture file that trains from it."""
    likeness: tuple[Likeness, ...]

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {"mixture": str(self.file), "cameras": [one.record() for one in self.likeness]}


def carry_out(plan: Plan, document: Mapping[str, Any], *, engine: Engine | None = None) -> Result:
    """Writes what `plan` says; `document` is the original mixture file, whose other blocks go into the new one.
    `engine` does the work; default: this process.

    Raises ConfigError with all refusals at once, and what reading and writing raise; then the sources finished so far
    lie in their folders, and no mixture file.
    """
    if plan.refusals:
        raise ConfigError(f"{plan.out} is not written:" + "".join(f"\n  {reason}" for reason in plan.refusals))
    made = MixtureConfig.from_dict(dataset_block(plan))
    with blaming_the_system(plan.out):
        for part in plan.parts:
            if part.is_there:
                clear_leftovers(part.folder)
            else:
                _withdraw(plan)
                _write(part, plan, engine or Processes(1))
        found = expect_same_samples(plan, made)
        _write_text(plan.out / MIXTURE_FILE, text_of(plan, document))
        index = {"format": KIND, "version": VERSION, "sources": {p.source.name: p.folder.name for p in plan.parts}}
        index |= {"likeness": [one.record() for one in found]}
        _write_text(plan.out / INDEX, json.dumps(index, indent=2, ensure_ascii=False) + "\n")
    return Result(plan.out / MIXTURE_FILE, tuple(found))


def _withdraw(plan: Plan) -> None:
    """What stands for the finished whole goes before a part of it is replaced."""
    for name in (INDEX, MIXTURE_FILE):
        (plan.out / name).unlink(missing_ok=True)


def _write(part: Part, plan: Plan, engine: Engine) -> None:
    if part.build is not None:
        content = replace(part.build.content, meta_texts={RECORD.name: _record_text(part.record)})
        build_plan.carry_out(replace(part.build, content=content), engine=engine, codec=CODEC)
        return
    ask = partial(check_target, overwrite=plan.overwrite)
    before = stamps_below([part.small.path])
    with resumable_folder(part.folder, ask, fingerprint(part.record, before)) as stage:
        write_frame_store(part.small, stage, engine, f"Writing {part.folder.name}")
        (stage.root / RECORD).write_text(_record_text(part.record), encoding="utf-8")
        expect_equal(part.small, open_dataset(stage.root), sampled(part.small.num_frames).tolist())
        expect_same(before, stamps_below([part.small.path]))


def _record_text(record: Record) -> str:
    return json.dumps(record.to_dict(), indent=2, ensure_ascii=False) + "\n"


def _write_text(path: Path, text: str) -> None:
    with staged_file(path, lambda _: None) as staging:
        staging.write_text(text, encoding="utf-8")
