"""What writing a dataset will do, told before anything is written: counts, bytes, what is copied, what is encoded."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from robomix.errors import ConfigError, FormatError
from robomix.formats.lerobot.write_checks import check_target
from robomix.tools.build.content import Content, Drawn
from robomix.tools.build.engines.base import Engine
from robomix.tools.build.estimate import Estimate, estimate
from robomix.tools.build.frames import with_cuts
from robomix.tools.build.layout import Files, Version, lay_out
from robomix.tools.build.places import no_linked_source, no_room, no_source, replaced_bytes, sources_of
from robomix.tools.build.write import write_dataset
from robomix.tools.check.finding import Verdict
from robomix.tools.check.run import check_written
from robomix.video.remux import Clip


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
    ask: Callable[[Path], None]
    """Raises ConfigError where nothing may be written to the target."""
    takes: Estimate
    """Bytes and time."""
    replaced_bytes: int
    """Of what lies at the target, which stays until the new dataset is complete."""
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
            "copied_frames": self.copied_frames,
            "encoded_frames": self.encoded_frames,
            "data_bytes": self.takes.data_bytes,
            "copied_bytes": self.takes.copied_bytes,
            "encoded_bytes": self.takes.encoded_bytes,
            "bytes": self.takes.bytes,
            "replaced_bytes": self.replaced_bytes,
            "seconds": round(self.takes.seconds, 1),
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
    ask: Callable[[Path], None] | None = None,
    refusals: Sequence[str] = (),
    codec: str = "libsvtav1",
    workers: int = 1,
) -> Plan:
    """Decides how `content` is written to `target`.

    Args:
        content: what to write.
        target: the folder.
        version: LeRobot's.
        overwrite: whether a LeRobot dataset at the target may be replaced.
        ask: raises ConfigError where nothing may be written there, in place of what `overwrite` says.
        refusals: reasons that are known already.
        codec: of frames that must be encoded.
        workers: how many processes are meant to write, for the time it takes.
    """
    content = with_cuts(content, apart=version != "v3.0")
    files = lay_out(content, version, codec=codec)
    parts = [episode.videos[key] for episode in content.episodes for key in content.videos]
    encoded = _encoded(content)
    reasons: Counter[str] = Counter()
    for part in encoded:
        reasons[part.reason] += part.frames
    target, ask = Path(target).absolute(), ask or partial(check_target, overwrite=overwrite)
    plan = Plan(
        content,
        files,
        target,
        ask,
        estimate(content, files, codec=codec, workers=workers),
        replaced_bytes(target, ask),
        sum(len(part) for part in parts if isinstance(part, Clip)),
        tuple(reasons.most_common()),
        encoded,
    )
    return replace(plan, refusals=(*refusals, *_refusals(plan)))


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
        check_target=plan.ask,
        check_result=expect_sound,
        codec=codec,
        workers=workers,
        engine=engine,
    )


def _encoded(content: Content) -> tuple[EncodedPart, ...]:
    return tuple(
        EncodedPart(key, episode.origin.dataset, episode.origin.episode, len(part), part.reason)
        for episode in content.episodes
        for key in content.videos
        if isinstance(part := episode.videos[key], Drawn)
    )


def _refusals(plan: Plan) -> list[str]:
    found, sources = [], sources_of(plan.content)
    try:
        plan.ask(plan.target)
    except ConfigError as error:
        found.append(str(error))
    if not plan.content.episodes:
        found.append("it would have no episodes.")
    found += no_source(plan.target, sources)
    found += no_linked_source(plan.target, sources)
    found += _shared_frames(plan.content)
    found += no_room(plan.target, plan.takes.bytes)
    return found


def _shared_frames(content: Content) -> Iterator[str]:
    """Episodes that would have frames of others: a wrong rate or wrong times in the metadata lead there."""
    for key in content.videos:
        parts = [(part, e.origin) for e in content.episodes if isinstance(part := e.videos[key], Clip)]
        parts.sort(key=lambda entry: (entry[0].path, entry[0].start))
        for (before, first), (part, second) in pairwise(parts):
            if part.path == before.path and part.start < before.stop and first != second:  # the same episode twice may
                yield (
                    f"{first.dataset}: by its metadata, episodes {first.episode} and {second.episode} share frames of "
                    f"{key!r} (V04), in {part.path.name}. `robomix check` says more, and `robomix repair` may mend it."
                )
                break


def expect_sound(root: Path) -> None:
    """Raises FormatError where `check` finds the folder wrong, of whose files all bytes were read for their markers."""
    wrong = [finding for finding in check_written(root).findings if finding.level == Verdict.FAIL]
    if wrong:
        listing = "".join(f"\n  {finding.defect.id} {finding.found}" for finding in wrong[:10])
        raise FormatError(f"what was written is not sound, so nothing was published:{listing}")
