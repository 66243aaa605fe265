"""What the weights of a mixture file come to: the probability of each source, and what that means for a training."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from robomix.config import MixtureConfig, WeightStageConfig
from robomix.mixture.schedule import Schedule, Stream
from robomix.mixture.source import Source
from robomix.mixture.stages import Stage
from robomix.mixture.windows import Window, window_of


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
    held_out_episodes: int = 0
    held_out_frames: int = 0
    """Those of the episodes held out for validation that can start a sample."""


def resolve(sources: Sequence[Source], alpha: float, weights_by_name: Mapping[str, float] | None = None) -> np.ndarray:
    """(D,) float64 probabilities, proportional to weight * frames^alpha, where frames are those that can be drawn.

    `weights_by_name` go before the sources' own weights.
    """
    by_name = {source.name: source.config.weight for source in sources} | dict(weights_by_name or {})
    weights = np.array([by_name[source.name] for source in sources], dtype=np.float64)
    frames = np.array([source.frames.num_drawable for source in sources], dtype=np.float64)
    shares = weights * (frames / frames.max()) ** alpha
    return shares / shares.sum()


def streams(sources: Sequence[Source], alpha: float) -> list[Stream]:
    """What the schedule needs to know of `sources`."""
    return [
        Stream(source.name, source.frames.num_drawable, float(p), _content(source))
        for source, p in zip(sources, resolve(sources, alpha), strict=True)
    ]


def stages(sources: Sequence[Source], config: MixtureConfig) -> list[Stage]:
    """The shares of `config` by step, those of step 0 first."""
    given = list(config.weight_schedule)
    if not given or given[0].step > 0:
        given.insert(0, WeightStageConfig(0))
    alphas = [config.alpha if stage.alpha is None else stage.alpha for stage in given]
    shares = [resolve(sources, alpha, stage.weights).tolist() for alpha, stage in zip(alphas, given, strict=True)]
    return [Stage(stage.step, tuple(p), stage.interpolate) for stage, p in zip(given, shares, strict=True)]


def make_schedule(sources: Sequence[Source], config: MixtureConfig, *, seed: int, batch_size: int) -> Schedule:
    """The order of samples that `config` asks for; `batch_size` is that over all ranks."""
    start, *later = stages(sources, config)
    cameras = _cameras(sources, config.features)
    streams = [
        Stream(source.name, source.frames.num_drawable, p, _content(source), of_source, _window(source, config))
        for source, p, of_source in zip(sources, start.probabilities, cameras, strict=True)
    ]
    return Schedule(streams, seed=seed, batch_size=batch_size, batching=config.batching, stages=later)


def _cameras(sources: Sequence[Source], features: str) -> list[tuple[str, ...]]:
    """Which of the mixture's cameras each source has."""
    sets = [{key for key, feature in source.features.items() if feature.is_camera} for source in sources]
    known = set.intersection(*sets) if features == "intersection" else set.union(*sets)
    return [tuple(sorted(own & known)) for own in sets]


def _window(source: Source, config: MixtureConfig) -> Window | None:
    """Within which the frames of a source are shuffled: its `shuffle_window`, else the mixture's."""
    own = source.config.shuffle_window
    return window_of(source.frames.drawable_of_episodes, config.shuffle_window if own is None else own)


def _content(source: Source) -> str:
    """Fingerprint of what is drawn from: the dataset's, which of its episodes in which order, and of which frames."""
    content, ids, counted = source.dataset.fingerprint, source.frames.ids, source.counted
    if np.array_equal(ids, source.dataset.episodes.ids) and not source.num_idle:
        return content
    chosen = [ids, counted.run_frames, counted.drawable_bounds] if source.num_idle else [ids]
    text = content.encode() + b"".join(numbers.astype("<i8").tobytes() for numbers in chosen)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def shares(sources: Sequence[Source], schedule: Schedule, steps: int | None = None) -> list[Share]:
    """The resolved table of a training of `steps` steps that draws by `schedule`.

    Where weights change, shares are those of the start, and epochs are counted over all `steps`.
    """
    per_step = schedule.batch_size * schedule.probabilities
    if steps is not None and len(schedule.stages) > 1:
        per_step = schedule.consumed(steps) / steps
    return [
        Share(
            name=source.name,
            probability=float(p),
            frames=source.frames.num_drawable,
            episodes=len(source.frames.ids),
            fps=source.fps,
            epochs_per_10k_steps=float(10_000 * drawn / source.frames.num_drawable),
            held_out_episodes=len(source.held_out.ordinals) if source.held_out else 0,
            held_out_frames=source.held_out.frames.num_drawable if source.held_out else 0,
        )
        for source, p, drawn in zip(sources, schedule.probabilities, per_step, strict=True)
    ]


def as_table(rows: Sequence[Share]) -> Table:
    """The resolved table for people."""
    table = Table(title="Mixture", title_justify="left")
    table.add_column("source", overflow="fold")
    for header in ("share", "frames", "episodes", "fps", "epochs per 10k steps"):
        table.add_column(header, justify="right")
    is_split = any(row.held_out_episodes for row in rows)
    for header in ("held-out frames", "held-out episodes") if is_split else ():
        table.add_column(header, justify="right")
    for row in rows:
        held_out = (f"{row.held_out_frames:,}", f"{row.held_out_episodes:,}")
        table.add_row(
            row.name,
            f"{row.probability:.2%}",
            f"{row.frames:,}",
            f"{row.episodes:,}",
            f"{row.fps:g}",
            f"{row.epochs_per_10k_steps:,.2f}",
            *(held_out if is_split else ()),
        )
    return table


def stages_table(schedule: Schedule) -> Table | None:
    """The shares of each stage for people; None where they never change."""
    if len(schedule.stages) == 1:
        return None
    table = Table(title="Shares by step", title_justify="left")
    table.add_column("source", overflow="fold")
    for stage in schedule.stages:
        way = f"\n{stage.interpolate}" if stage.step else ""
        table.add_column(f"from {stage.step:,}{way}", justify="right")
    for i, stream in enumerate(schedule.streams):
        table.add_row(stream.name, *(f"{stage.shares[i]:.2%}" for stage in schedule.stages))
    return table


def stages_records(schedule: Schedule) -> list[dict[str, Any]]:
    """The shares of each stage as plain data, for checkpoints; of a mixture whose weights stay, one stage."""
    names = [stream.name for stream in schedule.streams]
    return [
        {"step": s.step, "interpolate": s.interpolate, "shares": dict(zip(names, s.shares, strict=True))}
        for s in schedule.stages
    ]


def as_records(rows: Sequence[Share]) -> list[dict[str, Any]]:
    """The resolved table as plain data, for checkpoints."""
    return [asdict(row) for row in rows]
