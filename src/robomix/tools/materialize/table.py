"""A plan and its result for people."""

from collections.abc import Sequence
from math import isinf

from rich.table import Table

from robomix.tools.build.places import size_text, time_text
from robomix.tools.materialize.plan import Plan
from robomix.tools.materialize.verify import Likeness


def as_table(plan: Plan) -> Table:
    """What a person reads before it is done."""
    stored = "raw frames" if plan.storage == "frames" else "LeRobot v3.0 with H.264 video"
    need = f"about {size_text(plan.needed)} to write in about {time_text(plan.seconds)}"
    if plan.replaced_bytes:
        need += f", beside the {size_text(plan.replaced_bytes)} that are replaced, source by source"
    table = Table(title=f"{plan.height}x{plan.width}, {stored}, to {plan.out}: {need}", title_justify="left")
    for header in ("source", "cameras"):
        table.add_column(header, overflow="fold")
    for header in ("episodes", "frames", "MB", ""):
        table.add_column(header, justify="right")
    for part in plan.parts:
        table.add_row(
            part.source.name,
            "\n".join(part.small.cameras),
            f"{part.small.num_episodes:,}",
            f"{part.small.num_frames:,}",
            f"{part.size / 1e6:,.1f}",
            "is there" if part.is_there else "",
        )
    return table


def likeness_table(found: Sequence[Likeness]) -> Table:
    """How near stored frames are to what decoding and resizing gives."""
    table = Table(title="Stored frames against decoding and resizing", title_justify="left")
    for header in ("source", "camera"):
        table.add_column(header, overflow="fold")
    for header in ("frames compared", "PSNR"):
        table.add_column(header, justify="right")
    for one in found:
        psnr = "equal" if isinf(one.psnr_db) else f"{one.psnr_db:.1f} dB"
        table.add_row(one.source, one.camera, f"{one.frames:,}", psnr)
    return table
