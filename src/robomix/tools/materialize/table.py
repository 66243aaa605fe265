"""A plan and its result for people."""

from collections.abc import Sequence
from math import isinf

from rich.table import Table

from robomix.tools.materialize.plan import Plan
from robomix.tools.materialize.verify import Likeness


def as_table(plan: Plan) -> Table:
    """What a person reads before it is done."""
    stored = "raw frames" if plan.storage == "frames" else "LeRobot v3.0 with H.264 video"
    table = Table(
        title=f"{plan.height}x{plan.width}, {stored}, to {plan.out}: {plan.needed / 1e9:,.2f} GB to write",
        title_justify="left",
    )
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
