"""Which arrays of robomimic's files a config makes observations and actions of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robomix.errors import did_you_mean
from robomix.formats.base import Dataset
from robomix.formats.robomimic.names import array_of, key_of
from robomix.problems import KeyPath, Problem
from robomix.training.robomimic.keys import RobomimicKeys

STATE, ENVIRONMENT, ACTION = "observation.state", "observation.environment_state", "action"
OBJECT = "object"
"""robomimic's observation of what there is besides the robot: what LeRobot calls the state of the environment."""
LANGUAGE = "lang_emb"
"""robomimic's observation that is an embedding of the dataset's `lang`; here the text itself is in every sample."""

_OBS: KeyPath = ("observation", "modalities", "obs")
_DEFAULT = ["robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos", OBJECT]
_MODALITIES = {"low_dim", "rgb", "lang"}


@dataclass(frozen=True)
class Inputs:
    """Names of arrays, as robomimic has them."""

    low_dim: Sequence[str]
    """Observations that are vectors. All but `environment` become `observation.state`, in this order."""
    environment: str | None
    """The one that becomes `observation.environment_state`, if any."""
    listed: bool
    """Whether the config lists `low_dim`. If not, they are robomimic's defaults."""
    cameras: Sequence[str]
    actions: Sequence[str]
    """Arrays that become `action`, in this order."""
    language: bool
    """Whether an embedding of the task's text is an observation."""

    @property
    def state_columns(self) -> list[str]:
        return [_vector(name) for name in self.low_dim if name != self.environment]

    @property
    def camera_keys(self) -> list[str]:
        return [str(key_of(f"obs/{name}", True)) for name in self.cameras]

    @property
    def action_columns(self) -> list[str]:
        return [str(key_of(name, False)) for name in self.actions]

    def missing_in(self, datasets: Sequence[Dataset]) -> list[Problem]:
        """A problem for each array that one of `datasets` lacks; a single one for robomimic's defaults."""
        vectors = [_vector(name) for name in self.low_dim]
        problems = [] if self.listed else _missing_defaults(vectors, datasets)
        for dataset in datasets:
            if self.listed:
                problems += _missing((*_OBS, "low_dim"), self.low_dim, vectors, dataset, _vectors_of(dataset))
            cameras = [_array(key, True) for key, feature in dataset.features.items() if feature.is_camera]
            problems += _missing((*_OBS, "rgb"), self.cameras, self.camera_keys, dataset, cameras)
            actions = [_array(key, False) for key in dataset.features if key.startswith(ACTION)]
            problems += _missing(("train", "action_keys"), self.actions, self.action_columns, dataset, actions)
        return problems

    def steps(self, dataset: Dataset) -> dict[str, Any]:
        """`transforms` that make the state, the environment's and `action`, and leave out all that is not asked for.

        A `feature_map` leaves out first what already has these names.
        """
        environment = [_vector(self.environment)] if self.environment else []
        joined = {STATE: self.state_columns, ENVIRONMENT: environment, ACTION: self.action_columns}
        kept = [*(key for key, parts in joined.items() if parts), *self.camera_keys]
        joined = {key: parts for key, parts in joined.items() if parts and parts != [key]}
        steps = [{"type": "concat", "kwargs": {"to": key, "from": parts}} for key, parts in joined.items()]
        steps.append({"type": "keep", "kwargs": {"keys": kept}})
        old = {key: None for key, parts in joined.items() if key in dataset.features and key not in parts}
        return {"feature_map": old, "transforms": steps} if old else {"transforms": steps}


