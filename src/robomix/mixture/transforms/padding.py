"""Steps that fix the width of `action` and `observation.state`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from torch.nn import functional

from robomix.errors import AlignmentError, ConfigError
from robomix.features import Feature
from robomix.mixture.transforms.base import DatasetTransformStep, Sample, register_dataset_transform


class _Pad(DatasetTransformStep):
    batched = True
    key: ClassVar[str]

    def __init__(self, target_dim: int) -> None:
        if type(target_dim) is not int or target_dim < 1:
            raise ConfigError(f"target_dim must be a positive whole number, found {target_dim!r}")
        self.target_dim = target_dim

    def __call__(self, sample: Sample) -> Sample:
        value = sample.get(self.key)
        if value is None:
            return sample
        return sample | {self.key: functional.pad(value, (0, self.target_dim - value.shape[-1]))}

    def needs(self, keys: frozenset[str]) -> frozenset[str]:
        return keys

    def inverse(self) -> None:
        """None: padding is at the end, and cut off before anything is undone."""
        return None

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        feature = features.get(self.key)
        if feature is None:
            raise AlignmentError(f"there is no {self.key!r} to pad; the features here are {', '.join(features)}")
        if not feature.is_vector or feature.shape[0] > self.target_dim:
            raise AlignmentError(f"{self.key!r} of shape {feature.shape} cannot be padded to {self.target_dim} entries")
        padded = replace(feature, shape=(self.target_dim,), real_dim=feature.valid_dim)
        return dict(features) | {self.key: padded}


@register_dataset_transform("pad_action")
class PadAction(_Pad):
    """Zero-pads `action` at the end to `target_dim` entries; the padding is masked in every sample and statistic."""

    key = "action"


@register_dataset_transform("pad_state")
class PadState(_Pad):
    """Zero-pads `observation.state` at the end to `target_dim` entries, masked likewise."""

    key = "observation.state"
