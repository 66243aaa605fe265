"""What a training of some steps draws from each source: samples, epochs, and hours of recording."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from robomix.config import MixtureConfig
from robomix.mixture.resolve import make_schedule
from robomix.mixture.source import Source


@dataclass(frozen=True)
class SourceSeen:
    """What is drawn of one source."""

    name: str
    frames: int
    """Frames that can be drawn."""
    recorded_hours: float
    """What these frames last at the source's rate."""
    fps: float
    share: float
    """Of all samples of the training."""
    samples: int
    epochs: float
    """How often each of its frames is drawn."""
    seen_hours: float
    """What the samples' own frames last at the source's rate, each as often as it is drawn."""

    def record(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return asdict(self)


def sources_seen(
    sources: Sequence[Source], config: MixtureConfig, *, steps: int, batch_size: int, alpha: float | None = None
) -> list[SourceSeen]:
    """What `steps` global batches of `batch_size` draw from `sources`; with another `alpha` than the file's, if given.

    Stages of a `weight_schedule` with an alpha of their own keep it. Raises ConfigError for an alpha out of range.
    """
    if alpha is not None:
        config = replace(config, alpha=alpha)
    drawn = make_schedule(sources, config, seed=0, batch_size=batch_size).consumed(steps)
    return [
        SourceSeen(
            name=source.name,
            frames=source.frames.num_drawable,
            recorded_hours=source.frames.num_drawable / source.fps / 3600,
            fps=source.fps,
            share=int(samples) / (steps * batch_size),
            samples=int(samples),
            epochs=int(samples) / source.frames.num_drawable,
            seen_hours=int(samples) / source.fps / 3600,
        )
        for source, samples in zip(sources, drawn, strict=True)
    ]
