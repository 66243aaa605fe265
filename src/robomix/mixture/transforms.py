"""Per-source transforms: steps a mixture file names to make one dataset's samples fit the others.

A step is a class registered under a name and built with the `kwargs` of the file. It is called with a dict of torch
tensors (the features after mapping, by their new names) plus `task` (str), and returns such a dict:

    from robomix import DatasetTransformStep, register_dataset_transform

    @register_dataset_transform("scale_action")
    class ScaleAction(DatasetTransformStep):
        def __init__(self, factor: float):
            self.factor = factor

        def __call__(self, sample):
            sample["action"] = sample["action"] * self.factor
            return sample

In the file: `transforms: [{type: "my_package.my_module:scale_action", kwargs: {factor: 0.5}}]`. The part before the
colon is imported first; without it the name must be built in or registered already. Samples come one at a time,
features with a horizon as (T, ...). A step that also works on tensors with a leading batch axis sets `batched = True`
and is called once per batch; `task` is then a list.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch.nn import functional
from torchvision.transforms.v2 import functional as pictures

from robomix.errors import AlignmentError, ConfigError, RobomixError, did_you_mean
from robomix.features import Feature

Sample = dict[str, Any]
_registry: dict[str, type["DatasetTransformStep"]] = {}


class DatasetTransformStep:
    """Base of all transforms."""

    batched: ClassVar[bool] = False
    """Whether `__call__` takes tensors with a leading batch axis; otherwise it gets one sample at a time."""

    def __call__(self, sample: Sample) -> Sample:
        raise NotImplementedError(f"{type(self).__name__} defines no __call__")

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature] | None:
        """The features after this step, given those before; None: found out by trying the step on one sample."""
        return None

    def needs(self, keys: frozenset[str]) -> frozenset[str] | None:
        """Which features the step must be given so that those in `keys` come out right; None: all there are."""
        return None


def register_dataset_transform(name: str) -> Callable[[type], type]:
    """Class decorator: makes a step usable in mixture files under `name`. Raises ConfigError if the name is taken."""

    def register(step: type) -> type:
        taken = _registry.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (step.__module__, step.__qualname__):
            raise ConfigError(f"a dataset transform named {name!r} exists already: {taken.__module__}.{taken.__name__}")
        _registry[name] = step
        return step

    return register


def build_transform(type_name: str, kwargs: Mapping[str, Any], where: str) -> DatasetTransformStep:
    """The step `type_name` built with `kwargs`. Raises ConfigError, speaking of `where`, for what does not fit."""
    module, _, name = type_name.rpartition(":")
    if module:
        _import(module, where)
    step = _registry.get(name)
    if step is None:
        known = ", ".join(sorted(_registry))
        raise ConfigError(
            f"{where}: no transform is named {name!r}.{did_you_mean(name, _registry)} Known: {known}. "
            "One of your own is named 'your.module:its_name', and registered with @register_dataset_transform."
        )
    try:
        inspect.signature(step).bind(**kwargs)
    except TypeError as error:
        raise ConfigError(f"{where}: transform {name!r} takes {inspect.signature(step)}, but {error}") from None
    return step(**kwargs)


def _import(module: str, where: str) -> None:
    try:
        importlib.import_module(module)
    except RobomixError:
        raise
    except Exception as error:  # the module is the user's: whatever it raises is theirs to see
        raise ConfigError(f"{where}: importing {module!r} failed with {type(error).__name__}: {error}") from error


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


@register_dataset_transform("resize_images")
class ResizeImages(DatasetTransformStep):
    """Resizes every camera to (height, width): bilinear with antialiasing, rounded to uint8; proportions change."""

    batched = True

    def __init__(self, height: int, width: int) -> None:
        for name, value in (("height", height), ("width", width)):
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} must be a positive whole number, found {value!r}")
        self.size = [height, width]
        self._cameras: tuple[str, ...] = ()

    def __call__(self, sample: Sample) -> Sample:
        return sample | {key: self._resize(sample[key]) for key in self._cameras if key in sample}

    def needs(self, keys: frozenset[str]) -> frozenset[str]:
        return keys

    def features(self, features: Mapping[str, Feature]) -> dict[str, Feature]:
        self._cameras = tuple(key for key, feature in features.items() if feature.is_camera)
        resized = {key: replace(features[key], shape=(features[key].shape[0], *self.size)) for key in self._cameras}
        return dict(features) | resized

    def _resize(self, images: torch.Tensor) -> torch.Tensor:
        if list(images.shape[-2:]) == self.size:
            return images
        flat = images.reshape(-1, *images.shape[-3:])
        return pictures.resize(flat, self.size, antialias=True).reshape(*images.shape[:-2], *self.size)
