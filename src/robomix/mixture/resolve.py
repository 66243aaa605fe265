"""What the weights of a mixture file come to: the probability of each source, and what that means for a training."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from robomix.mixture.schedule import Schedule, Stream
from robomix.mixture.source import Source


@dataclass(frozen=True)
class Share:
    """One row of the resolved table."""

    name: str
    probability: float
    """Share of the samples, as the schedule gives it."""
    frames: int
    """Frames that can be drawn."""
    episodes: int
    fps: float
    epochs_per_10k_steps: float
    """How often 10,000 training steps go through the source."""


def resolve(sources: Sequence[Source], alpha: float) -> np.ndarray:
    """(D,) float64 probabilities, proportional to weight * frames^alpha, where frames are those that can be drawn."""
    weights = np.array([source.config.weight for source in sources], dtype=np.float64)
    frames = np.array([source.frames.num_drawable for source in sources], dtype=np.float64)
    shares = weights * (frames / frames.max()) ** alpha
    return shares / shares.sum()


def streams(sources: Sequence[Source], alpha: float) -> list[Stream]:
    """What the schedule needs to know of `sources`."""
    return [
        Stream(source.name, source.frames.num_drawable, float(p), _content(source))
        for source, p in zip(sources, resolve(sources, alpha), strict=True)
    ]


def _content(source: Source) -> str:
    """Fingerprint of what is drawn from: the dataset's, which of its episodes in which order, and of which frames."""
    content, ids, counted = source.dataset.fingerprint, source.frames.ids, source.counted
    if np.array_equal(ids, source.dataset.episodes.ids) and not source.num_idle:
        return content
    chosen = [ids, counted.run_frames, counted.drawable_bounds] if source.num_idle else [ids]
    text = content.encode() + b"".join(numbers.astype("<i8").tobytes() for numbers in chosen)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def shares(sources: Sequence[Source], schedule: Schedule) -> list[Share]:
    """The resolved table of a training that draws by `schedule`."""
    return [
        Share(
            name=source.name,
            probability=float(p),
            frames=source.frames.num_drawable,
            episodes=len(source.frames.ids),
            fps=source.fps,
            epochs_per_10k_steps=float(10_000 * schedule.batch_size * p / source.frames.num_drawable),
        )
        for source, p in zip(sources, schedule.probabilities, strict=True)
    ]


def as_table(rows: Sequence[Share]) -> Table:
    """The resolved table for people."""
    table = Table(title="Mixture", title_justify="left")
    table.add_column("source", overflow="fold")
    for header in ("share", "frames", "episodes", "fps", "epochs per 10k steps"):
        table.add_column(header, justify="right")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.probability:.2%}",
            f"{row.frames:,}",
            f"{row.episodes:,}",
            f"{row.fps:g}",
            f"{row.epochs_per_10k_steps:,.2f}",
        )
    return table


def as_records(rows: Sequence[Share]) -> list[dict[str, Any]]:
    """The resolved table as plain data, for checkpoints."""
    return [asdict(row) for row in rows]
