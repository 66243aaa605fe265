"""What writing a dataset will do, told before anything is written: counts, bytes, what is copied, what is encoded."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from robomix.errors import ConfigError, FormatError
from robomix.formats.lerobot.write_checks import check_target
from robomix.tools.build.content import Content, Drawn
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.frames import with_cuts
from robomix.tools.build.layout import Files, Version, lay_out, video_size
from robomix.tools.build.write import write_dataset
from robomix.tools.check.finding import Verdict
from robomix.tools.check.run import check

_SHOWN = 12
"""Episodes that are listed."""
_SPARE = 1.05
"""Free space asked for, relative to what is expected to be written."""


@dataclass(frozen=True)
class EncodedPart:
    """Frames of one camera in one episode that must be encoded."""

    camera: str
    source: str
    episode: int
    """Its `episode_index` in the source."""
    frames: int
    reason: str


@dataclass(frozen=True)
class Plan:
    """A dataset that is about to be written."""

    content: Content
    files: Files
    target: Path
    overwrite: bool
    data_bytes: int
    """About how much the data files will take."""
    copied_bytes: int
    """About how much of videos is copied."""
    copied_frames: int
    encoded: tuple[tuple[str, int], ...]
    """(reason, frames) of those that must be encoded."""
    encoded_parts: tuple[EncodedPart, ...]
    """The same, by episode."""
    refusals: tuple[str, ...] = ()
    """Why it cannot be written."""

    @property
    def encoded_frames(self) -> int:
        return sum(frames for _, frames in self.encoded)

    def record(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "out": str(self.target),
            "version": self.files.version,
            "episodes": len(self.content.episodes),
            "frames": self.content.num_frames,
            "tasks": len(self.content.tasks),
            "features": list(self.content.features),
            "data_files": len(self.files.data),
            "video_files": len(self.files.videos),
            "data_bytes": self.data_bytes,
            "copied_bytes": self.copied_bytes,
            "copied_frames": self.copied_frames,
            "encoded": [{"reason": reason, "frames": frames} for reason, frames in self.encoded],
            "encoded_episodes": [asdict(part) for part in self.encoded_parts],
            "refusals": list(self.refusals),
        }


def make_plan(
    content: Content,
    target: Path,
    *,
    version: Version = "v3.0",
    overwrite: bool = False,
    refusals: Sequence[str] = (),
) -> Plan:
    """Decides how `content` is written to `target`. `refusals` are reasons that are known already."""
    content = with_cuts(content, apart=version != "v3.0")
    files = lay_out(content, version)
    parts = [part for episode in content.episodes for part in episode.videos.values()]
    drawn = [part for part in parts if isinstance(part, Drawn)]
    encoded = _encoded(content)
    copied = [part for part in parts if not isinstance(part, Drawn)]
    reasons: Counter[str] = Counter()
    for part in encoded:
        reasons[part.reason] += part.frames
    plan = Plan(
        content,
        files,
        Path(target).absolute(),
        overwrite,
        sum(episode.rows.size for episode in content.episodes),
        round(sum(video_size(part) for part in copied)),
        sum(len(part) for part in copied),
        tuple(reasons.most_common()),
        encoded,
    )
    return Plan(**vars(plan) | {"refusals": (*refusals, *_refusals(plan, round(sum(map(video_size, drawn)))))})


def carry_out(plan: Plan, *, workers: int = 1, codec: str = "libsvtav1", engine: Engine | None = None) -> None:
    """Writes the dataset, by so many processes or by `engine`; see `write_dataset`.

    Raises ConfigError with all refusals at once, FormatError where the result fails `check`.
    """
    if plan.refusals:
        listing = "".join(f"\n  {reason}" for reason in plan.refusals)
        raise ConfigError(f"{plan.target} is not written:{listing}")
    write_dataset(
        plan.content,
        plan.files,
        plan.target,
        check_target=partial(check_target, overwrite=plan.overwrite),
        check_result=expect_sound,
        codec=codec,
        workers=workers,
        engine=engine,
    )


def as_table(plan: Plan) -> Table:
    """What a person reads before it is done."""
    table = Table(title=f"plan for {plan.target}", show_header=False)
    rows = [
        ("format", f"LeRobot {plan.files.version}"),
        ("episodes, frames", f"{len(plan.content.episodes):,}, {plan.content.num_frames:,}"),
        ("tasks", f"{len(plan.content.tasks):,}"),
        ("features", ", ".join(plan.content.features)),
        ("data files", f"{len(plan.files.data):,}, about {size_text(plan.data_bytes)}"),
        ("video files", f"{len(plan.files.videos):,}"),
        ("frames copied as they are", f"{plan.copied_frames:,}, about {size_text(plan.copied_bytes)}"),
    ]
    rows += [("frames encoded", text) for text in _told(plan.encoded_parts)]
    rows += [("refused", reason) for reason in plan.refusals]
    for row in rows:
        table.add_row(*row)
    return table


def _encoded(content: Content) -> tuple[EncodedPart, ...]:
    return tuple(
        EncodedPart(key, episode.origin.dataset, episode.origin.episode, len(part), part.reason)
        for episode in content.episodes
        for key, part in episode.videos.items()
        if isinstance(part, Drawn)
    )


def _told(parts: Sequence[EncodedPart]) -> Iterator[str]:
    """Which frames are encoded and why, those with one camera, source and reason together."""
    groups: dict[tuple[str, str, str], list[EncodedPart]] = {}
    for part in parts:
        groups.setdefault((part.source, part.camera, part.reason), []).append(part)
    for (source, camera, reason), own in groups.items():
        frames = sum(part.frames for part in own)
        shown = ", ".join(str(part.episode) for part in own[:_SHOWN])
        more = f" and {len(own) - _SHOWN} more" if len(own) > _SHOWN else ""
        yield f"{frames:,} of {source}, {camera}, episode {shown}{more}: {reason}"


def _refusals(plan: Plan, encoded_bytes: int) -> list[str]:
    found = []
    ask: Callable[[Path], None] = partial(check_target, overwrite=plan.overwrite)
    try:
        ask(plan.target)
    except ConfigError as error:
        found.append(str(error))
    if not plan.content.episodes:
        found.append("it would have no episodes.")
    for source in {episode.origin.dataset for episode in plan.content.episodes}:
        if _overlap(plan.target.resolve(), Path(source).resolve()):
            found.append(f"{plan.target} and the source {source} lie in one another, and no source is written to.")
    folder = next(parent for parent in plan.target.parents if parent.exists())
    needed = round(_SPARE * (plan.data_bytes + plan.copied_bytes + encoded_bytes))
    free = shutil.disk_usage(folder).free
    if free < needed:
        found.append(f"{folder} has {size_text(free)} free, and about {size_text(needed)} are needed.")
    if not os.access(folder, os.W_OK):
        found.append(f"{folder} may not be written to. Choose another place.")
    return found


def _overlap(first: Path, second: Path) -> bool:
    return first.is_relative_to(second) or second.is_relative_to(first)


def expect_sound(root: Path) -> None:
    """Raises FormatError where `check` finds the folder wrong."""
    wrong = [finding for finding in check(root).findings if finding.level == Verdict.FAIL]
    if wrong:
        listing = "".join(f"\n  {finding.defect.id} {finding.found}" for finding in wrong[:10])
        raise FormatError(f"what was written is not sound, so nothing was published:{listing}")


def size_text(count: float) -> str:
    """A number of bytes, for people."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
