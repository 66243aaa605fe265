"""What acts in an environment: a policy with its processors, in the policy's own language or in that of a source."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from robomix.errors import AlignmentError
from robomix.features import Feature
from robomix.mixture.live import LiveSource
from robomix.training.normalization import ProcessorPair
from robomix.training.policy_cuts import masked_cameras
from robomix.training.rollouts import Observation


class PlainDriver:
    """A policy with its processors, for environments that speak its own language."""

    def __init__(self, policy: Any, processors: ProcessorPair) -> None:
        self._policy = policy
        self._preprocess, self._postprocess = processors

    def reset(self) -> None:
        self._policy.reset()

    def __call__(self, observation: Observation) -> np.ndarray:
        with torch.inference_mode():
            action = self._postprocess(self._policy.select_action(self._preprocess(observation)))
        made: np.ndarray = action.to("cpu").numpy()
        return made


class SourceDriver(PlainDriver):
    """A policy of a mixture, for the environment of one of its sources."""

    def __init__(
        self,
        live: LiveSource,
        policy: Any,
        processors: ProcessorPair,
        rename_map: Mapping[str, str],
        names: Mapping[str, str],
    ) -> None:
        """`rename_map` goes from what the environment calls an observation to what the dataset calls it, `names` from
        what the mixture calls it to what the policy does.
        """
        super().__init__(policy, processors)
        self._names = names
        self._live = live
        self._rename = rename_map
        cameras = [key for key, feature in observations_of(policy, names).items() if feature.is_camera]
        self._masked = masked_cameras(policy.config.type, cameras, live.source.features)

    def reset(self) -> None:
        super().reset()
        self._live.reset()

    def __call__(self, observation: Observation) -> np.ndarray:
        if unknown := [key for key in self._rename if key not in observation]:
            here = ", ".join(key for key in observation if key != "task")
            raise AlignmentError(
                f"rename_map names {unknown[0]!r}, which the environment does not show. It shows {here}"
            )
        own = {self._rename.get(key, key): value for key, value in observation.items() if key != "task"}
        cameras = [key for key, feature in self._live.observations.items() if feature.is_camera and key in own]
        own |= {key: _as_bytes(own[key]) for key in cameras}
        seen = self._live.observe(own, observation["task"])
        given = {self._names.get(key, key): _as_floats(v) for key, v in seen.items() if key not in self._masked}
        action = torch.from_numpy(super().__call__(given))
        made: np.ndarray = self._live.act(action).numpy()
        return made


def with_given(processors: ProcessorPair, given: Mapping[str, Sequence[float]]) -> ProcessorPair:
    """`processors` that are given, beside the observations of n robots, vectors that are the same for all of them."""
    preprocess, postprocess = processors
    if not given:
        return processors

    def prepared(observation: Observation) -> Any:
        n = len(observation["task"])
        return preprocess(observation | {key: torch.tensor(value).expand(n, -1) for key, value in given.items()})

    return prepared, postprocess


def with_texts(processors: ProcessorPair, text_of: Callable[[str], str]) -> ProcessorPair:
    """`processors` for a policy that reads the `text_of` a task."""
    preprocess, postprocess = processors

    def prepared(observation: Observation) -> Any:
        return preprocess(observation | {"task": [text_of(task) for task in observation["task"]]})

    return prepared, postprocess


def observations_of(policy: Any, names: Mapping[str, str]) -> dict[str, Feature]:
    """What a LeRobot policy takes, as features: cameras (C, H, W) uint8, everything else float32.

    By the mixture's names, which `names` maps to the policy's where they differ.
    """
    features, mixture_key = {}, {own: key for key, own in names.items()}
    for key, taken in policy.config.input_features.items():
        shape, is_camera = tuple(taken.shape), taken.type.name == "VISUAL"
        feature = Feature("camera", "uint8", shape) if is_camera else Feature("numeric", "float32", shape)
        features[mixture_key.get(key, key)] = feature
    return features


def _as_bytes(picture: Tensor) -> Tensor:
    """Pictures from 0 to 1 as the bytes they were made of."""
    return picture if picture.dtype == torch.uint8 else (picture * 255).round().to(torch.uint8)


def _as_floats(value: Any) -> Any:
    """Pictures as LeRobot's policies take them, from 0 to 1; everything else as it is."""
    return value / 255 if torch.is_tensor(value) and value.dtype == torch.uint8 else value
