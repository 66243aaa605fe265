"""Which arrays of robomimic's files a config makes observations and actions of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robomix.errors import did_you_mean
from robomix.formats.base import Dataset
from robomix.formats.robomimic.names import key_of
from robomix.problems import KeyPath, Problem
from robomix.training.robomimic.keys import RobomimicKeys

STATE, ACTION = "observation.state", "action"
LANGUAGE = "lang_emb"
"""robomimic's observation that is an embedding of the dataset's `lang`; here the text itself is in every sample."""

_OBS: KeyPath = ("observation", "modalities", "obs")
_DEFAULT = ["robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos", "object"]
_MODALITIES = {"low_dim", "rgb", "lang"}


@dataclass(frozen=True)
class Inputs:
    """Names of arrays, as robomimic has them."""

    low_dim: Sequence[str]
    """Observations that become `observation.state`, in this order."""
    cameras: Sequence[str]
    actions: Sequence[str]
    """Arrays that become `action`, in this order."""
    language: bool
    """Whether an embedding of the task's text is an observation."""

    @property
    def state_columns(self) -> list[str]:
        return [str(key_of(f"obs/{name}", False)) for name in self.low_dim]

    @property
    def camera_keys(self) -> list[str]:
        return [str(key_of(f"obs/{name}", True)) for name in self.cameras]

    @property
    def action_columns(self) -> list[str]:
        return [str(key_of(name, False)) for name in self.actions]

    def missing_in(self, dataset: Dataset) -> list[Problem]:
        """A problem for each array that `dataset` lacks."""
        places = [
            ((*_OBS, "low_dim"), self.low_dim, self.state_columns),
            ((*_OBS, "rgb"), self.cameras, self.camera_keys),
            (("train", "action_keys"), self.actions, self.action_columns),
        ]
        there = [key for key in dataset.features if key.startswith(("observation", "action"))]
        return [
            Problem(
                (*place, i),
                f"{dataset.path} has no {name!r} of this kind, here {key!r}.{did_you_mean(key, there)} "
                f"It has {', '.join(there)}.",
            )
            for place, names, keys in places
            for i, (name, key) in enumerate(zip(names, keys, strict=True))
            if key not in dataset.features
        ]

    def steps(self, dataset: Dataset) -> dict[str, Any]:
        """`transforms` that make `observation.state` and `action`, and leave out all that is not asked for.

        A `feature_map` leaves out first what already has these names.
        """
        joined = {STATE: self.state_columns, ACTION: self.action_columns}
        joined = {key: parts for key, parts in joined.items() if parts and parts != [key]}
        kept = [*([STATE] if self.low_dim else []), ACTION, *self.camera_keys]
        steps = [{"type": "concat", "kwargs": {"to": key, "from": parts}} for key, parts in joined.items()]
        steps.append({"type": "keep", "kwargs": {"keys": kept}})
        old = {key: None for key, parts in joined.items() if key in dataset.features and key not in parts}
        return {"feature_map": old, "transforms": steps} if old else {"transforms": steps}


def take_inputs(keys: RobomimicKeys) -> Inputs:
    """The observations and actions that the config asks for; what robomix cannot give is added to `keys.problems`."""
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
    return Inputs(low_dim, cameras, actions, language)


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
