"""A plan for people."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from robomix.tools.build.places import disk_text, size_text, time_text
from robomix.tools.build.plan import EncodedPart, Plan

_SHOWN = 12
"""Episodes that are listed."""
_TEXTS = 5
"""Tasks that are."""


def as_table(plan: Plan) -> Table:
    """What a person reads before it is done."""
    table = Table(title=f"plan for {plan.target}", show_header=False)
    takes = plan.takes
    rows = [
        ("format", f"LeRobot {plan.files.version}"),
        ("episodes, frames", f"{len(plan.content.episodes):,}, {plan.content.num_frames:,}"),
        ("tasks", _texts(plan.content.tasks)),
        ("features", ", ".join(plan.content.features)),
        ("data files", f"{len(plan.files.data):,}, about {size_text(takes.data_bytes)}"),
        ("video files", f"{len(plan.files.videos):,}"),
        ("frames copied as they are", f"{plan.copied_frames:,}, about {size_text(takes.copied_bytes)}"),
    ]
    rows += [("frames encoded", text) for text in _told(plan.encoded_parts)]
    if plan.encoded:
        rows.append(("bytes of these", f"about {size_text(takes.encoded_bytes)}"))
    rows += [
        ("disk", disk_text(plan.target, takes.bytes, plan.replaced_bytes)),
        ("time", f"about {time_text(takes.seconds)}"),
    ]
    rows += [("refused", reason) for reason in plan.refusals]
    for row in rows:
        table.add_row(*row)
    return table


def _texts(tasks: Sequence[str]) -> str:
    """How many, and the first of them."""
    more = f" and {len(tasks) - _TEXTS} more" if len(tasks) > _TEXTS else ""
    return f"{len(tasks):,}: {', '.join(map(repr, tasks[:_TEXTS]))}{more}" if tasks else "0"


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
