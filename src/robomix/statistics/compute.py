"""Statistics of a mixture: what its numbers look like after mapping and transforms, per normalization group.

They are computed from the data, never taken from the statistics a dataset brings along, whose quantiles are not
quantiles in most versions that wrote them. Every chosen frame counts once; or, with `sampling`, as often as it is
drawn. What a filter leaves out counts not at all, though windows may hold some of it; nor do sources of weight 0, but
in groups that have no others; nor entries that are padding, nor features a source lacks. Each source is summarized once
(`sources`) and cached; a group merges the summaries of its own sources, with their own weights and no others.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from robomix.errors import ConfigError
from robomix.features import Feature
from robomix.mixture.alignment import Schema
from robomix.mixture.dataset import Mixture
from robomix.mixture.source import Source
from robomix.statistics.cameras import camera_stats, with_imagenet
from robomix.statistics.sources import Entries, source_summaries, step_summaries
from robomix.summaries import EMPTY, Summary, merge, stats_of_entries

Stats = dict[str, dict[str, np.ndarray]]
"""Key to LeRobot's statistics: min, max, mean, std, count, q01, q10, q50, q90, q99, shaped as the feature."""


@dataclass(frozen=True)
class Group:
    """The sources of one normalization group that count in its statistics."""

    sources: tuple[Source, ...]
    positions: tuple[int, ...]
    """Their positions in the mixture."""
    shares: np.ndarray
    """(n,) float64: what each counts for, in the sum 1; by frames, or by how often it is drawn."""

    def width(self, key: str) -> int:
        """Leading entries of the vector `key` that are data in some source; 0 where none has it."""
        return max((source.features[key].valid_dim for source in self.sources if key in source.features), default=0)

    def feature(self, key: str) -> Feature:
        """The feature `key` as the source with most entries has it, by its own names. Some source must have it."""
        return max((s.features[key] for s in self.sources if key in s.features), key=lambda feature: feature.shape)

    def padding(self, key: str, feature: Feature) -> np.ndarray:
        """(D,) share in which each entry of `feature`, as the mixture has it, is padding; scalars have one entry."""
        entries = feature.shape[0] if feature.is_vector else 1
        share = np.ones(entries)
        for source, of_source in zip(self.sources, self.shares, strict=True):
            if key in source.features:
                real = 1 - source.padded_shares(key)
                share[: len(real) if feature.is_vector else entries] -= of_source * real
        return np.where(share < 1e-12, 0.0, share)  # what is left of 1 - 0.1 - 0.9 is no padding


def mixture_stats(
    mixture: Mixture,
    *,
    use_imagenet: bool = False,
    sampling: Sequence[float] | np.ndarray | None = None,
    keys: Collection[str] | None = None,
) -> dict[str, Stats]:
    """Statistics of `mixture` for each normalization group (`Source.group`): its name to Stats over the schema.

    Vectors are as wide as the schema; entries that are padding in all of a group's sources, and those that tell where a
    sample is from, get the neutral statistics of `summaries.stats_of_entries`. Raises FormatError for NaN or infinite
    numbers, naming source, key and frame.

    Args:
        mixture: of which the chosen episodes count, as its filters leave them.
        use_imagenet: replaces mean and std of colour cameras by ImageNet's.
        sampling: probability of each source. With them a source's frames together weigh its probability, beside those
            of its group; None: all frames of a group weigh the same, whichever source they are from.
        keys: only these features; None: all of the schema.
    """
    schema = mixture.schema
    features = {key: f for key, f in schema.features.items() if keys is None or key in keys}
    keyed = replace(schema, features=features)
    groups = mixture_groups(mixture, sampling=sampling)
    counted = {position for group in groups.values() for position in group.positions}
    summaries = {
        position: source_summaries(mixture.sources[position], features, mixture.source_horizons[position])
        for position in tqdm(sorted(counted), "statistics", delay=2, leave=False, disable=None)
    }
    return {
        name: _group_stats(group, [summaries[i] for i in group.positions], keyed, use_imagenet, sampling is not None)
        for name, group in groups.items()
    }


