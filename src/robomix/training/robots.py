"""The robots of a mixture: what the sources of one normalization group have, out of what the mixture holds.

A group is one robot to a checkpoint: it has a policy folder of its own, with its statistics, its widths, its cameras.
Where the policy is told which source a sample is of, each source is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from robomix.features import Feature
from robomix.mixture.condition import Condition
from robomix.mixture.source import Source

OWN_PREFIX = "observation."
"""What LeRobot hands to a policy has a name that begins so."""


@dataclass(frozen=True)
class Robot:
    """One robot, as a policy for it alone would know it."""

    group: str
    """What its policy folder is named by: its normalization group, or its source."""
    sources: tuple[str, ...]
    """Names of the group's sources."""
    features: Mapping[str, Feature]
    """By mixture key; vectors as wide as its widest source's data."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Mixture key to the robot's own name, for cameras that the mixture calls otherwise."""
    notes: tuple[str, ...] = ()
    """Sentences: what a policy folder of LeRobot cannot do by itself for this robot."""
    in_front: tuple[float, ...] = ()
    """What stands in front of its state in the mixture's samples, and tells which robot it is."""
    given: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By mixture key: inputs that tell it instead, always the same."""

    def renamed(self, key: str) -> str:
        """What the robot's policy calls the mixture's `key`."""
        return self.names.get(key, key)


def folder_groups(groups: Mapping[str, str], condition: Condition | None) -> dict[str, str]:
    """Source name to what its policy folder is named by; `groups` is source name to normalization group.

    Of sources that the policy is to tell apart, each has a folder of its own.
    """
    apart = condition is not None and condition.on == "source"
    return {name: name if apart else group for name, group in groups.items()}


def robots_of(
    sources: Sequence[Source], groups: Mapping[str, str], keys: Collection[str], condition: Condition | None = None
) -> dict[str, Robot]:
    """The robot of each group, in the order of their first sources; `groups` is source name to group.

    Of the mixture's features, those in `keys` count. A camera gets the name it has in the datasets, where it is one
    camera there and all sources of the group agree; the mixture's name otherwise. Vectors keep the mixture's names:
    LeRobot's policies look for `observation.state` and `observation.environment_state` by name.
    """
    members: dict[str, list[Source]] = {}
    for source in sources:
        members.setdefault(groups[source.name], []).append(source)
    return {group: _robot(group, of_group, keys, condition) for group, of_group in members.items()}


def _robot(group: str, sources: Sequence[Source], keys: Collection[str], condition: Condition | None) -> Robot:
    features = {key: _widest(key, sources) for key in keys if any(key in source.features for source in sources)}
    names, clashes = _camera_names(features, sources)
    told = () if condition is None else tuple(condition.values(sources[0].name).tolist())
    in_front = told if condition is not None and condition.in_state else ()
    given = {condition.key: told} if condition is not None and not condition.in_state else {}
    notes = [*clashes, *_narrower(features, sources), *_transformed(sources), *prompt_notes(sources), *_given(given)]
    return Robot(group, tuple(source.name for source in sources), features, names, tuple(notes), in_front, given)


def _widest(key: str, sources: Sequence[Source]) -> Feature:
    having = [source.features[key] for source in sources if key in source.features]
    widest = max(having, key=lambda feature: feature.valid_dim if feature.is_vector else 0)
    return replace(widest, shape=(widest.valid_dim,), real_dim=None) if widest.is_vector else widest


def _camera_names(features: Mapping[str, Feature], sources: Sequence[Source]) -> tuple[dict[str, str], list[str]]:
    """Own names of cameras that the mixture renames, and a note for each that cannot have one."""
    names: dict[str, str] = {}
    notes = []
    for key in (key for key, feature in features.items() if feature.is_camera):
        own = list(dict.fromkeys(_recorded_name(source, key) for source in sources if key in source.features))
        if own == [key]:
            continue
        taken = {*names.values(), *(other for other in features if other != key)}
        if len(own) == 1 and own[0] is not None and own[0] not in taken:
            names[key] = own[0]
        elif len(own) > 1:
            called = " and ".join(sorted(name or "made of several" for name in own))
            notes.append(f"{key!r} is the mixture's name of a camera that its datasets call differently: {called}.")
        else:
            notes.append(f"{key!r} is the mixture's name of a camera, made of {own[0] or 'several of its dataset'}.")
    return names, notes


def _recorded_name(source: Source, key: str) -> str | None:
    """What the dataset calls the camera `key` is made of; None unless it is one camera with a name for LeRobot."""
    recorded = source.mapped_keys()
    made_of = [recorded[old] for old in source.windows_for({key: None})[0]]
    cameras = [old for old in made_of if source.dataset.features[old].is_camera]
    return cameras[0] if len(cameras) == 1 and cameras[0].startswith(OWN_PREFIX) else None


def _narrower(features: Mapping[str, Feature], sources: Sequence[Source]) -> list[str]:
    """A note for each source that has less than its group."""
    notes = []
    for source in sources:
        lacking = [key for key in features if key not in source.features]
        vectors = [key for key, feature in features.items() if feature.is_vector and key in source.features]
        narrow = [key for key in vectors if source.features[key].valid_dim < features[key].shape[0]]
        if lacking or narrow:
            less = [*(f"no {key}" for key in lacking), *(f"a narrower {key}" for key in narrow)]
            notes.append(
                f"Source {source.name!r} has {', '.join(less)} than its group: what it lacks are zeros, at the end of "
                "vectors. With a `group` of its own it gets a policy of its own."
            )
    return notes


def _transformed(sources: Sequence[Source]) -> list[str]:
    """A note for each source with transforms: plain LeRobot knows nothing of them."""
    notes = []
    for source in sources:
        if steps := [f"{t.type}({_settings(t.kwargs)})" for t in source.config.transforms]:
            notes.append(
                f"The policy sees source {source.name!r} after its transforms and acts before their inverses: "
                f"{', '.join(steps)}. LeRobot does not run them, `robomix eval` does."
            )
    return notes


def prompt_notes(sources: Sequence[Source]) -> list[str]:
    """A note for each source with a prompt: plain LeRobot takes a task as it is."""
    notes = []
    for source in sources:
        if source.prompt is not None and source.prompt.templates != ("{task}",):
            texts = " or ".join(repr(source.text_of("TASK", i)) for i in range(len(source.prompt.templates)))
            notes.append(f"Tasks of source {source.name!r} were put as {texts}: give LeRobot such a text as the task.")
    return notes


def _given(given: Mapping[str, tuple[float, ...]]) -> list[str]:
    return [
        f"LeRobot must be given {key!r} as {list(values)} with every observation. `robomix eval` and "
        "`robomix.PolicyRunner` do so."
        for key, values in given.items()
    ]


def _settings(kwargs: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
