"""What a mixture of some datasets should say, and why: plain data, which `mixture_text` writes as a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robomix.features import ACTION
from robomix.tools.inspect.camera_names import CameraNames, match_cameras
from robomix.tools.inspect.copies import OwnEpisodes
from robomix.tools.inspect.describe import PLACEHOLDER_FPS
from robomix.tools.inspect.description import DatasetDescription
from robomix.tools.inspect.settings import Setting, common_size, listing_of, mixture_settings
from robomix.tools.inspect.vector_names import STATE, VectorPlan, plan_vector

_ENVIRONMENT = "observation.environment_state"


@dataclass
class SuggestedSource:
    """One entry of `datasets`."""

    title: str
    entry: dict[str, Any] = field(default_factory=dict)
    """Its keys and values, in the order to be written."""
    reasons: dict[str, list[str]] = field(default_factory=dict)
    """Key of the entry to why it is there, or what else it could be."""
    left_out: str | None = None
    """Why the entry should stay out of the mixture; None: it is in it."""

    def put(self, key: str, value: Any, *reasons: str) -> None:
        """Adds a key with its reasons."""
        self.entry[key] = value
        self.explain(key, *reasons)

    def explain(self, key: str, *reasons: str) -> None:
        """Adds reasons to a key, which need not be in the entry."""
        self.reasons.setdefault(key, []).extend(reasons)


@dataclass(frozen=True)
class Suggestion:
    """A mixture file in the making."""

    settings: tuple[Setting, ...]
    sources: tuple[SuggestedSource, ...]
    notes: tuple[str, ...]
    """What people have to decide about cameras, before the list of datasets."""

    @property
    def used(self) -> int:
        """How many of the sources are in the mixture."""
        return sum(source.left_out is None for source in self.sources)


def suggest(
    datasets: Sequence[DatasetDescription], own: Mapping[str, OwnEpisodes], given_rates: Mapping[str, float]
) -> Suggestion:
    """A mixture of `datasets` (names are distinct), of their `own` episodes.

    `given_rates` has what the user said of datasets whose files say no rate.
    """
    actions = {one.name: plan_vector(one, ACTION) for one in datasets}
    used = [one for one in datasets if actions[one.name] is not None and own[one.name].ids]
    names, size = match_cameras(used), common_size(used)
    sources = []
    for one in datasets:
        source = SuggestedSource(_title(one), {"name": one.name, "root": one.path})
        _add_rate(source, one, given_rates.get(one.name))
        source.put("weight", 1.0)
        action = actions[one.name]
        if action is None:
            known = listing_of([f.key for f in one.features if f.kind == "numeric"])
            source.left_out = f"no feature is the action, as far as names tell: {known}. Map one with feature_map"
        else:
            _add_episodes(source, one, own[one.name])
            if source.left_out is None:
                _add_names(source, one, names.of(one.name), [plan_vector(one, STATE), action], size)
        sources.append(source)
    return Suggestion(tuple(mixture_settings(used, actions)), tuple(sources), tuple(_notes(names)))


def _add_rate(source: SuggestedSource, one: DatasetDescription, given: float | None) -> None:
    if given is not None:
        source.put("fps", given, "its files do not say")
    elif one.fps is None:
        source.put("fps", PLACEHOLDER_FPS, "CHECK: its files do not say how many, and this number is a mere guess")


def _add_episodes(source: SuggestedSource, one: DatasetDescription, own: OwnEpisodes) -> None:
    if len(own.ids) == one.episodes:
        return
    reasons = [f"{count} episodes are copies of episodes of {owner}" for owner, count in own.copies.items()]
    reasons += [f"{own.unusable} episodes cannot be used"] if own.unusable else []
    if not own.ids:
        source.left_out = "; ".join(reasons)
        return
    selection = next((name for name, ids in one.subsets.items() if sorted(ids) == sorted(own.ids)), None)
    if selection is not None:
        source.put("filter_key", selection, *reasons)
    else:
        source.put("episodes", list(own.ids), *reasons)


def _add_names(
    source: SuggestedSource,
    one: DatasetDescription,
    cameras: Mapping[str, str],
    plans: Sequence[VectorPlan | None],
    size: tuple[int, int] | None,
) -> None:
    """The names of its features in the mixture, and the transforms that make them what policies take."""
    renamed = dict(cameras)
    transforms: list[dict[str, Any]] = []
    kept = []
    for plan in plans:
        if plan is None:
            source.explain("feature_map", f"no feature is {STATE} as far as names tell; zeros stand for it, masked")
            continue
        kept.append(plan.key)
        if plan.is_joined:
            transforms.append({"type": "concat", "kwargs": {"to": plan.key, "from": list(plan.parts)}})
            rest = f" It also has {listing_of(plan.left)}." if plan.left else ""
            source.explain("transforms", f"{plan.key} is in pieces; CHECK that these are the right ones.{rest}")
        else:
            renamed[plan.parts[0]] = plan.key
    kept += [_ENVIRONMENT] if one.feature(_ENVIRONMENT) else []
    feature_map = {old: new for old, new in renamed.items() if old != new}
    if feature_map:
        source.put("feature_map", feature_map)
    kept += cameras.values()
    _add_keep(source, one, kept, feature_map, transforms)
    if size is not None and any((camera.height, camera.width) != size for camera in one.cameras):
        transforms.append({"type": "resize_images", "kwargs": {"height": size[0], "width": size[1]}})
    if transforms:
        source.put("transforms", transforms)


def _add_keep(
    source: SuggestedSource,
    one: DatasetDescription,
    kept: Sequence[str],
    feature_map: Mapping[str, str],
    transforms: list[dict[str, Any]],
) -> None:
    """What is neither state, action nor camera is left out, with a word about what it is."""
    parts = {part for step in transforms for part in step["kwargs"]["from"]}
    mapped = {feature_map.get(f.key, f.key) for f in one.features if f.kind in ("numeric", "camera")} - parts
    if others := sorted(mapped - set(kept)):
        transforms.append({"type": "keep", "kwargs": {"keys": list(kept)}})
        source.explain("transforms", f"what is not kept: {listing_of(others)}")


def _notes(names: CameraNames) -> list[str]:
    joined = [view.cameras.items() for view in names.views if len(set(view.cameras.values())) > 1]
    said = [", ".join(f"{key} of {dataset}" for dataset, key in cameras) for cameras in joined]
    return [f"CHECK: taken to be one camera, by their names: {cameras}" for cameras in said] + names.notes


def _title(one: DatasetDescription) -> str:
    robot = one.robot_type or "robot not named"
    rate = "rate not said" if one.fps is None else f"{one.fps:g} fps"
    return f"{one.format}, {robot}, {one.episodes:,} episodes, {one.frames:,} frames, {rate}"