def step_stats(mixture: Mixture, *, sampling: Sequence[float] | np.ndarray | None = None) -> dict[str, Stats]:
    """Statistics of each step of a window, (T, D), of the vectors whose values depend on the window's start.

    Group name to Stats of those keys alone; groups without such are left out. An action relative to the state at its
    chunk's start grows from step to step: these tell by how much. Arguments as those of `mixture_stats`. Raises
    ConfigError for a feature that depends on its window where the mixture has none for it.
    """
    found: dict[str, Stats] = {}
    for name, group in mixture_groups(mixture, sampling=sampling).items():
        relative = {key for source in group.sources for key in source.relative if key in mixture.schema.vector_keys}
        for key in sorted(relative):
            parts = []
            for position, source in zip(group.positions, group.sources, strict=True):
                window = mixture.source_horizons[position].get(key)
                if window is None:
                    raise ConfigError(
                        f"source {source.name!r}: {key!r} depends on where its window starts, and has no window here. "
                        "Name the policy, whose chunks it is for, in the file's `policy:` block."
                    )
                parts.append(step_summaries(source, key, window) if key in source.features else None)
            own = num_entries(mixture.schema.features[key]) - mixture.schema.in_front(key)
            found.setdefault(name, {})[key] = _stacked_steps(group, parts, own, sampling)
    return found


def mixture_groups(mixture: Mixture, *, sampling: Sequence[float] | np.ndarray | None = None) -> dict[str, Group]:
    """The normalization groups of `mixture` by name. Sources of weight 0 are in groups that have no others only."""
    drawn = {source.group for source in mixture.sources if source.is_drawn}
    positions: dict[str, list[int]] = {}
    for i, source in enumerate(mixture.sources):
        if source.is_drawn or source.group not in drawn:
            positions.setdefault(source.group, []).append(i)
    frames = np.array([source.counted.num_drawable for source in mixture.sources], dtype=np.float64)
    weights = frames if sampling is None else np.asarray(sampling, dtype=np.float64)
    groups = {}
    for name, members in positions.items():
        own = weights[members] if weights[members].any() else frames[members]  # a group that is never drawn
        groups[name] = Group(tuple(mixture.sources[i] for i in members), tuple(members), own / own.sum())
    return groups


def feature_stats(feature: Feature, entries: Sequence[Summary], use_imagenet: bool) -> dict[str, np.ndarray]:
    """Statistics of `feature`, shaped as it, of one Summary per entry or channel; `EMPTY` where all is padding."""
    if feature.is_camera:
        of_camera = camera_stats(list(entries))
        return with_imagenet(of_camera) if use_imagenet else of_camera
    stats = stats_of_entries(entries)
    return {name: v if name == "count" else v.reshape(feature.shape or (1,)) for name, v in stats.items()}


def num_entries(feature: Feature) -> int:
    """How many numbers have statistics of their own: all of a numeric feature, the channels of a camera."""
    return int(np.prod(feature.shape[:1] if feature.is_camera else feature.shape, dtype=np.int64))


def _group_stats(
    group: Group, summaries: Sequence[Entries], schema: Schema, use_imagenet: bool, sampled: bool
) -> Stats:
    stats: Stats = {}
    for key, feature in schema.features.items():
        parts, front = [one.get(key) for one in summaries], schema.in_front(key)
        # A camera's sample of frames stands for all of the source's: it is brought to their number.
        merged = _merged(group, parts, num_entries(feature) - front, by_share=sampled or feature.is_camera)
        # What tells the source is constant in a group, and must not be normalized away.
        stats[key] = feature_stats(feature, [EMPTY] * front + merged, use_imagenet)
    return stats


def _stacked_steps(
    group: Group, parts: Sequence[list[list[Summary]] | None], entries: int, sampling: object
) -> dict[str, np.ndarray]:
    """Statistics (T, D) and `count` (T,) of the steps' summaries of each source, None for those that lack them."""
    num_steps = len(next(part for part in parts if part is not None))
    steps = []
    for step in range(num_steps):
        at_step = [None if part is None else part[step] for part in parts]
        steps.append(stats_of_entries(_merged(group, at_step, entries, by_share=sampling is not None)))
    return {name: np.stack([step[name] for step in steps]).reshape(num_steps, -1) for name in steps[0]}


def _merged(group: Group, parts: Sequence[list[Summary] | None], entries: int, *, by_share: bool) -> list[Summary]:
    """For each entry the summary of all sources that have it; their shares decide what each counts for, or its values.

    Shares move weight between sources and keep its sum, the number of values: a quantile is between them.
    """
    merged = []
    for d in range(entries):
        having = [
            (part[d], share)
            for part, share in zip(parts, group.shares, strict=True)
            if part is not None and d < len(part) and part[d].count
        ]
        if by_share and len(having) > 1:
            unit = sum(one.count for one, _ in having) / sum(share for _, share in having)
            having = [(one.scaled(share * unit / one.count), share) for one, share in having]
        merged.append(merge([one for one, _ in having]))
    return merged