def take_inputs(keys: RobomimicKeys, *, other_policy: bool = False) -> Inputs:
    """The observations and actions that the config asks for; what robomix cannot give is added to `keys.problems`.

    Policies of LeRobot's (`other_policy`) that see no cameras demand the environment's state apart from the robot's.
    """
    listed = "low_dim" in keys.names(_OBS)
    low_dim = _take_names(keys, (*_OBS, "low_dim"), _DEFAULT)
    cameras = _take_names(keys, (*_OBS, "rgb"), [])
    actions = _take_names(keys, ("train", "action_keys"), ["actions"])
    language = LANGUAGE in low_dim or bool(keys.take((*_OBS, "lang"), list[str], []))
    low_dim = [name for name in low_dim if name != LANGUAGE]
    if not low_dim and not cameras:
        keys.wrong((*_OBS, "low_dim"), low_dim, "at least one observation here or in rgb")
    if not actions:
        keys.wrong("train.action_keys", actions, "at least one name")
    _refuse_others(keys)
    apart = other_policy and not cameras and OBJECT in low_dim and len(low_dim) > 1
    return Inputs(low_dim, OBJECT if apart else None, listed, cameras, actions, language)


def _missing(
    place: KeyPath, names: Sequence[str], keys: Sequence[str], dataset: Dataset, there: Sequence[str]
) -> list[Problem]:
    """A problem for each of `names`, here `keys`, that `dataset` lacks; `there` is what it has of this kind."""
    has = f"It has {', '.join(there) or 'none'}."
    return [
        Problem((*place, i), f"{dataset.path} has no {name!r} of this kind.{did_you_mean(name, there)} {has}")
        for i, (name, key) in enumerate(zip(names, keys, strict=True))
        if key not in dataset.features
    ]


def _missing_defaults(keys: Sequence[str], datasets: Sequence[Dataset]) -> list[Problem]:
    lacking = [dataset for dataset in datasets if not dataset.features.keys() >= set(keys)]
    if not lacking:
        return []
    first, more = lacking[0], f" (as {len(lacking) - 1} more)" if len(lacking) > 1 else ""
    missing = [_array(key, False) for key in keys if key not in first.features]
    common = [name for name in _vectors_of(datasets[0]) if all(_vector(name) in d.features for d in datasets)]
    return [
        Problem(
            (*_OBS, "low_dim"),
            f"the config lists none, so they are robomimic's defaults, of which {first.path} lacks "
            f"{', '.join(missing)}{more}. List here what the policy shall observe; "
            f"{'the files have' if len(datasets) > 1 else 'the file has'} {', '.join(common) or 'none'}.",
        )
    ]


def _vector(name: str) -> str:
    """The feature that the observation `name` is here."""
    return str(key_of(f"obs/{name}", False))


def _array(key: str, pictures: bool) -> str:
    """What robomimic's configs call the feature `key`."""
    return array_of(key, pictures).removeprefix("obs/")


def _vectors_of(dataset: Dataset) -> list[str]:
    """What may be listed as `low_dim`."""
    vectors = [key for key, feature in dataset.features.items() if feature.kind == "numeric"]
    return [_array(key, False) for key in vectors if key.startswith("observation.")]


def _take_names(keys: RobomimicKeys, place: KeyPath, default: Sequence[str]) -> list[str]:
    names: list[str] = keys.take(place, list[str], default)
    if len(set(names)) < len(names):
        keys.wrong(place, names, "each name once")
    return list(dict.fromkeys(names))


def _refuse_others(keys: RobomimicKeys) -> None:
    """Observations of other kinds and goals: without them the policy would be another one."""
    for group in keys.names("observation.modalities"):
        for modality in keys.names(("observation", "modalities", group)):
            if group != "obs":
                keys.expect(("observation", "modalities", group, modality), ([],), f"policies take no {group} here")
            elif modality not in _MODALITIES:
                keys.expect((*_OBS, modality), ([],), f"robomix has no observations of the kind {modality}")
    keys.expect("train.goal_mode", (None,), "policies take no goals here")
    keys.expect("train.data_format", ("robomimic",), "robomix reads robomimic's HDF5 files for such a config")
    keys.expect("train.shuffled_obs_key_groups", (None, []), "robomix does not exchange observations at random")
